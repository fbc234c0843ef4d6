"""Processor time of a machine by component of the testbed, and what others used of it.

Processes that were not seen, because they lived between two scans, are known by their parents.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lifelog.node.components import FOREIGN, Testbed
from lifelog.node.counters import Reader, Source, container_kind

KERNEL = "kernel"
# The kernel's own threads (PF_KTHREAD).
_KERNEL_THREAD = 0x00200000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class _Process:
    """A process as last seen; times in clock ticks, `reaped`: of children that it has waited for."""

    name: str
    parent: int
    kernel_thread: bool
    own: int
    reaped: int
    started: int
    component: str = ""


def _parse(stat: bytes) -> _Process:
    # A name may contain anything, brackets and spaces too.
    head, _, rest = stat.rpartition(b")")
    # From the third field of proc(5) on, the state.
    fields = rest.split()
    return _Process(
        name=head.partition(b"(")[2].decode(errors="replace"),
        parent=int(fields[1]),
        kernel_thread=bool(int(fields[6]) & _KERNEL_THREAD),
        own=int(fields[11]) + int(fields[12]),
        reaped=int(fields[13]) + int(fields[14]),
        started=int(fields[19]),
    )


class ProcessTimes:
    """Processor time by component since the first scan, which counts as nothing used yet.

    `proc`: where the processes are read from, for tests.
    """

    def __init__(self, testbed: Testbed, proc: Path = Path("/proc")) -> None:
        self._testbed = testbed
        self._proc = proc
        self._known: dict[int, _Process] | None = None
        self._ticks: dict[str, int] = {}

    def scan(self) -> dict[str, float]:
        """Seconds used so far by component, `kernel` (its threads) and `foreign`; they never fall.

        A process that lived between two scans only is counted as its parent's once that has waited
        for it. Raises OSError where the processes cannot be listed.
        """
        found = self._read()
        first, before = self._known is None, self._known or {}
        for pid, now in found.items():
            old = before.get(pid)
            if old is not None and old.started == now.started and old.name == now.name:
                now.component = old.component
        for pid in found:
            self._classify(pid, found, before)
        counted = _counted_children(before, found)
        for pid, now in found.items():
            old = before.get(pid)
            if old is None or old.started != now.started:
                old = now if first else None
            own, reaped = (old.own, old.reaped) if old is not None else (0, 0)
            unseen = max(0, now.reaped - reaped - counted.get(pid, 0))
            used = max(0, now.own - own) + unseen
            self._ticks[now.component] = self._ticks.get(now.component, 0) + used
        self._known = found
        return {name: ticks / _TICKS_PER_S for name, ticks in sorted(self._ticks.items())}

    def _read(self) -> dict[int, _Process]:
        found = {}
        for name in os.listdir(self._proc):
            if not name.isdigit():
                continue
            try:
                with open(f"{self._proc}/{name}/stat", "rb", buffering=0) as file:
                    process = _parse(file.read())
            except OSError:
                # It has ended since.
                continue
            # The machine's counter of interrupts has the time of these threads.
            if not (process.kernel_thread and process.name.startswith("ksoftirqd/")):
                found[int(name)] = process
        return found

    def _classify(
        self, pid: int, found: Mapping[int, _Process], before: Mapping[int, _Process]
    ) -> str:
        process = found.get(pid)
        if process is None:
            return FOREIGN
        if process.component:
            return process.component
        if process.kernel_thread:
            process.component = KERNEL
            return KERNEL
        process.component = FOREIGN
        old = before.get(pid)
        if old is not None and old.started == process.started:
            # It has become another program.
            parent = old.component
        else:
            parent = self._classify(process.parent, found, before)
        process.component = self._testbed.component(self._words(pid), parent, self._cwd(pid))
        return process.component

    def _words(self, pid: int) -> list[str]:
        try:
            with open(f"{self._proc}/{pid}/cmdline", "rb") as file:
                return file.read().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            return []

    def _cwd(self, pid: int) -> str:
        try:
            return os.readlink(f"{self._proc}/{pid}/cwd")
        except OSError:
            # Another account's.
            return ""


def _counted_children(
    before: Mapping[int, _Process], now: Mapping[int, _Process]
) -> dict[int, int]:
    """Ticks that were counted already of processes that have ended, by each of their ancestors.

    One of these, as a rule the parent, has waited for it and shows its time once more.
    """
    counted: dict[int, int] = {}
    for pid, old in before.items():
        if pid in now and now[pid].started == old.started:
            continue
        above, parent = {pid}, old.parent
        while parent not in above and parent in before:
            counted[parent] = counted.get(parent, 0) + old.own + old.reaped
            above.add(parent)
            parent = before[parent].parent
    return counted


def component_sources(testbed: Testbed, cpu: Source, root: Path = Path("/")) -> list[Source]:
    """Sources of `components_s` and `foreign_s`; `cpu` is that of the machine's or container's cpu_s.

    `root`: where /proc is looked for, for tests.
    """
    units = {"components_s": "s of processor time by component, cumulative from the first sample"}
    foreign = {"foreign_s": "s of processor time, cumulative from the first sample"}
    try:
        (root / "proc/1/stat").read_bytes()
    except OSError as error:
        reason = f"processes of other accounts are hidden ({error})"
        return [Source(units | foreign, "", absent_because=reason)]
    times = ProcessTimes(testbed, root / "proc")
    # A container's processor time is that of its processes: the host has the interrupts'.
    interrupts = _interrupts_s if container_kind(root) is None else None
    origin = "/proc/PID: stat (utime, stime, and of ended children cutime, cstime), cmdline"
    if interrupts:
        origin += "; kernel: its threads, and psutil.cpu_times: irq, softirq"
    if cpu.read is None:
        reason = f"no cpu_s: {cpu.absent_because}"
        return [
            Source(units, origin, lambda: {"components_s": _of_components(times.scan())}),
            Source(foreign, "", absent_because=reason),
        ]
    origin += (
        "; foreign_s: cpu_s without components_s. Of our processes that lived between two samples, "
        "those that their parent did not wait for count as foreign"
    )
    return [Source(units | foreign, origin, _Split(times, cpu.read, interrupts).read)]


def _interrupts_s() -> float:
    times = psutil.cpu_times()
    return float(sum(getattr(times, name, 0.0) for name in ("irq", "softirq")))


def _of_components(used: Mapping[str, float]) -> dict[str, float]:
    return {name: round(own, 2) for name, own in used.items() if name != FOREIGN}


class _Split:
    """Splits the machine's processor time since the first sample into components and the rest."""

    def __init__(
        self, times: ProcessTimes, cpu: Reader, interrupts: Callable[[], float] | None
    ) -> None:
        self._times = times
        self._cpu = cpu
        self._interrupts = interrupts or (lambda: 0.0)
        self._start: tuple[float, float] | None = None
        self._unseen = 0.0

    def read(self) -> dict[str, Any]:
        interrupts, cpu = self._interrupts(), float(self._cpu()["cpu_s"])
        used = self._times.scan()
        if self._start is None:
            # Read before the processes from now on: a delay between the two never looks like work.
            self._start = interrupts, float(self._cpu()["cpu_s"])
        if interrupts > self._start[0]:
            used[KERNEL] = used.get(KERNEL, 0.0) + interrupts - self._start[0]
        # What no process was seen to use. It sways: the machine's time is sampled in ticks, a
        # process's is measured, and may contain the interrupts that it met.
        self._unseen = max(self._unseen, cpu - self._start[1] - sum(used.values()))
        foreign = round(used.get(FOREIGN, 0.0) + self._unseen, 2)
        return {"components_s": _of_components(used), "foreign_s": foreign}
