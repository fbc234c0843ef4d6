"""Who does the sweep in results/NAME, and on the nodes of an inventory: one process at a time.

A lock names a process that lives as long as the sweep is worked on (ansible-playbook's), so it
ends with it, however it ended: a killed sweep leaves nothing to remove.
"""

from __future__ import annotations

import fcntl
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from lifelog.errors import UserError

FILE = ".sweep.lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that works on a sweep; `started`: when, in clock ticks, as ids are reused."""

    pid: int
    host: str
    started: int


@dataclass(frozen=True, slots=True)
class Hold:
    """What the lock says: by whom it is held since when, for which sweep."""

    holder: Holder
    taken_ns: int
    sweep: str


def holder(pid: int) -> Holder:
    """A running process of this machine; UserError where there is none of that id."""
    started = _started(pid)
    if started is None:
        raise UserError(f"--holder: there is no process {pid}: give one that is running")
    return Holder(pid, socket.gethostname(), started)


def occupy(cluster_file: Path, inventory: str, who: Holder, sweep: str, now_ns: int) -> None:
    """Keep other experiments off an inventory's nodes for as long as `who` lives.

    UserError where another process does a sweep on them.
    """
    with locked(cluster_file.parent, f"{cluster_file.stem}.lock") as file:
        claim(file, who, f"the nodes of {inventory}")
        take(file, Hold(who, now_ns, sweep))


@contextmanager
def locked(directory: Path, name: str = FILE) -> Iterator[IO[str]]:
    """The lock's file, for this process alone while it looks and writes."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / name).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def claim(file: IO[str], who: Holder, where: str) -> Hold | None:
    """What `who` holds already; None where the lock is free. UserError where another holds it.

    `where`: what is locked, for the error text.
    """
    hold = _read(file)
    if hold is None or hold.holder == who:
        return hold
    if hold.holder.host != who.host:
        raise UserError(
            f"{where}: process {hold.holder.pid} on {hold.holder.host} does a sweep here: wait "
            f"for its end or, if it has ended, remove {file.name}"
        )
    if _alive(hold.holder):
        raise UserError(
            f"{where}: process {hold.holder.pid} does a sweep here: wait for its end, or stop it"
        )
    return None


def take(file: IO[str], hold: Hold) -> None:
    """Write who holds the lock."""
    release(file)
    json.dump(asdict(hold), file)
    file.flush()


def release(file: IO[str]) -> None:
    """Nobody holds the lock any more. The file stays: another may be waiting for it."""
    file.seek(0)
    file.truncate()
    file.flush()


def _read(file: IO[str]) -> Hold | None:
    file.seek(0)
    try:
        content = json.load(file)
        return Hold(Holder(**content["holder"]), int(content["taken_ns"]), str(content["sweep"]))
    except (ValueError, KeyError, TypeError):
        # Empty: free. Broken: its writer was killed while writing.
        return None


def _alive(who: Holder) -> bool:
    return _started(who.pid) == who.started


def _started(pid: int) -> int | None:
    """Clock ticks from boot to a process's start; None where it does not run.

    Not psutil's `create_time`, which moves when the clock is set.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # pid (name) state ...: the name may hold spaces and brackets. See proc_pid_stat(5).
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
