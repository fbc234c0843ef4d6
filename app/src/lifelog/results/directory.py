"""An experiment's directory of results, read back with distrust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.experiment.runname import RUN_PATTERN
from lifelog.verification.rundata import FORMAT

COUNTS = ("produced", "processed", "lost", "duplicated", "wrong")
# Without these a run.json of this format was not written by `lifelog verify`.
_NEEDED = (
    *("experiment", "title", "point", "run", "repetition", "valid", "invalid_reasons", "marks"),
    *("labels", "factors", "settings", "mode", "throughput_images_per_s", "within_run_ci95"),
    *("measured_s", "micro_batches", "latency_ms", "latency_histogram", "absent_because"),
    *("series", "stages_s", "batch_breakdown_ms", "provenance", *COUNTS),
)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A run of which nothing can be shown, and why; `replaced`: its repetition has another run."""

    run: str
    reason: str
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Results:
    """What an experiment's directory holds: its runs, oldest first, and those of no use."""

    runs: list[dict[str, Any]]
    unusable: list[Unusable]


def trial_outcome(run: Mapping[str, Any]) -> str | None:
    """What a trial's load came to; None for a run that is no trial, or is to be repeated.

    With an outcome, a run that is invalid is a result too: it says that its load is not carried.
    """
    return ((run.get("search") or {}).get("trial") or {}).get("outcome")


def read_results(directory: Path) -> Results:
    """Every run below `directory`; UserError where there is none that can be used.

    A run.json that is missing, cut off or of another format is no reason to hide the other runs: it
    is named as unusable. So is a run whose directory is gone: attempts and repetitions of a point
    are numbered without gaps.
    """
    if not directory.is_dir():
        raise UserError(f"{directory} does not exist: run the experiment first")
    specs = oldest_first(directory)
    runs, unusable = [], []
    for spec in specs:
        found = _read_run(spec.parent)
        if isinstance(found, str):
            unusable.append(Unusable(spec.parent.name, found))
        else:
            # Older runs have no backlog: they processed all that they sent.
            runs.append({"backlog": 0} | found)
    if not runs and unusable:
        raise UserError(
            f"{directory} holds no run that can be used: {unusable[-1].run}: {unusable[-1].reason}"
        )
    if not runs:
        raise UserError(f"{directory} holds no finished run: run the experiment first")
    gone = _gaps([spec.parent.name for spec in specs])
    unusable += [Unusable(run, "its directory is missing") for run in gone]
    there = {(run["point"], run["repetition"]) for run in runs}
    return Results(
        runs,
        [replace(own, replaced=_repetition(own.run) in there) for own in unusable],
    )


def agreed_start_ns(directory: Path) -> int | None:
    """When producers and consumer of a run agreed to start (ns since 1970), from its raw data."""
    try:
        return int(
            json.loads((directory / "consumer/consumer.json").read_text("utf-8"))["start_ns"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def oldest_first(directory: Path) -> list[Path]:
    """The spec.json of each run below `directory`.

    By the start that the run itself recorded: a copy of the results has other times on its files.
    A run that never came so far has its file's time only.
    """
    specs = [folder / "spec.json" for folder in directory.iterdir()]

    def age(spec: Path) -> tuple[int, int, str]:
        written_ns = spec.stat().st_mtime_ns
        return agreed_start_ns(spec.parent) or written_ns, written_ns, spec.parent.name

    return sorted((spec for spec in specs if spec.exists()), key=age)


def _repetition(run: str) -> tuple[str, int] | None:
    match = RUN_PATTERN.fullmatch(run)
    return (match["point"], int(match["repetition"])) if match else None


def _read_run(directory: Path) -> dict[str, Any] | str:
    """run.json, with the labels and the figure's axes of its spec.json; or why it is of no use."""
    verify = f"`lifelog verify {directory}` makes it anew"
    try:
        run = json.loads((directory / "run.json").read_text("utf-8"))
    except FileNotFoundError:
        return f"it was interrupted before it was verified: {verify}"
    except (OSError, ValueError) as error:
        return f"run.json is cut off or cannot be read ({error}): {verify}"
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        own = run.get("format") if isinstance(run, dict) else None
        return f"run.json has format {own} and this version reads format {FORMAT}: move it away"
    lacking = [key for key in _NEEDED if key not in run]
    if lacking:
        return f"run.json lacks {', '.join(lacking)}: {verify}"
    try:
        spec = json.loads((directory / "spec.json").read_text("utf-8"))
    except (OSError, ValueError):
        spec = None
    if isinstance(spec, dict):
        run.setdefault("figure", spec.get("figure"))
        run.setdefault("sweep", spec.get("sweep"))
        labels = spec.get("labels")
        own = [str(label) for label in labels] if isinstance(labels, list) else []
        own += ["reduced"] if spec.get("reduced") else []
        run["labels"] = list(dict.fromkeys([*run["labels"], *own]))
    return run


def _gaps(names: list[str]) -> list[str]:
    """Runs that must have been there: earlier attempts, and earlier repetitions' first ones."""
    found: dict[tuple[str, int], set[int]] = {}
    for name in names:
        if match := RUN_PATTERN.fullmatch(name):
            of_point = found.setdefault((match["point"], int(match["repetition"])), set())
            of_point.add(int(match["attempt"]))
    last: dict[str, int] = {}
    for point, repetition in found:
        last[point] = max(repetition, last.get(point, 0))
    return [
        f"{point}-r{repetition:02d}-a{attempt:02d}"
        for point, repetitions in last.items()
        for repetition in range(1, repetitions + 1)
        for attempt in range(1, max(found.get((point, repetition), {1})) + 1)
        if attempt not in found.get((point, repetition), set())
    ]
