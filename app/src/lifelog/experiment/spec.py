"""What one run needs: the content of its spec.json."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lifelog.encodings import encoding
from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment, Point
from lifelog.experiment.placement import Cluster, Placement, place
from lifelog.experiment.runname import RUN_PATTERN, attempts
from lifelog.experiment.searchrules import SearchRules
from lifelog.experiment.settings import Settings, Share, drain_timeout_s

# Kafka's default limit of a record batch, less its own header and the record's key.
MAX_RECORD_BYTES = 1_048_576 - 256


class NoSourceError(UserError):
    """A point's rate is a share of the result of another point, which has none."""


def resolved_settings(point: Point, cluster: Cluster) -> dict[str, Any]:
    """A point's settings, those that were left open with what the run really uses."""
    placement = place(point.name, point.settings, cluster)
    used = {
        "brokers": len(placement.brokers),
        "workers": placement.workers,
        "drain_timeout_s": drain_timeout_s(point.settings),
    }
    return {**point.settings.model_dump(), **used}


def resolve_rate(
    experiment: Experiment, point: Point, repetition: int, results: Path, cluster: Cluster
) -> float | None:
    """Target rate (images/s) of a point, from the valid run of its source where it is a share.

    Only a run of this repetition with the settings that its point has now counts, the latest
    attempt first. NoSourceError where there is none.
    """
    rate = point.settings.target_rate
    if not isinstance(rate, Share):
        return rate
    source = resolved_settings(experiment.point(rate.of), cluster)
    del source["target_rate"]
    why = "it has not run"
    for _, directory in reversed(attempts(results / experiment.name, rate.of, repetition)):
        try:
            run = json.loads((directory / "run.json").read_text(encoding="utf-8"))
            settings = {key: run["settings"][key] for key in source}
            valid, reached = run["valid"], run["throughput_images_per_s"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if settings != source:
            continue
        if valid and reached:
            return rate.share * float(reached)
        if valid:
            why = f"{directory.name} ran too short to have a rate"
        else:
            why = f"{directory.name} is not valid: {'; '.join(run.get('invalid_reasons') or ['?'])}"
        break
    raise NoSourceError(
        f"point {point.name}: its rate is a share of {rate.of}, which has no valid result in "
        f"repetition {repetition} ({why}): repeat that point first"
    )


def build_spec(
    experiment: Experiment,
    run: str,
    cluster: Cluster,
    bundle: Any,
    target_rate: float | None,
    sweep: str | None = None,
) -> dict[str, Any]:
    """spec.json of one run: everything that producers, consumer and verification need.

    `bundle`, one or a list: {"dataset_file", "model_file", "dataset": {"name", "sha256", "images",
    "shape"}, "model": {"name", "sha256", "offline_accuracy"}}. `sweep`: the id of the sweep that
    the run belongs to. UserError where the run is not one
    of the experiment's, or its records are too large for Kafka.
    """
    point, repetition = point_of(experiment, run)
    s = point.settings
    placement = place(point.name, s, cluster)
    bundle = choose_bundle(bundle, s)
    dataset = dict(bundle["dataset"])
    values = 1
    for length in dataset["shape"]:
        values *= int(length)
    dataset["image_bytes"] = values * encoding(s.encoding).bytes_per_value
    check_record(point.name, s, values)
    master = cluster.masters[0]
    return {
        "format": 1,
        "experiment": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "figure": None if experiment.figure is None else experiment.figure.axes(),
        "reduced": bool(experiment.reduced),
        "sweep": sweep,
        "point": point.name,
        "repetition": repetition,
        "run": run,
        "short": experiment.short,
        "min_duration_s": experiment.min_duration_s,
        "min_batches": experiment.min_batches,
        "factors": point.factors,
        "search": None if experiment.search is None else _search(experiment.search, point),
        "settings": {**resolved_settings(point, cluster), "target_rate": target_rate},
        "seed": experiment.seed,
        # Each run carries them: the report has nothing but the results.
        "claims": [claim.plain() for claim in experiment.claims],
        # Fresh even where results were removed by hand and run names begin anew (V10).
        "topic": f"{experiment.name}-{run}-{secrets.token_hex(4)}",
        "bootstrap_servers": [f"{b.address}:{b.port}" for b in placement.brokers],
        "brokers": [b.model_dump() for b in placement.brokers],
        "replica_assignment": [list(replicas) for replicas in placement.replica_assignment],
        "workers": placement.workers,
        "worker_addresses": [worker.address for worker in cluster.workers],
        "cores_per_worker": placement.cores_per_worker,
        "slots": placement.slots,
        "executor_memory_mb": placement.executor_memory_mb,
        "driver_memory_mb": cluster.driver_memory_mb,
        "master_url": f"spark://{master.address}:{master.port}",
        "driver_address": master.address,
        "producers": _producers(s, placement, target_rate, cluster),
        "dataset_file": bundle["dataset_file"],
        "model_file": bundle["model_file"],
        "dataset": dataset,
        "model": dict(bundle["model"]),
    }


def _search(rules: SearchRules, point: Point) -> dict[str, Any]:
    trial = None if point.trial is None else asdict(point.trial)
    return {**rules.model_dump(), "trial": trial}


def check_record(point: str, s: Settings, values: int) -> None:
    """UserError where a record of `values` values an image is larger than Kafka takes."""
    image_bytes = values * encoding(s.encoding).bytes_per_value
    record_bytes = image_bytes * s.images_per_record
    if record_bytes > MAX_RECORD_BYTES:
        raise UserError(
            f"point {point}: images_per_record: {s.images_per_record} images of {image_bytes} "
            f"bytes are {record_bytes} bytes, and Kafka takes {MAX_RECORD_BYTES}: choose 1 to "
            f"{MAX_RECORD_BYTES // image_bytes}"
        )


def choose_bundle(bundles: Any, settings: Settings) -> Mapping[str, Any]:
    """The bundle of a point's dataset and model, from one bundle or a list of them.

    UserError where there is none: a run must not be labelled with data that it did not use.
    """
    candidates = bundles if isinstance(bundles, list) else [bundles]
    for bundle in candidates:
        try:
            names = (bundle["dataset"]["name"], bundle["model"]["name"])
            origin = (bundle.get("dataset_source"), bundle.get("dataset_sha256"))
        except (KeyError, TypeError):
            raise UserError("--bundle: give the JSON that `lifelog prepare` prints") from None
        if names == (settings.dataset, settings.model) and origin == (
            settings.dataset_source,
            settings.dataset_sha256,
        ):
            return dict(bundle)
    raise UserError(
        f"--bundle: there is none of dataset {settings.dataset} with model {settings.model}: make "
        "it with `lifelog prepare --experiment`"
    )


def point_of(experiment: Experiment, run: str) -> tuple[Point, int]:
    """The point and the repetition that a run's name stands for; UserError where it is not one."""
    match = RUN_PATTERN.fullmatch(run)
    if not match:
        raise UserError(f"run {run!r}: a run is called POINT-rNN-aNN, as `lifelog plan` prints it")
    return experiment.point(match["point"]), int(match["repetition"])


def _producers(
    s: Settings, placement: Placement, rate: float | None, cluster: Cluster
) -> list[dict[str, Any]]:
    # On a machine that workers share, producers as fast as they can would take its cores from them
    # and pile up a backlog; they get what the pipeline leaves. A schedule is kept, and is light.
    shared = cluster.worker_kernels() if s.mode != "paced" else set()
    return [
        {
            "id": number,
            "host": broker.host,
            "address": broker.address,
            "rate": None if rate is None else rate / s.producers,
            "images": s.images_per_producer,
            "yields_cpu": cluster.kernels.get(broker.host) in shared,
        }
        for number, broker in enumerate(placement.producer_brokers, start=1)
    ]
