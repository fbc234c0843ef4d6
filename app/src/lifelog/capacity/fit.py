"""From runs to costs: each component's processor time is explained by what it did, none by hand.

Non-negative least squares (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23) with
relative weights, for each component by itself: a cost is never below zero, and one that the runs do
not show is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelog.capacity.layout import Layout
from lifelog.capacity.load import RECORD_BATCH_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES, Load, rates
from lifelog.capacity.parts import PER_HOST, PER_MACHINE, Cost, Engine, Parts, Pause, Wire
from lifelog.record import KEY_BYTES

# What each component does, and so what its time may be explained by.
_EXPLAINED_BY = {
    "producer": ("record_batch", "record", "image", "byte"),
    # On a schedule a producer wakes as often as its clock lets it, however much it sends.
    "producer, paced": ("idle", "record_batch", "record", "byte"),
    "broker": ("idle", "task", "record_batch", "record", "byte"),
    "replica": ("record_batch", "record", "byte"),
    # Compilers and timers run in a JVM whatever comes.
    "executor": ("idle", "batch", "task", "record", "byte"),
    "python": ("task", "call", "record", "image", "byte"),
    "driver": ("idle", "batch", "task", "call"),
}

# How the speed of the machines in a run can be told.
WAYS = ("none", "engine", "reference")
# A backlog that grows by more than this share of the rate is one.
_GREW = 0.1
Fitter = Callable[[str, list[list[float]], list[float]], list[float]]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a run measured, as the costs are fitted to it.

    `written_images_per_s`: what producers wrote, which is more where a backlog grew. `component_cores`:
    busy cores by component, summed over the machines; None where they were not recorded.
    `bare_images_per_s`: of the engine alone in all
    slots before the load. `convert_share`: time of converting over that of the engine in its calls.
    `pause_s`, `working_s`: of a micro-batch, beside its tasks and while they run. `foreign_cores`: used by others. `reference_s`: mean
    processor time of the sampler's fixed piece of work during the run.
    """

    name: str
    load: Load
    layout: Layout
    images_per_s: float
    interval_s: float
    bare_images_per_s: float
    written_images_per_s: float
    component_cores: Mapping[str, float] | None = None
    convert_share: float | None = None
    pause_s: float | None = None
    working_s: float | None = None
    foreign_cores: float = 0.0
    reference_s: float | None = None

    @property
    def rates(self) -> dict[str, float]:
        """How often each feature happened per second."""
        return rates(self.load, self.images_per_s, self.interval_s)

    @property
    def written_rates(self) -> dict[str, float]:
        """The same of what producers wrote; tasks are those that read."""
        written = rates(self.load, self.written_images_per_s, self.interval_s)
        return {**written, "task": self.rates["task"]}

    @property
    def tasks(self) -> float:
        """Tasks of a micro-batch."""
        return self.load.tasks(self.images_per_s * self.interval_s)

    @property
    def images_per_call(self) -> float:
        """Mean over the run's calls."""
        return self.images_per_s / self.rates["call"]


def non_negative(
    rows: Sequence[Sequence[float]], values: Sequence[float]
) -> tuple[NDArray[np.float64], float]:
    """x >= 0 that makes rows @ x near values, relative to these; and the root mean square of what is left.

    `rows`: (n, k), `values`: (n,), all above 0. Columns are scaled, so that their units do not matter.
    """
    # Imported late: it takes a second.
    from scipy.optimize import nnls

    target = np.asarray(values, float)
    matrix = np.asarray(rows, float) / target[:, None]
    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1.0
    found, left = nnls(matrix / scale, np.ones(len(target)))
    return found / scale, float(left) / len(target) ** 0.5


def fit_engines(seen: Sequence[Observation]) -> dict[str, Engine]:
    """Seconds of the bare engine for an image and a call, by engine, from what each run timed."""
    found = {}
    for name in sorted({own.load.engine for own in seen if not own.load.sleeps}):
        runs = [own for own in seen if own.load.engine == name]
        rows = [[1.0, 1 / own.load.images_per_call] for own in runs]
        if len({own.load.images_per_call for own in runs}) < 2:
            rows = [[1.0, 0.0] for own in runs]
        costs, _ = non_negative(rows, [own.layout.slots / own.bare_images_per_s for own in runs])
        found[name] = Engine(float(costs[0]), float(costs[1]))
    return found


