"""The names of runs, `POINT-rNN-aNN`: a point, its repetition, the attempt."""

from __future__ import annotations

import re
from pathlib import Path

RUN_PATTERN = re.compile(r"(?P<point>.+)-r(?P<repetition>\d{2,})-a(?P<attempt>\d{2,})")


def next_run_name(directory: Path, point: str, repetition: int) -> str:
    """`POINT-rNN-aNN` with an attempt number above every one in use in the directory."""
    taken = [attempt for attempt, _ in attempts(directory, point, repetition)]
    return f"{point}-r{repetition:02d}-a{max(taken, default=0) + 1:02d}"


def attempts(directory: Path, point: str, repetition: int) -> list[tuple[int, Path]]:
    """Attempts of a point in a repetition, ascending: their numbers and directories."""
    found: list[tuple[int, Path]] = []
    for path in directory.iterdir() if directory.is_dir() else ():
        match = RUN_PATTERN.fullmatch(path.name)
        if match and match["point"] == point and int(match["repetition"]) == repetition:
            found.append((int(match["attempt"]), path))
    return sorted(found)
