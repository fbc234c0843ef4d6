"""From points to runs: in which order, with how much time and disk, and what one run needs."""

from __future__ import annotations

import json
import math
import random
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lifelog.encodings import encoding
from lifelog.errors import UserError
from lifelog.experiment.estimate import DEFAULT_IMAGE_VALUES, duration_estimate_s, earlier_run
from lifelog.experiment.placement import Cluster, Placement, place
from lifelog.experiment.schema import Experiment, Point
from lifelog.experiment.searchrules import TRIAL, SearchRules
from lifelog.experiment.settings import Settings, Share

RUN_PATTERN = re.compile(r"(?P<point>.+)-r(?P<repetition>\d{2,})-a(?P<attempt>\d{2,})")
# Kafka's default limit of a record batch, less its own header and the record's key.
MAX_RECORD_BYTES = 1_048_576 - 256
# Datasets of that shape: their records can be measured before the data are at hand.
_SMALL_DATASETS = ("mnist-t10k", "mnist", "fashion-mnist")


class NoSourceError(UserError):
    """A point's rate is a share of the result of another point, which has none."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run to do. `needs_point`: the point whose result, in this repetition, sets its rate.

    `number` of `of`: its place in the whole sweep; of a search at most so many.
    """

    run: str
    point: str
    repetition: int
    mode: str
    needs_point: str | None
    duration_estimate_s: float
    number: int
    of: int


def run_order(experiment: Experiment) -> list[tuple[int, Point]]:
    """(repetition, point) in the order of running.

    One block is one repetition of all points, in seeded random order; points whose rate is a share
    of another point's result come right after it. Of a search only the seed is known beforehand.
    """
    order: list[tuple[int, Point]] = []
    generator = random.Random(experiment.seed)
    derived: dict[str | None, list[Point]] = {}
    for point in experiment.points:
        if experiment.search is not None and point.name == TRIAL:
            continue
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


def check_points(
    experiment: Experiment, cluster: Cluster, image_values: Mapping[str, int] | None = None
) -> None:
    """UserError that names every point which the inventory or Kafka cannot hold.

    `image_values`: pixels times channels of an image, by dataset name. Records of a dataset that is
    neither there nor of the MNIST family are measured when their run begins.
    """
    known = {**dict.fromkeys(_SMALL_DATASETS, DEFAULT_IMAGE_VALUES), **(image_values or {})}
    faults = []
    for point in experiment.points:
        try:
            place(point.name, point.settings, cluster)
            if point.settings.dataset in known:
                _check_record(point.name, point.settings, known[point.settings.dataset])
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserError("; ".join(dict.fromkeys(faults)))


def plan_runs(
    experiment: Experiment,
    cluster: Cluster,
    results: Path,
    image_values: Mapping[str, int] | None = None,
) -> list[PlannedRun]:
    """All runs of an experiment in order; UserError where a point cannot be run (`check_points`)."""
    check_points(experiment, cluster, image_values)
    directory = results / experiment.name
    took = {
        point.name: duration_estimate_s(
            point.settings, earlier_run(directory, point.name, resolved_settings(point, cluster))
        )
        for point in experiment.points
    }
    order = run_order(experiment)
    return [
        PlannedRun(
            run=next_run_name(directory, point.name, repetition),
            point=point.name,
            repetition=repetition,
            mode=point.settings.mode,
            needs_point=point.source,
            duration_estimate_s=round(took[point.name], 1),
            number=number,
            of=len(order) + (0 if experiment.search is None else experiment.search.most_trials),
        )
        for number, (repetition, point) in enumerate(order, start=1)
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


def image_values(bundles: list[Mapping[str, Any]]) -> dict[str, int]:
    """Pixels times channels of an image, by dataset name; the largest where a name has several."""
    found: dict[str, int] = {}
    for bundle in bundles:
        dataset = bundle["dataset"]
        values = math.prod(dataset["shape"])
        found[dataset["name"]] = max(values, found.get(dataset["name"], 0))
    return found


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
    _check_record(point.name, s, values)
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


def _check_record(point: str, s: Settings, values: int) -> None:
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