def speed_of(
    own: Observation, engines: Mapping[str, Engine], reference_s: float | None, way: str
) -> float | None:
    """How fast the machines were in a run, over the calibration, by one of WAYS.

    `engine`: the bare engine, timed before the load; `reference`: the sampler's fixed piece of work,
    timed each second of it; `none`: as fast. None where it is not known: the engine was not
    calibrated, or sleeps, or the reference was not recorded.
    """
    if way == "none":
        return 1.0
    if way == "reference":
        return reference_s / own.reference_s if reference_s and own.reference_s else None
    engine = engines.get(own.load.engine)
    if engine is None or own.load.sleeps:
        return None
    expected = own.layout.slots / engine.seconds_per_image(own.load.images_per_call)
    return own.bare_images_per_s / expected


@dataclass(frozen=True, slots=True)
class Fit:
    """Costs, and by component the root mean square of the relative residuals."""

    parts: Parts
    residuals: Mapping[str, float]


def fit_parts(seen: Sequence[Observation], way: str = "none") -> Fit:
    """Costs of all parts from runs that recorded them; ValueError where no run did.

    `way`, one of WAYS: by which times of each run are first taken to the calibration's mean speed.
    """
    runs = [own for own in seen if own.component_cores]
    if not runs:
        raise ValueError("no run recorded the processor time of its components")
    engines = fit_engines(runs)
    known = [own.reference_s for own in runs if own.reference_s]
    reference_s = float(np.exp(np.mean(np.log(known)))) if known else None
    speeds = [speed_of(own, engines, reference_s, way) or 1.0 for own in runs]
    residuals: dict[str, float] = {}

    def fitted(component: str, rows: list[list[float]], values: list[float]) -> list[float]:
        kept = [(row, value) for row, value in zip(rows, values, strict=True) if value > 0]
        if not kept:
            return [0.0] * len(rows[0])
        costs, left = non_negative([row for row, _ in kept], [value for _, value in kept])
        residuals[component] = left
        return [float(cost) for cost in costs]

    def busy(component: str) -> list[float]:
        return [
            (own.component_cores or {}).get(component, 0.0) * speed
            for own, speed in zip(runs, speeds, strict=True)
        ]

    def cost(component: str, processes: Sequence[int]) -> Cost:
        names = _EXPLAINED_BY[component]
        rows = [
            [({**own.rates, "idle": float(count)})[name] for name in names]
            for own, count in zip(runs, processes, strict=True)
        ]
        return Cost(**dict(zip(names, fitted(component, rows, busy(component)), strict=True)))

    leader, further = _EXPLAINED_BY["broker"], _EXPLAINED_BY["replica"]
    broker = fitted("broker", [_broker_row(own) for own in runs], busy("broker"))
    convert = {
        name: float(np.mean([_convert(own, engines) for own in runs
                             if own.load.encoding == name and own.convert_share is not None]))
        for name in {o.load.encoding for o in runs if o.convert_share is not None}
    }  # fmt: skip
    python_rows, python = [], []
    for own, cores in zip(runs, busy("python_worker"), strict=True):
        engine = engines.get(own.load.engine)
        bare = 0.0 if engine is None or own.load.sleeps else own.images_per_s * (
            engine.seconds_per_image(own.images_per_call))  # fmt: skip
        converting = convert.get(own.load.encoding, 0.0) * own.rates["byte"]
        python_rows.append([bare, *(own.rates[name] for name in _EXPLAINED_BY["python"])])
        python.append(cores - converting)
    factor, *rest = fitted("python_worker", python_rows, python)
    parts = Parts(
        producer=_producers(runs, speeds, fitted),
        broker=Cost(**dict(zip(leader, broker, strict=False))),
        replica=Cost(**dict(zip(further, broker[len(leader) :], strict=True))),
        executor=cost("executor", [len(own.layout.workers) for own in runs]),
        python=Cost(**dict(zip(_EXPLAINED_BY["python"], rest, strict=True))),
        driver=cost("driver", [1] * len(runs)),
        engines=engines,
        engine_factor=factor,
        convert_s_per_byte=convert,
        pause=_pause(runs, speeds, fitted),
        slot_wait=_slot_wait(runs, speeds, fitted),
        wire=Wire(KEY_BYTES + RECORD_OVERHEAD_BYTES, RECORD_BATCH_OVERHEAD_BYTES),
        background=_background(runs, speeds),
        surplus_share=_surplus_share(runs),
        reference_s=reference_s,
    )
    return Fit(parts, residuals)


