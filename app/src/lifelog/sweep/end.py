"""The end of a sweep, or of one start of it: what its report has to say."""

from __future__ import annotations

from pathlib import Path

from lifelog.sweep.cells import failures, states
from lifelog.sweep.file import finish, outcomes, read_sweep
from lifelog.sweep.lock import claim, holder, locked, release
from lifelog.sweep.search import with_next_trial


def end_sweep(directory: Path, holder_pid: int | None, now_ns: int) -> tuple[list[str] | None, int]:
    """Mark the sweep in `directory` as finished where nothing is left of it; free its lock.

    Returns a sentence for each of its cells that ended without a valid run, and how many are left
    for the next start, which is no failure. (None, 0) where there is no sweep. The lock is freed if
    it is held by `holder_pid`. UserError where sweep.json cannot be used.
    """
    sweep = read_sweep(directory)
    if sweep is None:
        return None, 0
    sweep, _ = with_next_trial(directory, sweep)
    found = outcomes(directory, sweep)
    finish(directory, sweep, found, now_ns)
    if holder_pid is not None:
        who = holder(holder_pid)
        with locked(directory) as file:
            if claim(file, who, str(directory)) is not None:
                release(file)
    left = list(states(sweep, found).values()).count("open")
    return failures(sweep, found), left
