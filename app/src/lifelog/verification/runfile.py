"""The content of run.json: what one run gave, and whether it counts."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lifelog.experiment.runname import RUN_PATTERN
from lifelog.verification.accounting import Account
from lifelog.verification.callsfile import MOST_EXAMPLES, Calls
from lifelog.verification.figures import counted_batches
from lifelog.verification.judgement import Judgement
from lifelog.verification.rules import Evidence, names
from lifelog.verification.rundata import FORMAT, RunData
from lifelog.verification.trial import judge_run
from lifelog.verification.utilisation import judged

_FIELDS = (
    *("title", "mode", "throughput_images_per_s", "within_run_ci95", "measured_s"),
    *("accuracy", "offline_accuracy", "produced", "acknowledged", "failed", "unsent"),
    *("processed", "backlog", "lost", "duplicated", "never_sent", "damaged", "malformed"),
    *("wrong", "near_ties", "bottleneck"),
)


def document(e: Evidence, judgement: Judgement) -> dict[str, Any]:
    """run.json of a run that could be read; what it lacks is null, and `absent_because` says why."""
    data, calls, account, figures = e.data, e.calls, e.account, e.figures
    spec, settings = data.spec, data.spec.settings
    absent = dict(figures.absent)
    accuracy = _accuracy(data, calls, absent)
    produced = _produced(data, absent)
    counts = _counts(calls, account, absent)
    run = {
        "format": FORMAT,
        "experiment": spec.experiment,
        "title": spec.title,
        "point": spec.point,
        "run": spec.run,
        "repetition": spec.repetition,
        "factors": spec.factors,
        "settings": settings,
        "mode": settings["mode"],
        "valid": not judgement.invalid,
        "invalid_reasons": judgement.invalid,
        "marks": judgement.marks,
        "labels": [
            *(["short"] if spec.short else []),
            *(["emulated"] if settings["engine"] == "emulated" else []),
            *(["reduced"] if spec.reduced else []),
            *(["scale-model"] if settings.get("time_dilation", 1) > 1 else []),
        ],
        "throughput_images_per_s": figures.throughput,
        "within_run_ci95": list(figures.interval) if figures.interval else None,
        "micro_batches": figures.micro_batches,
        "measured_s": figures.measured_s,
        "latency_ms": {"p50": figures.p50_ms, "p99": figures.p99_ms},
        "latency_histogram": figures.histogram,
        "accuracy": accuracy,
        "offline_accuracy": spec.model.get("offline_accuracy"),
        **produced,
        **counts,
        "examples": _examples(calls, account),
        "stages_s": {**data.consumer.stages_s, **data.stages},
        "absent_because": absent,
        "series": _series(data),
        "batch_breakdown_ms": _batch_breakdown(data),
        "call_breakdown_us_per_image": _call_breakdown(calls),
        "node_metrics": e.node_metrics,
        "provenance": {
            "versions": data.consumer.versions,
            "spark_conf": data.consumer.spark_conf,
            "app_id": data.consumer.app_id,
            "model_loads": data.consumer.model_loads,
            "max_offsets_per_trigger": data.consumer.max_offsets_per_trigger,
            "placement": {
                "leaders": data.consumer.leaders_observed,
                "executors": sorted(set(data.consumer.executors)),
            },
            "hashes": {
                "dataset": spec.dataset.get("sha256"),
                "model": spec.model.get("sha256"),
                "code": data.cluster.get("app_sha256"),
            },
            "image_bytes": spec.dataset.get("image_bytes"),
            "seed": spec.seed,
            "hosts": data.nodes,
        },
    }
    return run | judged(run)


def search_part(e: Evidence, judgement: Judgement) -> dict[str, Any]:
    """`search`: what a run is part of, and of a trial its outcome; nothing where it is no search."""
    search = e.data.spec.search
    if search is None:
        return {}
    if search.get("trial") is None:
        return {"search": search}
    limit_ms = search["latency_limit_ms"]
    found = judge_run(e.data, judgement.invalid, e.figures.p99_ms, limit_ms)
    return {"search": {**search, "trial": {**search["trial"], **asdict(found)}}}


def _accuracy(data: RunData, calls: Calls | None, absent: dict[str, str]) -> float | None:
    if data.spec.settings["engine"] == "emulated":
        absent["accuracy"] = "the emulated engine predicts nothing (V5 does not apply)"
    elif calls is None:
        absent["accuracy"] = "the raw results are not complete"
    elif not calls.judged:
        absent["accuracy"] = "no prediction was counted"
    else:
        return calls.correct / calls.judged
    return None


def _produced(data: RunData, absent: dict[str, str]) -> dict[str, int | None]:
    """Sums over the producers; `produced` is what was sent, acknowledged or not."""
    fields = ("produced", "acknowledged", "failed", "unsent")
    missing = len(data.spec.producers) - len(data.producers)
    if missing:
        absent.update(dict.fromkeys(fields, f"{missing} producers left no report"))
        return dict.fromkeys(fields)
    reports = list(data.producers.values())
    return {
        "produced": sum(report.scheduled - report.unsent for report in reports),
        "acknowledged": sum(report.acknowledged for report in reports),
        "failed": sum(report.failed for report in reports),
        "unsent": sum(report.unsent for report in reports),
    }


def _counts(
    calls: Calls | None, account: Account | None, absent: dict[str, str]
) -> dict[str, int | None]:
    counts: dict[str, int | None] = {}
    for name in ("processed", "lost", "duplicated", "never_sent"):
        counts[name] = None if account is None else getattr(account, name)
        if account is None:
            absent[name] = "the account of every image needs all raw results and reports"
    if calls is not None:
        counts["processed"] = calls.images
        absent.pop("processed", None)
    for name in ("backlog", "damaged", "malformed", "wrong", "near_ties"):
        counts[name] = None if calls is None else getattr(calls, name)
        if calls is None:
            absent[name] = "the raw results are not complete"
    return counts


def _examples(calls: Calls | None, account: Account | None) -> dict[str, list[str]]:
    examples = {kind: list(cases) for kind, cases in (calls.examples if calls else {}).items()}
    if calls is not None and calls.faults:
        examples["inferred_twice"] = [str(fault) for fault in calls.faults[:MOST_EXAMPLES]]
    if account is not None:
        for kind in ("lost", "duplicated", "never_sent", "unacknowledged_arrived"):
            ranges = getattr(account, f"{kind}_ranges")
            if ranges:
                examples[kind] = names(ranges[:MOST_EXAMPLES])
    return examples


def _series(data: RunData) -> dict[str, list[Any]]:
    batches = [line for line in data.batches or [] if line.images]
    start_ns = data.consumer.start_ns
    if start_ns is None:
        return {"completed_s": [], "images": [], "duration_s": [], "lag_records": []}
    return {
        "completed_s": [_seconds(line.completed_ns - start_ns) for line in batches],
        "images": [line.images for line in batches],
        "duration_s": [_seconds(line.completed_ns - line.started_ns) for line in batches],
        "lag_records": [[_seconds(line.at_ns - start_ns), line.lag_records] for line in data.lag],
    }


def _seconds(ns: int) -> float:
    return round(ns / 1e9, 4)


def _batch_breakdown(data: RunData) -> dict[str, float]:
    """Mean of Spark's own `durationMs` parts over the counted micro-batches."""
    counted = {line.batch for line in counted_batches(data)}
    parts: dict[str, list[float]] = {}
    events = [event for event in data.progress if event.get("batchId") in counted]
    for event in events:
        durations = event.get("durationMs")
        for name, value in (durations if isinstance(durations, dict) else {}).items():
            if isinstance(value, (int, float)):
                parts.setdefault(name, []).append(float(value))
    return {name: round(sum(values) / len(events), 3) for name, values in parts.items()}


