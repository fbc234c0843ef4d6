"""From points to runs: in which order, with how much time and disk, and what one run needs."""

from __future__ import annotations

import json
import random
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelog.encodings import encoding
from lifelog.errors import UserError
from lifelog.placement import Cluster, Placement, place
from lifelog.schema import Experiment, Point
from lifelog.settings import SIZED_MODES, Settings, Share

RUN_PATTERN = re.compile(r"(?P<point>.+)-r(?P<repetition>\d{2,})-a(?P<attempt>\d{2,})")
# Values of one image where the dataset is not at hand: 28 x 28, as all the MNIST family has.
DEFAULT_IMAGE_VALUES = 784
# Kafka's default limit of a record batch, less its own header and the record's key.
MAX_RECORD_BYTES = 1_048_576 - 256
# For the disk: what one saturated producer cannot exceed (measured: 42,000 records/s, 118 MB/s),
# and what all producers of a node cannot (1 Gbit/s).
_PRODUCER_RECORDS_PER_S = 42_000
_PRODUCER_BYTES_PER_S = 118e6
_NODE_BYTES_PER_S = 125e6
_RECORD_OVERHEAD_BYTES = 40
# For the time: start-up and clean-up of a run, and images/s where nothing is known.
_RUN_OVERHEAD_S = 40.0
_GUESSED_IMAGES_PER_S = 20_000


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run to do. `needs_point`: the point whose result, in this repetition, sets its rate."""

    run: str
    point: str
    repetition: int
    mode: str
    needs_point: str | None
    duration_estimate_s: float


def run_order(experiment: Experiment) -> list[tuple[int, Point]]:
    """(repetition, point) in the order of running (METHOD V14).

    One block is one repetition of all points, in seeded random order; points whose rate is a share
    of another point's result come right after it.
    """
    order: list[tuple[int, Point]] = []
    generator = random.Random(experiment.seed)
    derived: dict[str | None, list[Point]] = {}
    for point in experiment.points:
        derived.setdefault(point.source, []).append(point)

    def append(repetition: int, source: str | None) -> None:
        block = list(derived.get(source, []))
        generator.shuffle(block)
        for point in block:
            order.append((repetition, point))
            append(repetition, point.name)

    for repetition in range(1, experiment.repetitions + 1):
        append(repetition, None)
    return order


def plan_runs(experiment: Experiment, cluster: Cluster, results: Path) -> list[PlannedRun]:
    """The runs of an experiment in order; UserError where a point does not fit the inventory."""
    for point in experiment.points:
        place(point.name, point.settings, cluster)
    return [
        PlannedRun(
            run=next_run_name(results / experiment.name, point.name, repetition),
            point=point.name,
            repetition=repetition,
            mode=point.settings.mode,
            needs_point=point.source,
            duration_estimate_s=round(duration_estimate_s(point.settings), 1),
        )
        for repetition, point in run_order(experiment)
    ]


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


def duration_estimate_s(settings: Settings) -> float:
    """Wall-clock time of one run, roughly."""
    seconds = settings.duration_s
    if settings.mode in SIZED_MODES:
        seconds = settings.producers * (settings.images_per_producer or 0) / _GUESSED_IMAGES_PER_S
    if settings.mode == "saturation":
        # What piled up is processed as well, so that every image is accounted for.
        seconds += min(settings.drain_timeout_s, settings.duration_s)
    return _RUN_OVERHEAD_S + settings.warmup_s + seconds


def disk_bytes_per_broker(
    experiment: Experiment, cluster: Cluster, image_values: Mapping[str, int] | None = None
) -> int:
    """Room that the largest run needs on each broker; topics are deleted after their run.

    `image_values`: pixels times channels of an image, by dataset name (784 where not given).
    """
    most = 0.0
    for point in experiment.points:
        s = point.settings
        values = (image_values or {}).get(s.dataset, DEFAULT_IMAGE_VALUES)
        record = s.images_per_record * values * encoding(s.encoding).bytes_per_value
        record += _RECORD_OVERHEAD_BYTES
        brokers = len(place(point.name, s, cluster).brokers)
        if s.mode in SIZED_MODES:
            stored = s.producers * (s.images_per_producer or 0) / s.images_per_record * record
        elif s.mode == "paced" and not isinstance(s.target_rate, Share):
            stored = (s.target_rate or 0) * s.duration_s / s.images_per_record * record
        else:
            each = min(_PRODUCER_RECORDS_PER_S * record, _PRODUCER_BYTES_PER_S)
            stored = min(s.producers * each, brokers * _NODE_BYTES_PER_S) * s.duration_s
        most = max(most, stored * s.replication / brokers)
    return int(most)


def resolved_settings(point: Point, cluster: Cluster) -> dict[str, Any]:
    """A point's settings with the numbers of brokers and workers that it really uses."""
    placement = place(point.name, point.settings, cluster)
    used = {"brokers": len(placement.brokers), "workers": placement.workers}
    return {**point.settings.model_dump(), **used}


