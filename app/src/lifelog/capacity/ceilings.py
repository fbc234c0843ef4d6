"""The rate that each resource allows, the one that binds, and so the rate that is to be expected.

Operational analysis: throughput is at most capacity / demand of every resource, X <= min C_r / D_r.
(Denning and Buzen, "The operational analysis of queueing network models", 1978; Lazowska et al.,
Quantitative System Performance, 1984, chapter 5.) Micro-batches have costs of their own, however few
images they hold, so a demand depends on the rate, and a ceiling is where it meets the capacity.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from lifelog.capacity.layout import Layout, link_bytes_per_image
from lifelog.capacity.load import Load, cap_images, rates
from lifelog.capacity.parts import PER_HOST, PER_MACHINE, Cost, Parts

# Nothing here carries more; a ceiling above is none.
MOST_IMAGES_PER_S = 1e9
_STEPS = 40
DRIVER = "the driver, which plans and collects alone"
SETTING = "batch_cap_s / trigger_ms, a setting"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most images/s that a resource allows.

    `kind`: producers, processor, link into, link out of, slots, driver, setting (no capacity: rule
    V6), or load (what is offered).
    """

    resource: str
    kind: str
    images_per_s: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """`images_per_s` is what the lowest ceiling, or the offered rate, allows.

    `ceilings` ascend; `cores`: busy cores by machine and component at the predicted rate.
    """

    images_per_s: float
    ceilings: tuple[Ceiling, ...]
    cores: dict[str, dict[str, float]]
    interval_s: float

    @property
    def binding(self) -> Ceiling:
        """The resource that sets the rate."""
        return self.ceilings[0]

    @property
    def distance(self) -> float | None:
        """How far above the next resource's ceiling is, as a share; None where there is one only."""
        if len(self.ceilings) < 2:
            return None
        return self.ceilings[1].images_per_s / self.ceilings[0].images_per_s - 1


def producers_name(count: int) -> str:
    """The producers as a resource."""
    return "1 producer process" if count == 1 else f"{count} producer processes"


def slots_name(tasks: float, slots: int) -> str:
    """The slots as a resource; fewer tasks than slots are the partitions' fault."""
    if tasks < slots:
        return f"{tasks:.0f} partition{'' if tasks == 1 else 's'}, one task each, for {slots} slots"
    return f"{slots} task slots"


def bare_images_per_s(parts: Parts, load: Load, slots: int) -> float:
    """What the engine alone does in all slots at once."""
    if load.sleeps:
        return slots / (load.sleep_call_s / load.images_per_call + load.sleep_image_s)
    engine = parts.engines.get(load.engine)
    seconds = engine.seconds_per_image(load.images_per_call) if engine else 0.0
    return slots / seconds if seconds else MOST_IMAGES_PER_S