def _call_breakdown(calls: Calls | None) -> dict[str, float]:
    if calls is None or not calls.images:
        return {}
    return {
        "convert": round(calls.convert_ns / 1e3 / calls.images, 4),
        "infer": round(calls.infer_ns / 1e3 / calls.images, 4),
    }


def unreadable(directory: Path, fault: str | None) -> dict[str, Any]:
    """run.json of a directory whose spec.json cannot be read: all that its name says."""
    match = RUN_PATTERN.fullmatch(directory.name)
    reason = f"V13: {fault or 'spec.json cannot be used'}"
    empty: dict[str, Any] = dict.fromkeys(_FIELDS)
    return {
        "format": FORMAT,
        "experiment": directory.resolve().parent.name,
        "point": match["point"] if match else directory.name,
        "run": directory.name,
        "repetition": int(match["repetition"]) if match else 0,
        "valid": False,
        "invalid_reasons": [reason],
        "marks": [],
        "labels": [],
        "factors": {},
        "settings": {},
        **empty,
        "micro_batches": 0,
        "latency_ms": {"p50": None, "p99": None},
        "latency_histogram": [],
        "examples": {},
        "stages_s": {},
        "absent_because": dict.fromkeys(empty, reason),
        "series": {"completed_s": [], "images": [], "duration_s": [], "lag_records": []},
        "batch_breakdown_ms": {},
        "call_breakdown_us_per_image": {},
        "node_metrics": {},
        "utilisation": [],
        "provenance": {},
    }


def finite(value: Any) -> Any:
    """JSON has no NaN or infinity; a figure that is one is absent."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value
