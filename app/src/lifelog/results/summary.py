"""Results of an experiment: which runs are pooled, and their summary."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelog.jsonfiles import write_json
from lifelog.results.claims import judge_claims
from lifelog.results.directory import COUNTS, agreed_start_ns, oldest_first
from lifelog.results.hardware import machines, other_machines
from lifelog.stats.runs import mean_interval
from lifelog.verification.rundata import FORMAT


def point_order(runs: list[dict[str, Any]]) -> list[str]:
    """Names of the points by the levels of their factors, whatever order they ran in.

    Levels that are numbers ascend, others keep the order in which they first ran. A point whose
    runs left nothing to read comes last.
    """
    everything = list(dict.fromkeys(run["point"] for run in runs))
    factors = {run["point"]: run["factors"] for run in runs if run["factors"]}
    unknown = [point for point in everything if point not in factors]
    levels: dict[str, list[str]] = {}
    for own in factors.values():
        for key, value in own.items():
            text, known = json.dumps(value, sort_keys=True), levels.setdefault(key, [])
            if text not in known:
                known.append(text)
    if any(own.keys() != levels.keys() for own in factors.values()):
        return everything

    def place(point: str) -> list[float]:
        values = [factors[point][key] for key in levels]
        return [
            float(value)
            if all(_is_number(text) for text in own)
            else own.index(json.dumps(value, sort_keys=True))
            for value, own in zip(values, levels.values(), strict=True)
        ]

    return sorted(factors, key=place) + unknown


def _is_number(text: str) -> bool:
    value = json.loads(text)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def newest_attempts(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest run of each repetition of each point: what the point is judged by."""
    return list({(run["point"], run["repetition"]): run for run in runs}.values())


def latest_settings(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of each point that may be pooled with the newest one that recorded its settings.

    A run without settings failed before it had any: it is kept, and counts as invalid. Settings
    changed by `set=` make other points of the same name, and so do other versions, data, weights or
    machines (where both runs recorded them). A rate that is a share of another point's result
    differs from repetition to repetition: there the share is the setting.
    """
    newest = {run["point"]: run for run in runs if run["settings"]}
    recorded = {run["point"]: run for run in runs if run["provenance"].get("versions")}
    located = {run["point"]: run for run in runs if machines(run["provenance"])}
    kept = []
    for run in runs:
        point = run["point"]
        other = recorded.get(point, run)["provenance"]
        same_software = all(
            not run["provenance"].get(key) or run["provenance"][key] == other.get(key)
            for key in ("versions", "hashes")
        )
        same_settings = not run["settings"] or _identity(run) == _identity(newest[point])
        there = located.get(point, run)["provenance"]
        if same_settings and same_software and not other_machines(run["provenance"], there):
            kept.append(run)
    return kept


def _identity(run: dict[str, Any]) -> str:
    settings = dict(run["settings"])
    if isinstance(run["factors"].get("target_rate"), dict):
        settings.pop("target_rate", None)
    return json.dumps([run["factors"], settings], sort_keys=True)


def warmup_series(directory: Path) -> list[tuple[float, int]]:
    """(seconds since the agreed start, images) of a run's warm-up micro-batches, from its raw data.

    Empty where they cannot be read: run.json says so then, and a figure only lacks its prelude.
    """
    start_ns = agreed_start_ns(directory)
    if start_ns is None:
        return []
    try:
        lines = (directory / "consumer/batches.jsonl").read_text("utf-8").splitlines()
        batches = [json.loads(line) for line in lines]
        return sorted(
            ((batch["completed_ns"] - start_ns) / 1e9, int(batch["warmup_images"]))
            for batch in batches
            if batch["warmup_images"] and not batch["images"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return []


def read_claims(directory: Path) -> list[dict[str, Any]]:
    """The claims of an experiment, as its newest run carries them; [] where it has none."""
    for spec in reversed(oldest_first(directory)):
        try:
            claims = json.loads(spec.read_text("utf-8")).get("claims")
        except (OSError, ValueError, AttributeError):
            # Its run is invalid for that (V13); another one carries the same claims.
            continue
        return list(claims or [])
    return []


def summarise(
    runs: list[dict[str, Any]], claims: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """summary.json of the runs of one experiment; an invalid run counts as such, and in no mean.

    `claims`: those of the experiment, see read_claims.
    """
    points: dict[str, list[dict[str, Any]]] = {name: [] for name in point_order(runs)}
    for run in runs:
        points[run["point"]].append(run)
    return {
        "format": FORMAT,
        "experiment": runs[-1]["experiment"],
        "title": runs[-1]["title"],
        "points": [_point(name, of_point) for name, of_point in points.items()],
        "provenance": _provenance(runs),
        "claims": judge_claims(claims, runs),
    }


def _provenance(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Versions, hashes and machines of the newest run that recorded them (see `compare`)."""
    recorded = [run["provenance"] for run in runs if run["provenance"].get("versions")]
    record = recorded[-1] if recorded else {}
    return {
        "versions": record.get("versions") or {},
        "hashes": record.get("hashes") or {},
        "hardware": machines(record),
    }


def _point(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    valid = [run for run in runs if run["valid"]]
    newest = (valid or [run for run in runs if run["settings"]] or runs)[-1]
    absent = dict(newest["absent_because"]) if valid else {}
    rates = [
        r["throughput_images_per_s"] for r in valid if r["throughput_images_per_s"] is not None
    ]
    throughput: dict[str, Any] | None = None
    if rates:
        interval = mean_interval(rates)
        short = any("short" in run["labels"] for run in valid)
        throughput = {
            "mean": interval.mean,
            "ci95": None if short else interval.ci95,
            "within_run_ci95": newest["within_run_ci95"] if len(rates) == 1 else None,
        }
        if interval.ci95 is None:
            absent["throughput_images_per_s.ci95"] = "one run gives no interval over runs"
        elif short:
            absent["throughput_images_per_s.ci95"] = "declared short: prints no interval"
    one = len(valid) == 1
    latency = newest["latency_ms"] if one else {"p50": None, "p99": None}
    if not valid:
        absent["throughput_images_per_s"] = "no valid run"
    elif not one:
        absent["latency_ms"] = "percentiles of several runs are not averaged: see each run"
    return {
        "point": name,
        "factors": newest["factors"],
        "settings": newest["settings"],
        "runs": len(runs),
        "invalid_runs": len(runs) - len(valid),
        "invalid_reasons": [
            f"{run['run']}: {reason}" for run in runs for reason in run["invalid_reasons"]
        ],
        "mode": newest["mode"],
        "throughput_images_per_s": throughput,
        "valid_runs_images_per_s": rates,
        "latency_ms": latency if valid else {"p50": None, "p99": None},
        "accuracy": newest["accuracy"] if valid else None,
        "offline_accuracy": newest["offline_accuracy"],
        **{name: _total(valid, name) for name in (*COUNTS, "backlog")},
        "bottleneck": newest.get("bottleneck") if valid else None,
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
