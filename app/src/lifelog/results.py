"""Results of an experiment: its runs read back, and their summary."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.jobs import write_json
from lifelog.stats.runs import mean_interval

FORMAT = 1
COUNTS = ("produced", "processed", "lost", "duplicated")


def read_runs(directory: Path) -> list[dict[str, Any]]:
    """Every run.json below `directory`, oldest first; UserError where one cannot be used."""
    if not directory.is_dir():
        raise UserError(f"{directory} does not exist: run the experiment first")
    files = [
        folder / "run.json" for folder in directory.iterdir() if (folder / "spec.json").exists()
    ]
    runs = []
    for file in sorted(files, key=lambda f: (f.parent / "spec.json").stat().st_mtime_ns):
        try:
            run = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            # Interrupted before it was verified: it has no figure to show.
            continue
        except ValueError as error:
            raise UserError(
                f"{file} is cut off ({error}): run `lifelog verify {file.parent}` to make it anew"
            ) from error
        if run.get("format") != FORMAT:
            raise UserError(
                f"{file} has format {run.get('format')} and this version reads format {FORMAT}: "
                "move the old results away"
            )
        runs.append(run)
    if not runs:
        raise UserError(f"{directory} holds no finished run: run the experiment first")
    return runs


def latest_settings(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of each point whose settings are those of its newest run.

    Settings changed by `set=` make other points of the same name; they are never pooled.
    """

    def identity(run: dict[str, Any]) -> str:
        return json.dumps([run["point"], run["settings"]], sort_keys=True)

    newest = {run["point"]: identity(run) for run in runs}
    return [run for run in runs if identity(run) == newest[run["point"]]]


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """summary.json of the runs of one experiment; an invalid run counts as such, and in no mean."""
    points: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        points.setdefault(run["point"], []).append(run)
    return {
        "format": FORMAT,
        "experiment": runs[-1]["experiment"],
        "title": runs[-1]["title"],
        "points": [_point(name, of_point) for name, of_point in points.items()],
        "claims": [],
    }


def _point(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    valid = [run for run in runs if run["valid"]]
    newest = (valid or runs)[-1]
    absent = dict(newest["absent_because"]) if valid else {}
    rates = [
        r["throughput_images_per_s"] for r in valid if r["throughput_images_per_s"] is not None
    ]
    throughput: dict[str, Any] | None = None
    if rates:
        interval = mean_interval(rates)
        throughput = {
            "mean": interval.mean,
            "ci95": interval.ci95,
            "within_run_ci95": newest["within_run_ci95"] if len(rates) == 1 else None,
        }
        if interval.ci95 is None:
            absent["throughput_images_per_s.ci95"] = "one run gives no interval over runs"
    one = len(valid) == 1
    latency = newest["latency_ms"] if one else {"p50": None, "p99": None}
    if not valid:
        absent["throughput_images_per_s"] = "no valid run"
    elif not one:
        absent["latency_ms"] = "percentiles of several runs are not averaged: see each run"
    return {
        "point": name,
        "factors": newest["factors"],
        "runs": len(runs),
        "invalid_runs": len(runs) - len(valid),
        "invalid_reasons": [
            f"{run['run']}: {reason}" for run in runs for reason in run["invalid_reasons"]
        ],
        "mode": newest["mode"],
        "throughput_images_per_s": throughput,
        "latency_ms": latency if valid else {"p50": None, "p99": None},
        "accuracy": newest["accuracy"] if valid else None,
        "offline_accuracy": newest["offline_accuracy"],
        **{name: _total(valid, name) for name in COUNTS},
        "bottleneck": None,
        "labels": sorted({label for run in runs for label in run["labels"]}),
        "absent_because": absent,
    }


def _total(runs: list[dict[str, Any]], name: str) -> int | None:
    values = [run[name] for run in runs]
    return None if not values or None in values else sum(values)


def write_summary(directory: Path, summary: dict[str, Any]) -> None:
    """Write summary.json and point `latest`, beside the experiment's directory, at it."""
    directory = directory.resolve()
    write_json(directory / "summary.json", summary)
    link = directory.parent / f".latest.{os.getpid()}"
    link.symlink_to(directory.name)
    link.replace(directory.parent / "latest")