class System:
    """One point on its machines; all rates in images/s, all times in seconds."""

    def __init__(self, parts: Parts, load: Load, layout: Layout, bare: float | None = None) -> None:
        """`bare`: images/s of the engine alone, where a run timed it."""
        self.parts, self.load, self.layout = parts, load, layout
        self.bare = bare or bare_images_per_s(parts, load, layout.slots)
        self.cap = cap_images(load, self.bare, layout.slots)

    def written(self, images_per_s: float) -> float:
        """What producers write at that rate: more, where the share that they get anyway is enough for it."""
        load, layout = self.load, self.layout
        if load.mode in ("paced", "drain") or not layout.producers_share_cores:
            return images_per_s
        moving = {**rates(load, images_per_s, 1.0), "idle": 0.0}
        each = self.producer.cores(moving) / images_per_s
        free = self.parts.surplus_share * layout.producer_cores
        return max(images_per_s, min(free, len(layout.producers)) / each if each > 0 else 0.0)

    def slot_seconds(self, images: float) -> float:
        """Time that the work of a micro-batch of so many images keeps the slots busy: its waves of tasks."""
        parts, load = self.parts, self.load
        tasks, calls = load.tasks(images), load.calls(images)
        size = images / calls
        each = images / tasks
        records = each / load.images_per_record
        work = 0.0
        for cost in (parts.executor, parts.python):
            work += cost.task + cost.call * calls / tasks + cost.record * records
            work += each * (cost.image + cost.byte * load.image_bytes)
        work += each * (parts.convert_s(load) + parts.engine_s(load, size))
        work += load.sleep_call_s * calls / tasks + load.sleep_image_s * each
        work += load.sleep_record_s * records
        return math.ceil(tasks / self.layout.slots - 1e-9) * work

    def least_interval(self, images: float) -> float:
        """The shortest time from one micro-batch of so many images to the next.

        Slots wait as well, mostly for processors that are full: no ceiling of the slots counts that.
        """
        tasks = self.load.tasks(images)
        waiting = self.parts.slot_wait.seconds(tasks) / min(tasks, self.layout.slots)
        busy = self.parts.pause.seconds(tasks) + self.slot_seconds(images) + waiting
        return max(self.load.trigger_s, busy)

    def interval(self, images_per_s: float) -> float:
        """Time from one micro-batch to the next at that rate.

        Where producers take what the workers leave, or follow a schedule, a micro-batch holds what has
        come since the last; else the backlog fills it.
        """
        load = self.load
        waiting = not (self.layout.producers_share_cores or load.mode == "paced")
        if waiting or load.mode == "drain" or self.written(images_per_s) > images_per_s:
            return max(load.trigger_s, self.cap / images_per_s)
        # The time in which what came during the last micro-batch is processed: a fixed point.
        most = min(self.cap / images_per_s, 3600.0)
        time = load.trigger_s
        for _ in range(_STEPS):
            after = min(most, self.least_interval(images_per_s * time))
            if math.isclose(after, time, rel_tol=1e-5):
                break
            time = after
        return max(time, load.trigger_s)

    def cores(self, machine: int, images_per_s: float) -> dict[str, float]:
        """Busy cores by component on a machine at that rate, as `node_metrics` names them."""
        parts, load, layout = self.parts, self.load, self.layout
        interval = self.interval(images_per_s)
        per_s = rates(load, images_per_s, interval)
        written = rates(load, self.written(images_per_s), interval)
        moving = {**written, "task": per_s["task"], "idle": 0.0}
        copies = load.replication - 1
        size = images_per_s / per_s["call"]
        python = parts.python.cores(per_s) + images_per_s * (
            parts.convert_s(load) + (0 if load.sleeps else parts.engine_s(load, size))
        )
        on = layout.share
        found = {
            "producer": on(layout.producers, machine) * self._producers(moving)
            + layout.producers.count(machine) * self.producer.idle,
            "broker": on(layout.leaders, machine) * parts.broker.cores(moving)
            + on(layout.followers, machine) * copies * parts.replica.cores(moving)
            + layout.brokers.count(machine) * parts.broker.idle,
            "executor": on(layout.workers, machine) * parts.executor.cores({**per_s, "idle": 0.0})
            + layout.workers.count(machine) * parts.executor.idle,
            "python_worker": on(layout.workers, machine) * python,
            "driver": (layout.driver == machine) * parts.driver.cores(per_s),
        }
        hosts = {
            "controller": layout.controllers.count(machine),
            "spark_master": int(layout.driver == machine),
            "spark_worker": layout.workers.count(machine),
        }
        idle = {name: hosts[name] * parts.background.get(name, 0.0) for name in PER_HOST}
        idle |= {name: parts.background.get(name, 0.0) for name in PER_MACHINE}
        return {name: value for name, value in {**found, **idle}.items() if value}

    def _producers(self, per_s: dict[str, float]) -> float:
        return 0.0 if self.load.mode == "drain" else self.producer.cores(per_s)

    @property
    def producer(self) -> Cost:
        """The cost of this kind of producer; of one that was not calibrated, of the nearest that was."""
        known = self.parts.producer
        for kind in (self.load.producer_kind, self.load.client):
            if kind in known:
                return known[kind]
        return next(iter(known.values()), Cost())

    def ceilings(self) -> list[Ceiling]:
        """Of every resource, ascending."""
        load, layout = self.load, self.layout
        found = []
        if load.mode != "drain":

            def each_producer(x: float) -> float:
                moving = {**rates(load, x, self.interval(x)), "idle": 0.0}
                return self.producer.idle + self._producers(moving) / len(layout.producers)

            found.append(Ceiling(producers_name(len(layout.producers)), "producers",
                                 most_rate(lambda x: each_producer(x) <= 1)))  # fmt: skip
        for at, machine in enumerate(layout.machines):
            found.append(Ceiling(f"processor of {machine.name}", "processor",
                                 most_rate(self._fits(at, machine.cores))))  # fmt: skip
        for at, machine in enumerate(layout.machines):
            link = machine.link_bytes_per_s
            if link is None:
                continue
            for direction, name in enumerate(("into", "out of")):
                found.append(Ceiling(f"link {name} {machine.name}", f"link {name}",
                                     most_rate(self._carries(at, direction, link))))  # fmt: skip
        found += self._micro_batch()
        return sorted(
            (own for own in found if own.images_per_s < MOST_IMAGES_PER_S),
            key=lambda own: own.images_per_s,
        )

    def _fits(self, machine: int, cores: float) -> Callable[[float], bool]:
        return lambda x: sum(self.cores(machine, x).values()) <= cores

    def _carries(self, machine: int, direction: int, link: float) -> Callable[[float], bool]:
        # Record batches fill with the rate, so the bytes of an image depend on it.
        load, layout, wire = self.load, self.layout, self.parts.wire
        return lambda x: x * link_bytes_per_image(load, layout, wire, x)[machine][direction] <= link

    def _micro_batch(self) -> list[Ceiling]:
        """Slots, driver and the configured limit: what full micro-batches allow."""
        load, cap = self.load, self.cap
        if not math.isfinite(cap):
            # Uncapped: the longer a micro-batch, the smaller the share of what each costs anyway.
            cap = 1e3 * self.bare
        tasks = load.tasks(cap)
        slot = slots_name(tasks, self.layout.slots)
        busy = self.parts.pause.seconds(tasks) + self.slot_seconds(cap)
        driver = self.driver_seconds(cap)
        found = [Ceiling(slot, "slots", cap / busy)] if busy > 0 else []
        if driver > 0:
            found.append(Ceiling(DRIVER, "driver", cap / driver))
        if math.isfinite(self.cap):
            found.append(Ceiling(SETTING, "setting", cap / load.trigger_s))
        return found

    def driver_seconds(self, images: float) -> float:
        """Time that a micro-batch takes in the driver, however many slots there are."""
        driver, load = self.parts.driver, self.load
        calls = driver.call * load.calls(images)
        return self.parts.pause.seconds(load.tasks(images)) + calls


