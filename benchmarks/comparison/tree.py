"""CPU time and memory of a process and all of its descendants, sampled while they live."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field

import psutil

SAMPLE_EVERY_S = 0.5
# Reading a JVM's memory maps takes milliseconds of a core.
MEMORY_EVERY_S = 2.0
END_GRACE_S = 8.0


@dataclass(slots=True)
class _Seen:
    process: psutil.Process
    worker: bool
    cpu_s: float = 0.0


@dataclass(slots=True)
class Samples:
    """CPU seconds so far at CLOCK_MONOTONIC times, and PSS in MB, workers apart from the rest."""

    at_ns: list[int] = field(default_factory=list)
    worker_cpu_s: list[float] = field(default_factory=list)
    other_cpu_s: list[float] = field(default_factory=list)
    worker_pss_mb: list[float] = field(default_factory=list)
    other_pss_mb: list[float] = field(default_factory=list)


class Tree:
    """Samples a tree in a thread of its own until `end`, which ends the processes too.

    `worker_mark`: words in the command line of a process that make it and its descendants workers;
    where it is None all are.
    """

    def __init__(self, pid: int, worker_mark: str | None) -> None:
        self.samples = Samples()
        self._mark = worker_mark
        self._seen: dict[tuple[int, float], _Seen] = {}
        self._root = psutil.Process(pid)
        self._stopped = threading.Event()
        self._next_memory = 0.0
        self._thread = threading.Thread(target=self._loop, name="sampler", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while not self._stopped.wait(SAMPLE_EVERY_S):
            self.sample()

    def sample(self) -> None:
        """Take one sample; processes that have ended keep what they had used at the last one."""
        self._discover()
        for seen in self._seen.values():
            with contextlib.suppress(psutil.Error):
                times = seen.process.cpu_times()
                seen.cpu_s = times.user + times.system
        samples = self.samples
        samples.at_ns.append(time.monotonic_ns())
        samples.worker_cpu_s.append(self._cpu_s(worker=True))
        samples.other_cpu_s.append(self._cpu_s(worker=False))
        if time.monotonic() >= self._next_memory:
            self._next_memory = time.monotonic() + MEMORY_EVERY_S
            samples.worker_pss_mb.append(self._pss_mb(worker=True))
            samples.other_pss_mb.append(self._pss_mb(worker=False))

    def _discover(self) -> None:
        known = {key: seen.worker for key, seen in self._seen.items()}
        try:
            found = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return
        mark = self._mark
        by_pid = {pid: worker for (pid, _), worker in known.items()}
        # Parents come before their children.
        for process in found:
            with contextlib.suppress(psutil.Error):
                key = (process.pid, process.create_time())
                # A process that is still a copy of its parent has the parent's command line.
                worker = (
                    mark is None
                    or by_pid.get(process.ppid(), False)
                    or mark in " ".join(process.cmdline())
                )
                by_pid[process.pid] = worker
                if key in self._seen:
                    self._seen[key].worker = worker
                else:
                    self._seen[key] = _Seen(process, worker)

    def _cpu_s(self, worker: bool) -> float:
        return sum(seen.cpu_s for seen in self._seen.values() if seen.worker == worker)

    def _pss_mb(self, worker: bool) -> float:
        total = 0
        for seen in self._seen.values():
            if seen.worker == worker:
                with contextlib.suppress(psutil.Error):
                    total += seen.process.memory_full_info().pss
        return total / 1e6

    def end(self) -> None:
        """Take a last sample and end every process that was seen, by its id: first asked, then not.

        A daemon may have left the process group and outlived its parent: parentage and groups alone
        would miss it.
        """
        self._stopped.set()
        self._thread.join(timeout=10)
        self.sample()
        alive = [s.process for s in self._seen.values() if s.process.is_running()]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in alive:
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    if process.is_running():
                        os.kill(process.pid, number)
            _, alive = psutil.wait_procs(alive, timeout=END_GRACE_S)
            if not alive:
                return
