"""Which processes of a machine are surely the testbed's, and how they end.

A supervisor that was killed hard leaves its services running, and its process ids are known to nobody. Two things say
whose a process is: the socket of the supervisor in its environment, which whatever the supervisor starts inherits, and
the directory that its program comes from. Standard library only, for any Python that a node may have.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable

SHELLS_AND_PYTHONS = re.compile(r"(ba|da)?sh|python[\d.]*")


def _words(pid: int, name: str) -> list[str]:
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as file:
            return file.read().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def command(pid: int) -> list[str]:
    """The words of a process's command; none where it has ended."""
    return _words(pid, "cmdline")


def runs_from(words: list[str], directories: list[str]) -> bool:
    """Whether a command runs a program or script of these directories, or Java with a path below one of them.

    An editor or a pager that has one of our files open is not ours.
    """
    places = "|".join(re.escape(os.path.normpath(path)) for path in directories if path)
    if not places or not words:
        return False
    below = re.compile("(%s)/" % places)
    if below.match(words[0]):
        return True
    program = os.path.basename(words[0])
    if SHELLS_AND_PYTHONS.fullmatch(program):
        return len(words) > 1 and bool(below.match(words[1]))
    mentioned = re.compile("(^|[=:,])(%s)/" % places)
    return program == "java" and any(mentioned.search(word) for word in words[1:])


def is_supervisor(words: list[str], directory: str) -> bool:
    """Whether a command is the supervisor of this directory."""
    return (
        any(os.path.basename(word) == "supervisord" for word in words[:2])
        and os.path.join(directory, "supervisord.conf") in words
    )


def is_supervised(pid: int, directory: str) -> bool:
    """Whether the supervisor of this directory started the process, or one that it descends from."""
    socket = "SUPERVISOR_SERVER_URL=unix://" + os.path.join(directory, "supervisor.sock")
    return socket in _words(pid, "environ")


def _stat(pid: int, field: int) -> int:
    """A number of /proc/PID/stat, counted from the state; 0 where the process has ended."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[field])
    except (OSError, IndexError):
        return 0


def parent(pid: int) -> int:
    """The parent of a process."""
    return _stat(pid, 1)


def started(pid: int) -> int:
    """When a process started, in clock ticks since boot."""
    return _stat(pid, 19)


def find(belongs: Callable[[int], bool]) -> list[int]:
    """The processes that belong, the youngest first; never this one or one that it descends from."""
    ancestors, pid = set(), os.getpid()
    while pid:
        ancestors.add(pid)
        pid = parent(pid)
    pids = {int(name) for name in os.listdir("/proc") if name.isdigit()} - ancestors
    return sorted((pid for pid in pids if belongs(pid)), key=started, reverse=True)


def end(pid: int, grace_s: float) -> bool:
    """Ask a process to end, and make it after ``grace_s``; whether it has ended."""
    born = started(pid)

    def there() -> bool:
        # The id may be another's by now; what has ended and was not yet waited for has no command.
        return started(pid) == born and bool(command(pid)[:1]) and command(pid) != [""]

    for sign, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10)):
        if not there():
            return True
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if not there():
                return True
            time.sleep(0.05)
    return not there()


def end_all(belongs: Callable[[int], bool], grace_s: float) -> tuple[list[str], list[str]]:
    """End every process that belongs: the commands that ended, and those that could not be ended.

    The youngest first: what was started later may need what was there before it to end well.
    """
    ended: list[str] = []
    left: dict[int, str] = {}
    while pids := [pid for pid in find(belongs) if pid not in left]:
        words = " ".join(command(pids[0]))[:200]
        if end(pids[0], grace_s):
            ended.append("%d: %s" % (pids[0], words))
        else:
            left[pids[0]] = "%d: %s" % (pids[0], words)
    return ended, list(left.values())


def end_supervisor(directory: str, grace_s: float) -> tuple[list[str], list[str]]:
    """End the supervisor of a directory, which ends its services in their order, then what it left behind."""
    first = end_all(lambda pid: is_supervisor(command(pid), directory), grace_s)
    then = end_all(lambda pid: is_supervised(pid, directory), 15)
    return first[0] + then[0], first[1] + then[1]
