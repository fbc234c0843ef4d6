"""A calibration: costs fitted to runs, how well they predict runs that they were not fitted to, and their range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lifelog.capacity.ceilings import Prediction, predict
from lifelog.capacity.fit import WAYS, Observation, fit_parts, speed_of
from lifelog.capacity.layout import Layout, Machine
from lifelog.capacity.load import Load
from lifelog.capacity.parts import Engine, Parts
from lifelog.stats.student import t_quantile

# Fewer than this cannot tell the parts from each other.
LEAST_RUNS = 6
LEAST_ERRORS = 3
# Standard deviation of a normal distribution over the median size of its deviations.
_NORMAL_MEDIAN = 1.4826
# A setting that is a number may be so much outside of what was calibrated before that is said.
_ROOM = 1.05
_NUMBERS = (
    *("image_bytes", "images_per_record", "producer_batch_bytes", "replication", "partitions"),
    *("producers", "images_per_call", "trigger_s"),
)
_NAMES = ("client", "encoding", "reader", "engine", "compression", "acks", "mode")
_NEAR = {"mode": {"paced", "fixed_size"}}


@dataclass(frozen=True, slots=True)
class Interval:
    """Images/s, with the 95 % interval of one further run."""

    images_per_s: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parts, and what is known of their predictions.

    `correction`: median of measured over predicted. `log_errors`: log(measured /
    predicted) of runs, by costs that were fitted without each; paced runs, whose rate is a setting, and
    runs that alone have a client, an encoding or the like have none. `covered`: least and largest of each number,
    and the names of each choice. `residuals`: of each component's fit, relative. `way`, one of
    `fit.WAYS`: how costs are taken to each run's speed, the one that made the errors smallest.
    """

    parts: Parts
    correction: float
    log_errors: Mapping[str, float]
    covered: Mapping[str, Any]
    residuals: Mapping[str, float]
    way: str = "none"

    @property
    def typical_error(self) -> float:
        """Median size of the errors, on the scale of natural logarithms."""
        return float(np.median(np.abs(list(self.log_errors.values()))))

    @property
    def log_sd(self) -> float:
        """Standard deviation of normal errors about zero whose median size is that of these.

        The median and not the mean of squares: a run whose like is not among the others, such as the one
        with the most partitions, is an extrapolation without itself, and says little of what lies
        inside. (Huber, Robust Statistics, 1981, 5.1.)
        """
        return _NORMAL_MEDIAN * self.typical_error

    def interval(self, images_per_s: float) -> Interval:
        """The prediction times and over exp(t(n - 1) s), s and n of the leave-one-out errors."""
        n = len(self.log_errors)
        factor = math.exp(t_quantile(n - 1) * self.log_sd)
        return Interval(images_per_s, images_per_s / factor, images_per_s * factor)

    def extrapolated(self, load: Load, layout: Layout | None = None) -> list[str]:
        """In words: what of a load lies outside of what was calibrated; nothing where all is inside."""
        found = []
        for name in _NUMBERS:
            low, high = self.covered[name]
            value = getattr(load, name)
            if not low / _ROOM <= value <= high * _ROOM:
                span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
                found.append(f"{name} {value:g} (calibrated: {span})")
        for name in _NAMES:
            known = self.covered[name]
            value = getattr(load, name)
            if value not in known and value not in _NEAR.get(name, ()):
                found.append(f"{name} {value} (calibrated: {', '.join(known)})")
        if layout is not None:
            low, high = self.covered["workers"]
            if not low <= len(layout.workers) <= high:
                span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
                found.append(f"workers {len(layout.workers)} (calibrated: {span})")
        return found


def calibrate(seen: Sequence[Observation]) -> Calibration:
    """Fit all parts, and predict each run by parts that were fitted to the others.

    Whether the bare engine, timed for a second, or the sampler's piece of work tells a run's speed, or
    adds noise, is judged by the errors with and without it. ValueError where there are fewer than LEAST_RUNS that
    recorded their components.
    """
    runs = [own for own in seen if own.component_cores]
    if len(runs) < LEAST_RUNS:
        raise ValueError(
            f"{len(runs)} valid runs recorded the processor time of their components, and a "
            f"calibration needs {LEAST_RUNS}"
        )
    ways = [_calibrated(runs, way) for way in WAYS if way != "reference" or _all_refer(runs)]
    if len(ways[0].log_errors) < LEAST_ERRORS:
        raise ValueError(
            f"{len(ways[0].log_errors)} runs can be predicted by the others, and an interval needs "
            f"{LEAST_ERRORS}"
        )
    return min(ways, key=lambda own: own.typical_error)


def _all_refer(runs: Sequence[Observation]) -> bool:
    return all(own.reference_s for own in runs)


def _calibrated(runs: Sequence[Observation], way: str) -> Calibration:
    fit = fit_parts(runs, way)
    correction = _correction(fit.parts, runs, way)
    errors = {}
    for at, own in enumerate(runs):
        others = [*runs[:at], *runs[at + 1 :]]
        if own.load.mode == "paced" or not _named_by(others, own):
            continue
        parts = fit_parts(others, way).parts
        found = predict_run(parts, own, _correction(parts, others, way), way)
        errors[own.name] = math.log(own.images_per_s / found.images_per_s)
    return Calibration(fit.parts, correction, errors, _covered(runs), fit.residuals, way)


def _named_by(others: Sequence[Observation], own: Observation) -> bool:
    """Whether others have the same client, encoding and so on: without it they say nothing of its cost."""
    return all(
        getattr(own.load, name) in {getattr(other.load, name) for other in others}
        for name in _NAMES
    )


def predict_run(
    parts: Parts, own: Observation, correction: float = 1.0, way: str = "none"
) -> Prediction:
    """What was to be expected of a run on its machines as they were: their speed, and others' load."""
    speed = speed_of(own, parts.engines, parts.reference_s, way)
    if not own.load.sleeps and own.load.engine not in parts.engines:
        parts = with_engine(parts, own)
    layout = without(own.layout, own.foreign_cores)
    return predict(
        parts.at_speed(speed or 1.0), own.load, layout, correction, own.bare_images_per_s
    )


def with_engine(parts: Parts, own: Observation) -> Parts:
    """Parts that know the engine of a run, as it was timed there before the load."""
    engine = Engine(own.layout.slots / own.bare_images_per_s, 0.0)
    return replace(parts, engines={**parts.engines, own.load.engine: engine})


def without(layout: Layout, foreign_cores: float) -> Layout:
    """A layout whose machines have lost what others used, in proportion to their cores."""
    if foreign_cores <= 0:
        return layout
    total = sum(machine.cores for machine in layout.machines)
    left = max(0.0, 1 - foreign_cores / total)
    machines = tuple(
        Machine(own.name, own.cores * left, own.link_bytes_per_s) for own in layout.machines
    )
    return replace(layout, machines=machines)


def _correction(parts: Parts, runs: Sequence[Observation], way: str) -> float:
    logs = [
        math.log(own.images_per_s / predict_run(parts, own, 1.0, way).images_per_s)
        for own in runs
        if own.load.mode != "paced"
    ]
    return math.exp(float(np.median(logs))) if logs else 1.0


def _covered(runs: Sequence[Observation]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _NUMBERS:
        values = [getattr(own.load, name) for own in runs]
        found[name] = (min(values), max(values))
    for name in _NAMES:
        found[name] = tuple(sorted({getattr(own.load, name) for own in runs}))
    workers = [len(own.layout.workers) for own in runs]
    found["workers"] = (min(workers), max(workers))
    return found
