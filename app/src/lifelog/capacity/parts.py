"""The measured costs of the pipeline's parts, in processor time and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lifelog.capacity.load import FEATURES, Load

# Components of `node_metrics` that work whether or not images come: one for each machine, ...
PER_MACHINE = ("sampler", "service_manager", "control", "kernel")
# ... and one for each host of a kind.
PER_HOST = ("controller", "spark_master", "spark_worker")


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of a component in core-seconds, for each thing that it does; `idle` in cores."""

    idle: float = 0.0
    batch: float = 0.0
    task: float = 0.0
    call: float = 0.0
    record_batch: float = 0.0
    record: float = 0.0
    image: float = 0.0
    byte: float = 0.0

    def cores(self, rates: Mapping[str, float]) -> float:
        """Busy cores at these rates (see `load.rates`): the utilisation law, U = X D."""
        return sum(float(getattr(self, name)) * rates[name] for name in FEATURES)

    def scaled(self, factor: float) -> Cost:
        """The same work where all of it takes `factor` times as long."""
        return Cost(**{name: getattr(self, name) * factor for name in FEATURES})


@dataclass(frozen=True, slots=True)
class Engine:
    """Seconds of one core for an image and for a call of the bare engine."""

    image_s: float
    call_s: float

    def seconds_per_image(self, images_per_call: float) -> float:
        """Of the bare engine, in calls of so many images."""
        return self.image_s + self.call_s / images_per_call


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds without work, of each micro-batch and each task of it."""

    batch_s: float = 0.0
    task_s: float = 0.0

    def seconds(self, tasks: float) -> float:
        """Of a micro-batch of so many tasks."""
        return self.batch_s + self.task_s * tasks

    def scaled(self, factor: float) -> Pause:
        """The same, `factor` times as long."""
        return Pause(self.batch_s * factor, self.task_s * factor)


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes on a link beside the pixels, for each record and each record batch."""

    record_bytes: float
    record_batch_bytes: float


@dataclass(frozen=True, slots=True)
class Parts:
    """Costs of every part on the calibrated machines, at the speed that they had on average.

    `producer`: by `Load.producer_kind`, one process. `broker`: as the leader, with what consumers
    fetch; `replica`: of each further replica, following and being followed. `executor`: the JVM.
    `python`: the Python workers without the engine. `engine_factor`: seconds of an engine inside the
    pipeline over those of the bare one. `convert_s_per_byte`: from bytes to the engine's array, by
    encoding. `pause`: wall-clock time in which no slot works (planning, logs). `slot_wait`:
    slot-seconds without processor time while tasks run (full processors, the start of a job, a
    fetch). `background`: cores, see PER_MACHINE and PER_HOST.
    """

    producer: Mapping[str, Cost]
    broker: Cost
    replica: Cost
    executor: Cost
    python: Cost
    driver: Cost
    engines: Mapping[str, Engine]
    engine_factor: float
    convert_s_per_byte: Mapping[str, float]
    pause: Pause
    wire: Wire
    slot_wait: Pause = Pause()
    background: Mapping[str, float] = field(default_factory=dict)
    surplus_share: float = 0.0
    reference_s: float | None = None

    def at_speed(self, speed: float) -> Parts:
        """Costs where every processor is `speed` times as fast as in the calibration."""
        slower = 1 / speed
        return replace(
            self,
            producer={name: cost.scaled(slower) for name, cost in self.producer.items()},
            broker=self.broker.scaled(slower),
            replica=self.replica.scaled(slower),
            executor=self.executor.scaled(slower),
            python=self.python.scaled(slower),
            driver=self.driver.scaled(slower),
            engines={
                name: Engine(own.image_s * slower, own.call_s * slower)
                for name, own in self.engines.items()
            },
            convert_s_per_byte={
                name: own * slower for name, own in self.convert_s_per_byte.items()
            },
            pause=self.pause.scaled(slower),
            slot_wait=self.slot_wait.scaled(slower),
            background={name: cores * slower for name, cores in self.background.items()},
        )

    def convert_s(self, load: Load) -> float:
        """Seconds to convert an image; of an encoding that was not calibrated, as the slowest that was."""
        known = self.convert_s_per_byte
        slowest = max(known.values(), default=0.0)
        return load.image_bytes * known.get(load.encoding, slowest)

    def engine_s(self, load: Load, images_per_call: float) -> float:
        """Seconds of a core for an image in the engine; none for one that sleeps, or is unknown."""
        own = self.engines.get(load.engine)
        return 0.0 if own is None else self.engine_factor * own.seconds_per_image(images_per_call)

    def plain(self) -> dict[str, Any]:
        """The parts as plain values, microseconds and nanoseconds left to the reader."""
        return asdict(self)