def most_rate(fits: Callable[[float], bool]) -> float:
    """The largest rate (images/s) that fits, by bisection of its logarithm; 0 where none does."""
    low, high = math.log(1e-3), math.log(MOST_IMAGES_PER_S)
    if fits(MOST_IMAGES_PER_S):
        return MOST_IMAGES_PER_S
    if not fits(1e-3):
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(math.exp(middle)) else (low, middle)
    return math.exp(low)


def predict(
    parts: Parts,
    load: Load,
    layout: Layout,
    correction: float = 1.0,
    bare: float | None = None,
) -> Prediction:
    """What is to be expected of a point.

    `correction`: what calibrated points reached of the lowest ceiling. `bare`: images/s of the engine
    alone, where it was timed; it sizes the micro-batches. A paced point has the offered
    rate where every ceiling is above it.
    """
    system = System(parts, load, layout, bare)
    ceilings = [
        own if own.kind == "setting" else replace(own, images_per_s=own.images_per_s * correction)
        for own in system.ceilings()
    ]
    rate = ceilings[0].images_per_s
    if load.mode == "paced" and load.target_rate is not None:
        ceilings.append(Ceiling("the offered rate", "load", load.target_rate))
        rate = min(rate, load.target_rate)
    ceilings.sort(key=lambda own: own.images_per_s)
    if rate <= 0:
        return Prediction(rate, tuple(ceilings), {}, math.inf)
    uncorrected = rate / correction
    cores = {own.name: system.cores(at, uncorrected) for at, own in enumerate(layout.machines)}
    return Prediction(rate, tuple(ceilings), cores, system.interval(uncorrected))
