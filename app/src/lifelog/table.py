"""The short table at the end of an experiment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

STAGES = {
    "start": "start Spark",
    "load": "load the model",
    "warm_up": "warm up",
    "measure": "measure",
    "drain": "drain",
    "stop": "stop",
}


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A figure for people; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}{unit}"


def percent(value: float | None) -> str:
    """A share as a percentage with two digits."""
    return "-" if value is None else f"{value:.2%}"


def rows(run: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and value of each row of the table, for one run."""
    stages = run["stages_s"]
    return [
        ("valid", "yes" if run["valid"] else "INVALID"),
        ("images/s", number(run["throughput_images_per_s"])),
        ("accuracy, stream", percent(run["accuracy"])),
        ("accuracy, offline", percent(run["offline_accuracy"])),
        ("wrong predictions", number(run["wrong"])),
        ("produced", number(run["produced"])),
        ("acknowledged", number(run["acknowledged"])),
        ("processed", number(run["processed"])),
        ("lost", number(run["lost"])),
        ("duplicated", number(run["duplicated"])),
        ("damaged", number(run["damaged"])),
        ("latency p50", number(run["latency_ms"]["p50"], unit=" ms")),
        ("latency p99", number(run["latency_ms"]["p99"], unit=" ms")),
        ("micro-batches", number(run["micro_batches"])),
        *((f"{label}", number(stages.get(key), 1, " s")) for key, label in STAGES.items()),
    ]


def footnotes(runs: list[dict[str, Any]]) -> list[str]:
    """Why a run is invalid, what marks it, and why a figure is absent."""
    notes = []
    for run in runs:
        notes += [f"{run['point']}: invalid: {reason}" for reason in run["invalid_reasons"]]
        notes += [f"{run['point']}: {mark}" for mark in run["marks"]]
        notes += [
            f"{run['point']}: no {field}: {why}"
            for field, why in run["absent_because"].items()
            if field != "bottleneck"
        ]
    return notes


def newest_by_point(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest run of each point, in the order of the points."""
    newest: dict[str, dict[str, Any]] = {}
    for run in runs:
        newest[run["point"]] = run
    return list(newest.values())


def show(runs: list[dict[str, Any]], directory: Path) -> None:
    """Print the newest run of each point, a column each."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    chosen = newest_by_point(runs)
    labels = sorted({label for run in chosen for label in run["labels"]})
    title = chosen[0]["title"] + (f" [{', '.join(labels)}]" if labels else "")
    table = Table(title=title.replace("[", r"\["), title_justify="left")
    table.add_column("")
    for run in chosen:
        table.add_column(run["point"], justify="right")
    columns = [rows(run) for run in chosen]
    for line in zip(*columns, strict=True):
        table.add_row(line[0][0], *(value for _, value in line))
    console.print(table)
    for note in footnotes(chosen):
        console.print(f"  {note}", markup=False)
    console.print(f"report: {directory / 'report.html'}", markup=False, soft_wrap=True)
    console.print(f"raw data: {directory}", markup=False, soft_wrap=True)