def _broker_row(own: Observation) -> list[float]:
    """Features of all brokers as leaders, then as further replicas."""
    per_s = {**own.written_rates, "idle": float(len(own.layout.brokers))}
    further = [(own.load.replication - 1) * per_s[name] for name in _EXPLAINED_BY["replica"]]
    return [*(per_s[name] for name in _EXPLAINED_BY["broker"]), *further]


def _convert(own: Observation, engines: Mapping[str, Engine]) -> float:
    """Seconds a byte: of the wall-clock time in a call, as large a share as beside the bare engine."""
    engine = engines.get(own.load.engine)
    if engine is None or own.convert_share is None:
        return 0.0
    return own.convert_share * engine.seconds_per_image(own.images_per_call) / own.load.image_bytes


def _producers(
    runs: Sequence[Observation], speeds: Sequence[float], fitted: Fitter
) -> dict[str, Cost]:
    found = {}
    for kind in sorted({own.load.producer_kind for own in runs}):
        chosen = [
            (own, speed)
            for own, speed in zip(runs, speeds, strict=True)
            if own.load.producer_kind == kind and own.load.mode != "drain"
        ]
        if chosen:
            paced = chosen[0][0].load.mode == "paced"
            names = _EXPLAINED_BY["producer, paced" if paced else "producer"]
            rows = [
                [({**own.written_rates, "idle": float(own.load.producers)})[name] for name in names]
                for own, _ in chosen
            ]
            values = [(own.component_cores or {}).get("producer", 0.0) * s for own, s in chosen]
            costs = fitted(f"producer, {kind}", rows, values)
            found[kind] = Cost(**dict(zip(names, costs, strict=True)))
    return found


def _pause(runs: Sequence[Observation], speeds: Sequence[float], fitted: Fitter) -> Pause:
    known = [(own, s) for own, s in zip(runs, speeds, strict=True) if own.pause_s]
    if not known:
        return Pause()
    rows = [[1.0, own.tasks] for own, _ in known]
    return Pause(*fitted("pause", rows, [(own.pause_s or 0.0) * speed for own, speed in known]))


def _slot_wait(runs: Sequence[Observation], speeds: Sequence[float], fitted: Fitter) -> Pause:
    """What is left of the slots' time while tasks run, beside the processor time of those who do them.

    An engine that sleeps is no such time; nor are there slots that wait where executors are so busy
    beside their tasks that nothing is left.
    """
    rows, values = [], []
    for own, speed in zip(runs, speeds, strict=True):
        if own.working_s is None or own.load.sleeps or not own.component_cores:
            continue
        cores = sum(own.component_cores.get(name, 0.0) for name in ("executor", "python_worker"))
        waited = own.working_s * min(own.tasks, own.layout.slots) - cores * own.interval_s
        rows.append([1.0, own.tasks])
        values.append(max(0.0, waited) * speed)
    return Pause(*fitted("slot_wait", rows, values)) if rows else Pause()


def _surplus_share(runs: Sequence[Observation]) -> float:
    """Mean share of the cores that yielding producers had in runs whose backlog grew; 0 without any."""
    shares = []
    for own in runs:
        grew = own.written_images_per_s > (1 + _GREW) * own.images_per_s
        if grew and own.layout.producers_share_cores and not own.load.sleeps:
            cores = own.layout.producer_cores
            shares.append((own.component_cores or {}).get("producer", 0.0) / cores)
    return float(np.mean(shares)) if shares else 0.0


def _background(runs: Sequence[Observation], speeds: Sequence[float]) -> dict[str, float]:
    found = {}
    for name in (*PER_MACHINE, *PER_HOST):
        values = []
        for own, speed in zip(runs, speeds, strict=True):
            count = {
                "controller": len(own.layout.controllers),
                "spark_master": 1,
                "spark_worker": len(own.layout.workers),
            }.get(name, len(own.layout.machines))
            if count:
                values.append((own.component_cores or {}).get(name, 0.0) * speed / count)
        found[name] = float(np.mean(values)) if values else 0.0
    return found