def resolve_rate(
    experiment: Experiment, point: Point, repetition: int, results: Path, cluster: Cluster
) -> float | None:
    """Target rate (images/s) of a point, from the valid run of its source where it is a share.

    Only a run of this repetition with the settings that its point has now counts, the latest
    attempt first. UserError where there is none.
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
    raise UserError(
        f"point {point.name}: its rate is a share of {rate.of}, which has no valid result in "
        f"repetition {repetition} ({why}): repeat that point first"
    )


def build_spec(
    experiment: Experiment,
    run: str,
    cluster: Cluster,
    bundle: Any,
    target_rate: float | None,
) -> dict[str, Any]:
    """spec.json of one run: everything that producers, consumer and verification need.

    `bundle`, one or a list: {"dataset_file", "model_file", "dataset": {"name", "sha256", "images",
    "shape"}, "model": {"name", "sha256", "offline_accuracy"}}. UserError where the run is not one
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
    record_bytes = dataset["image_bytes"] * s.images_per_record
    if record_bytes > MAX_RECORD_BYTES:
        raise UserError(
            f"point {point.name}: images_per_record: {s.images_per_record} images of "
            f"{dataset['image_bytes']} bytes are {record_bytes} bytes, and Kafka takes "
            f"{MAX_RECORD_BYTES}: choose 1 to {MAX_RECORD_BYTES // dataset['image_bytes']}"
        )
    master = cluster.masters[0]
    return {
        "format": 1,
        "experiment": experiment.name,
        "title": experiment.title,
        "point": point.name,
        "repetition": repetition,
        "run": run,
        "short": experiment.short,
        "min_duration_s": experiment.min_duration_s,
        "min_batches": experiment.min_batches,
        "factors": point.factors,
        "settings": {**resolved_settings(point, cluster), "target_rate": target_rate},
        "seed": experiment.seed,
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
        "producers": _producers(s, placement, target_rate),
        "dataset_file": bundle["dataset_file"],
        "model_file": bundle["model_file"],
        "dataset": dataset,
        "model": dict(bundle["model"]),
    }


def choose_bundle(bundles: Any, settings: Settings) -> Mapping[str, Any]:
    """The bundle of a point's dataset and model, from one bundle or a list of them.

    UserError where there is none: a run must not be labelled with data that it did not use.
    """
    candidates = bundles if isinstance(bundles, list) else [bundles]
    for bundle in candidates:
        try:
            names = (bundle["dataset"]["name"], bundle["model"]["name"])
        except (KeyError, TypeError):
            raise UserError("--bundle: give the JSON that `lifelog prepare` prints") from None
        if names == (settings.dataset, settings.model):
            return dict(bundle)
    raise UserError(
        f"--bundle: there is none of dataset {settings.dataset} with model {settings.model}: make "
        f"it with `lifelog prepare --dataset {settings.dataset} --model {settings.model}`"
    )


def point_of(experiment: Experiment, run: str) -> tuple[Point, int]:
    """The point and the repetition that a run's name stands for; UserError where it is not one."""
    match = RUN_PATTERN.fullmatch(run)
    if not match:
        raise UserError(f"run {run!r}: a run is called POINT-rNN-aNN, as `lifelog plan` prints it")
    return experiment.point(match["point"]), int(match["repetition"])


def _producers(s: Settings, placement: Placement, rate: float | None) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "host": broker.host,
            "address": broker.address,
            "rate": None if rate is None else rate / s.producers,
            "images": s.images_per_producer,
        }
        for number, broker in enumerate(placement.producer_brokers, start=1)
    ]
