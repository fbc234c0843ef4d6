"""sweep.json and the lock beside it: what a killed sweep leaves for the next start.

Runs belong to a sweep by its id in their spec.json, so no clock decides. Finished runs are only
read here; a run that was interrupted gets its reason and a run.json that counts as invalid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.experiment.runname import RUN_PATTERN
from lifelog.jsonfiles import write_json
from lifelog.results.directory import trial_outcome
from lifelog.sweep.cells import Cell, Key, Outcome, Sweep, states
from lifelog.verification.rundata import FORMAT as RUN_FORMAT

FORMAT = 1
FILE = "sweep.json"
INTERRUPTED = "interrupted: the playbook ended before this run was verified"
UNVERIFIED = "the playbook went on without verifying this run"


def read_sweep(directory: Path, name: str = FILE) -> Sweep | None:
    """The sweep that `directory` (results/NAME) holds; None where there is none.

    UserError where the file is cut off, or of another format version.
    """
    file = directory / name
    anew = "move it away (the runs stay), and the next start begins a new sweep"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise UserError(
                f"{file} has format {content['format']} and this version reads {FORMAT}: {anew}"
            )
        return Sweep(
            id=str(content["id"]),
            digest=str(content["digest"]),
            max_attempts=int(content["max_attempts"]),
            runs=tuple(Cell(**cell) for cell in content["runs"]),
            started_ns=int(content["started_ns"]),
            finished_ns=content["finished_ns"],
            opened=tuple(content["opened"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is cut off or broken ({error!r}): {anew}") from None


def write_sweep(directory: Path, sweep: Sweep, name: str = FILE) -> None:
    """Write sweep.json so that a reader never sees half of it."""
    write_json(directory / name, {"format": FORMAT, **asdict(sweep)})


def parked_name(digest: str) -> str:
    """Where an unfinished sweep of other settings waits for a start with its own again."""
    return f"sweep-{digest[:12]}.json"


def run_directories(directory: Path, sweep: Sweep) -> list[Path]:
    """The run directories of a sweep, in the order of their attempts."""
    found = []
    for path in directory.iterdir() if directory.is_dir() else ():
        match = RUN_PATTERN.fullmatch(path.name)
        if match is None:
            continue
        try:
            spec = json.loads((path / "spec.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(spec, dict) and spec.get("sweep") == sweep.id:
            found.append((int(match["attempt"]), path.name, path))
    return [path for _, _, path in sorted(found)]


def missing_directories(directory: Path, sweep: Sweep) -> list[str]:
    """Runs of a sweep whose directory is gone."""
    return [run for run in sweep.opened if not (directory / run).is_dir()]


def outcomes(directory: Path, sweep: Sweep) -> dict[Key, Outcome]:
    """What the runs of a sweep gave; a run.json that cannot be used is named, and no result."""
    found: dict[Key, Outcome] = {cell.key: Outcome() for cell in sweep.runs}
    for path in run_directories(directory, sweep):
        match = RUN_PATTERN.fullmatch(path.name)
        cell = (match["point"], int(match["repetition"])) if match else None
        if cell not in found:
            continue
        outcome = found[cell]
        if _was_interrupted(path) or not (path / "run.json").exists():
            outcome.interrupted.append(path.name)
            continue
        try:
            run = json.loads((path / "run.json").read_text(encoding="utf-8"))
            if run["format"] != RUN_FORMAT:
                why = f"has format {run['format']} and this version reads {RUN_FORMAT}"
                outcome.unreadable.append(f"{path.name}: run.json {why}")
            elif run["valid"] or trial_outcome(run):
                outcome.valid = path.name
                outcome.rated = bool(run["throughput_images_per_s"])
            else:
                outcome.reasons.append(f"{path.name}: {'; '.join(run['invalid_reasons'])}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            outcome.unreadable.append(
                f"{path.name}: run.json is cut off or broken ({error!r}): `lifelog verify {path}` "
                "makes it anew"
            )
    return found


def close_interrupted(directory: Path, sweep: Sweep, killed: bool) -> list[str]:
    """Give a reason and a run.json to every run of the sweep that has none; returns their names.

    Only for the holder of the lock: a run that is going on has no run.json either. `killed`: the
    run was cut off with its playbook; otherwise the playbook itself left it, which is an attempt.
    """
    from lifelog.verification.verify import verify

    closed = []
    for path in run_directories(directory, sweep):
        if (path / "run.json").exists():
            continue
        if not (path / "failure.json").exists():
            reason = INTERRUPTED if killed else UNVERIFIED
            write_json(path / "failure.json", {"reason": reason, "interrupted": killed})
        verify(path)
        closed.append(path.name)
    return closed


def _was_interrupted(path: Path) -> bool:
    try:
        failure: Any = json.loads((path / "failure.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(failure, dict) and failure.get("interrupted") is True


def note_opened(directory: Path, run: str) -> None:
    """Add a run to those that its sweep has begun."""
    sweep = read_sweep(directory)
    if sweep is not None and run not in sweep.opened:
        write_sweep(directory, replace(sweep, opened=(*sweep.opened, run)))


def finish(directory: Path, sweep: Sweep, found: Mapping[Key, Outcome], now_ns: int) -> bool:
    """Mark a sweep with nothing left to do as finished; returns whether it is."""
    if "open" in states(sweep, found).values():
        return False
    if sweep.finished_ns is None:
        write_sweep(directory, replace(sweep, finished_ns=now_ns))
    return True
