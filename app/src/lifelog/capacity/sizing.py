"""How many workers, brokers and partitions a wish needs: nodes are added one at a time where it binds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lifelog.capacity.calibration import Calibration, Interval
from lifelog.capacity.ceilings import Ceiling, Prediction, predict
from lifelog.capacity.layout import Layout, Machine
from lifelog.capacity.load import Load

# A node that adds less than this share does not help.
_HELPS = 0.005


@dataclass(frozen=True, slots=True)
class Nodes:
    """What the nodes are like. `speed`: a core's, over one of the calibrated machines'."""

    cores: int
    link_bytes_per_s: float | None
    producers_per_broker: int
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """A cluster of so many nodes and what it carries; `added`: what the step before lacked."""

    brokers: int
    workers: int
    partitions: int
    expected: Interval
    binding: Ceiling
    following: Ceiling | None
    extrapolated: tuple[str, ...]

    @property
    def nodes(self) -> int:
        """Brokers and workers; the managers of Kafka and Spark come on top."""
        return self.brokers + self.workers


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps up to the wish; `obstacle` says which limit stands in the way, empty where none does."""

    target_images_per_s: float
    steps: tuple[Step, ...]
    obstacle: str = ""


def cluster(load: Load, nodes: Nodes, brokers: int, workers: int) -> Layout:
    """Brokers with producers beside them, workers, and one machine for both managers and the driver."""
    link = nodes.link_bytes_per_s
    names = [f"broker {n}" for n in range(1, brokers + 1)]
    names += [f"worker {n}" for n in range(1, workers + 1)]
    names += ["the managers' machine"]
    machines = tuple(Machine(name, nodes.cores, link) for name in names)
    replicas = tuple(
        tuple((partition + copy) % brokers for copy in range(load.replication))
        for partition in range(load.partitions)
    )
    return Layout(
        machines=machines,
        brokers=tuple(range(brokers)),
        replicas=replicas,
        producers=tuple(at % brokers for at in range(load.producers)),
        workers=tuple(range(brokers, brokers + workers)),
        driver=len(machines) - 1,
        slots=workers * nodes.cores,
        controllers=(len(machines) - 1,),
    )


def partitions_for(slots: int, brokers: int) -> int:
    """The fewest partitions that fill every slot and load every broker alike: a multiple of both.

    Where that would be more than four tasks for each slot, a multiple of the slots only.
    """
    both = math.lcm(slots, brokers)
    return both if both <= 4 * slots else slots * math.ceil(brokers / slots)


def carried(
    calibration: Calibration, load: Load, nodes: Nodes, brokers: int, workers: int
) -> tuple[Load, Layout, Prediction]:
    """What a cluster of so many nodes carries, its partitions chosen to fit."""
    own = replace(
        load,
        partitions=partitions_for(workers * nodes.cores, brokers),
        producers=brokers * nodes.producers_per_broker,
    )
    layout = cluster(own, nodes, brokers, workers)
    parts = calibration.parts.at_speed(nodes.speed)
    return own, layout, predict(parts, own, layout, calibration.correction)


def plan(
    calibration: Calibration, load: Load, nodes: Nodes, target_images_per_s: float, most_nodes: int
) -> Plan:
    """Add nodes until the lower end of the interval carries the target, or a limit is in the way.

    `load`: its partitions and producers are chosen here.
    """
    brokers, workers = load.replication, 1
    if brokers + workers > most_nodes:
        return Plan(target_images_per_s, (), (
            f"{load.replication} replicas need {load.replication} brokers beside a worker, and "
            f"there are {most_nodes} nodes"
        ))  # fmt: skip
    steps: list[Step] = []
    while True:
        own, layout, found = carried(calibration, load, nodes, brokers, workers)
        if not found.images_per_s:
            return Plan(
                target_images_per_s, tuple(steps), f"{found.binding.resource} carries nothing"
            )
        steps.append(_step(calibration, own, layout, found, brokers, workers))
        if steps[-1].expected.low >= target_images_per_s:
            return Plan(target_images_per_s, tuple(steps))
        if brokers + workers >= most_nodes:
            return Plan(target_images_per_s, tuple(steps), (
                f"{found.binding.resource} stands in the way: {most_nodes} nodes carry "
                f"{found.images_per_s:,.0f} images/s, {steps[-1].expected.low:,.0f} at the lower end"
            ))  # fmt: skip
        more = _next(calibration, load, nodes, brokers, workers, found)
        if more is None:
            return Plan(target_images_per_s, tuple(steps), (
                f"{found.binding.resource} stands in the way at {found.images_per_s:,.0f} images/s "
                f"({steps[-1].expected.low:,.0f} at the lower end), and more nodes do not move it"
            ))  # fmt: skip
        brokers, workers = more


def _next(
    calibration: Calibration,
    load: Load,
    nodes: Nodes,
    brokers: int,
    workers: int,
    found: Prediction,
) -> tuple[int, int] | None:
    """One broker or one worker more, whichever carries more; None where neither helps."""
    ways = [(brokers + 1, workers), (brokers, workers + 1)]
    # The one that the binding resource asks for comes first, where both carry the same.
    if found.binding.kind == "slots" or "worker" in found.binding.resource:
        ways.reverse()
    reached = [
        (carried(calibration, load, nodes, *way)[2].images_per_s, -at)
        for at, way in enumerate(ways)
    ]
    rate, at = max(reached)
    if rate > found.images_per_s * (1 + _HELPS):
        return ways[-at]
    # One of each may help where one alone does not: two resources bind alike.
    both = (brokers + 1, workers + 1)
    rate = carried(calibration, load, nodes, *both)[2].images_per_s
    return ways[0] if rate > found.images_per_s * (1 + _HELPS) else None


def _step(
    calibration: Calibration,
    load: Load,
    layout: Layout,
    found: Prediction,
    brokers: int,
    workers: int,
) -> Step:
    ceilings = found.ceilings
    different = [own for own in ceilings[1:] if own.kind != found.binding.kind]
    return Step(
        brokers,
        workers,
        load.partitions,
        calibration.interval(found.images_per_s),
        found.binding,
        different[0] if different else None,
        tuple(calibration.extrapolated(load, layout)),
    )
