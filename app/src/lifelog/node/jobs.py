"""Run directories: how the control node and a job on a node talk to each other.

A job (the consumer, or the producers of one node) works in a run directory. It reads `spec.json`,
reports in `NAME.status.json`, and follows three files that the control node writes: `start.json` (the
agreed start instant), `drain` (the producers have finished) and `lease`. The control node touches
the lease at each poll; a job whose lease has run out ends itself and all of its processes, so that
an interrupted playbook or a lost connection leaves nothing behind.

Consumers of several runs may be one process (see `consumer.application`): it lives in a session
directory, where `next.json` names the run that it is handed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifelog.jsonfiles import read_json, write_json

# Longer than a busy control node takes between two polls (seen: over 20 s at a load of 8).
LEASE_S = 60.0


class Job:
    """One job's side of its run directory; safe to use from several threads."""

    def __init__(self, directory: Path, name: str) -> None:
        """Use `directory`, which must hold `spec.json`; `name` tells jobs of one directory apart."""
        self.directory = directory
        self.name = name
        self.spec: dict[str, Any] = json.loads((directory / "spec.json").read_text("utf-8"))
        self._status: dict[str, Any] = {"phase": "starting"}
        self._lock = threading.Lock()

    def report(self, **fields: Any) -> None:
        """Update fields of the status that the control node polls."""
        with self._lock:
            self._status.update(fields, updated_ns=time.time_ns())
            write_json(self.directory / f"{self.name}.status.json", self._status)

    def start_ns(self) -> int | None:
        """Agreed start instant in nanoseconds since the epoch; None before it is announced."""
        start = read_json(self.directory / "start.json")
        return None if start is None else int(start["start_ns"])

    def told_to_drain(self) -> bool:
        """Whether the control node said that the producers have finished."""
        return (self.directory / "drain").exists()

    def end_without_lease(self) -> None:
        """Say that the lease has run out, then end this process and all of its descendants."""
        self.report(
            phase="failed",
            error=f"the control node was not heard of for {LEASE_S:.0f} s: interrupted, or cut off",
        )
        end_process_tree()


def lease_left_s(directory: Path) -> float:
    """Seconds until the lease of a run or session directory runs out; 0 where it is gone."""
    try:
        touched = (directory / "lease").stat().st_mtime
    except FileNotFoundError:
        return 0.0
    return LEASE_S - (time.time() - touched)


def watch(left_s: Callable[[], float], on_expiry: Callable[[], None], poll_s: float = 1.0) -> None:
    """Start a daemon thread that calls `on_expiry` once when `left_s()` is no longer above 0."""

    def loop() -> None:
        while left_s() > 0:
            time.sleep(poll_s)
        on_expiry()

    threading.Thread(target=loop, name="lease", daemon=True).start()


def end_process_tree(grace_s: float = 5.0) -> None:
    """End every descendant of this process, then this process (exit status 1).

    PySpark's daemon makes a process group of its own, so descendants are found by parentage.
    """
    import psutil

    children = psutil.Process().children(recursive=True)
    for child in children:
        _signal(child.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(children, timeout=grace_s)
    for child in alive:
        _signal(child.pid, signal.SIGKILL)
    os._exit(1)


# A tenth of another process's share: enough that producers are not starved themselves.
YIELDING_NICENESS = 10


def yield_cpu() -> None:
    """Give this process, its session and its children a small share of a busy processor.

    Where the kernel groups processes by session (sched_autogroup), it shares the processor between
    sessions, and a niceness counts only within its own; so both are set.
    """
    os.nice(YIELDING_NICENESS)
    # Linux without the feature has no such file.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(YIELDING_NICENESS), encoding="ascii")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def detach(directory: Path, name: str, argv: list[str]) -> int:
    """Start `argv` in a session of its own, its output in `NAME.log`; returns its process id.

    The process id is written to `NAME.pid`, by which the job can be found later.
    """
    import subprocess

    (directory / "lease").touch()
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    (directory / f"{name}.pid").write_text(f"{process.pid}\n", encoding="ascii")
    return process.pid


def abandoned(runs: Path, host: str) -> list[Path]:
    """Run and session directories of a host whose lease nobody renews: left by an interruption.

    While a run is alive its session's own lease may be old; then no session counts as abandoned.
    """
    own = [d for d in sorted(runs.iterdir()) if d.is_dir() and d.name.endswith(f"-{host}")]
    live = any((d / "spec.json").exists() and lease_left_s(d) > 0 for d in own)
    return [d for d in own if lease_left_s(d) <= 0 and not (live and (d / "session.json").exists())]


def running(directory: Path, name: str) -> int | None:
    """Process id of the job `name` of a directory; None where it does not run."""
    process = _process_of(directory / f"{name}.pid")
    return None if process is None else int(process.pid)


def _process_of(file: Path) -> Any:
    import psutil

    try:
        process = psutil.Process(int(file.read_text("ascii")))
        # A process id may have been given to a stranger since: one that is younger than the file.
        if process.create_time() <= file.stat().st_mtime + 1 and process.status() != "zombie":
            return process
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        pass
    return None


def stop_jobs(directory: Path, timeout_s: float = 20.0) -> list[int]:
    """End every job of a run directory by expiring its lease; kill what has not ended in time.

    Returns the ids of the processes that had to be killed.
    """
    import psutil

    lease = directory / "lease"
    if lease.exists():
        os.utime(lease, (0, 0))
    jobs = [process for file in directory.glob("*.pid") if (process := _process_of(file))]
    _, alive = psutil.wait_procs(jobs, timeout=timeout_s)
    for process in alive:
        for child in [*process.children(recursive=True), process]:
            _signal(child.pid, signal.SIGKILL)
    return [process.pid for process in alive]
