"""From points to runs: which runs, in which order, and how long they take."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment, Point
from lifelog.experiment.estimate import DEFAULT_IMAGE_VALUES, duration_estimate_s, earlier_run
from lifelog.experiment.placement import Cluster, place
from lifelog.experiment.runname import next_run_name
from lifelog.experiment.searchrules import TRIAL
from lifelog.experiment.spec import check_record, resolved_settings

# Datasets of that shape: their records can be measured before the data are at hand.
_SMALL_DATASETS = ("mnist-t10k", "mnist", "fashion-mnist")


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
                check_record(point.name, point.settings, known[point.settings.dataset])
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


def image_values(bundles: list[Mapping[str, Any]]) -> dict[str, int]:
    """Pixels times channels of an image, by dataset name; the largest where a name has several."""
    found: dict[str, int] = {}
    for bundle in bundles:
        dataset = bundle["dataset"]
        values = math.prod(dataset["shape"])
        found[dataset["name"]] = max(values, found.get(dataset["name"], 0))
    return found
