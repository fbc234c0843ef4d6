"""What a point asks of the pipeline: the settings that its costs depend on, and how often each part works."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifelog.consumer.batches import expected_images_per_s, most_records
from lifelog.record import KEY_BYTES

# A record of Kafka's format 2: its length, attributes, time and offset deltas, lengths of key and
# value, number of headers, as varints; a record batch's own head. (KIP-98.)
RECORD_OVERHEAD_BYTES = 10
RECORD_BATCH_OVERHEAD_BYTES = 61
FEATURES = ("idle", "batch", "task", "call", "record_batch", "record", "image", "byte")


@dataclass(frozen=True, slots=True)
class Load:
    """The settings of a point, and the bytes of an image as it is sent."""

    mode: str
    image_bytes: int
    images_per_record: int
    producer_batch_bytes: int
    linger_s: float
    replication: int
    partitions: int
    producers: int
    client: str
    acks: str
    compression: str
    encoding: str
    reader: str
    images_per_call: int
    engine: str
    trigger_s: float
    batch_cap_s: float
    target_rate: float | None = None
    # Of the emulated engine, for a call and for an image, and of what is emulated for a record: it
    # sleeps, and needs no processor.
    sleep_call_s: float = 0.0
    sleep_image_s: float = 0.0
    sleep_record_s: float = 0.0

    @property
    def sleeps(self) -> bool:
        """Whether the engine is an emulated one."""
        return self.sleep_call_s > 0 or self.sleep_image_s > 0

    @property
    def record_bytes(self) -> int:
        """A record as Kafka stores it, without compression."""
        return self.images_per_record * self.image_bytes + KEY_BYTES + RECORD_OVERHEAD_BYTES

    @property
    def producer_kind(self) -> str:
        """What a producer's costs are kept by: one on a schedule wakes for each record."""
        return f"{self.client}, paced" if self.mode == "paced" else self.client

    def records_per_batch(self, images_per_s: float) -> float:
        """Records that the client collects into a record batch, at least one.

        Saturated, what its limit holds: a producer is always ahead. On a schedule, what one producer
        sends to one partition during `linger_ms`.
        """
        full = max(1, int(self.producer_batch_bytes // self.record_bytes))
        if self.mode != "paced":
            return float(full)
        each = images_per_s / self.images_per_record / self.producers / self.partitions
        return min(float(full), max(1.0, each * self.linger_s))

    def tasks(self, images: float) -> float:
        """Tasks of a micro-batch of so many images: partitions that have a record of it."""
        return min(float(self.partitions), max(1.0, images / self.images_per_record))

    def calls(self, images: float) -> float:
        """Engine calls of a micro-batch of so many images; a task's last one is not full.

        Arrow batches hold whole calls. The mean of ceil(n / c) over n is n / c + (c - 1) / 2c.
        """
        tasks = self.tasks(images)
        each = images / tasks
        size = self.images_per_call
        return tasks * max(1.0, each / size + (size - 1) / (2 * size))


def load_of(settings: Mapping[str, Any], image_bytes: int) -> Load:
    """The load of a point's resolved settings (as in spec.json); `image_bytes`: one image as sent."""
    emulated = settings["engine"] == "emulated"
    size = settings["images_per_call"]
    return Load(
        mode=settings["mode"],
        image_bytes=image_bytes,
        images_per_record=settings["images_per_record"],
        producer_batch_bytes=settings["producer_batch_bytes"],
        linger_s=settings["linger_ms"] / 1000,
        replication=settings["replication"],
        partitions=settings["partitions"],
        producers=settings["producers"],
        client=settings["client"],
        acks=str(settings["acks"]),
        compression=settings["compression"],
        encoding=settings["encoding"],
        # Runs of older versions had no choice.
        reader=settings.get("reader", "connector"),
        images_per_call=size,
        engine="emulated" if emulated else f"{settings['engine']} {settings['model']}",
        trigger_s=settings["trigger_ms"] / 1000,
        batch_cap_s=settings["batch_cap_s"],
        target_rate=settings.get("target_rate")
        if isinstance(settings.get("target_rate"), (int, float))
        else None,
        sleep_call_s=settings["emulated_call_ms"] / 1e3 if emulated else 0.0,
        # Runs of older versions had neither of the two.
        sleep_image_s=settings.get("emulated_image_us", 0.0) / 1e6 if emulated else 0.0,
        sleep_record_s=settings.get("emulated_record_us", 0.0) / 1e6 if emulated else 0.0,
    )


def rates(load: Load, images_per_s: float, interval_s: float) -> dict[str, float]:
    """How often per second each feature of a cost happens, at so many images/s.

    `interval_s`: from one micro-batch to the next. Keys are FEATURES; `byte` counts pixels.
    """
    images = images_per_s * interval_s
    records = images_per_s / load.images_per_record
    return {
        "idle": 1.0,
        "batch": 1 / interval_s,
        "task": load.tasks(images) / interval_s,
        "call": load.calls(images) / interval_s,
        "record_batch": records / load.records_per_batch(images_per_s),
        "record": records,
        "image": images_per_s,
        "byte": images_per_s * load.image_bytes,
    }


def cap_images(load: Load, bare_images_per_s: float, slots: int) -> float:
    """Most images of a micro-batch, as the consumer sets it; unlimited for paced load.

    `bare_images_per_s`: of the engine alone in all slots at once.
    """
    if load.mode == "paced":
        return math.inf
    expected = expected_images_per_s(bare_images_per_s, load.partitions, slots)
    each = load.images_per_record
    return float(each * most_records(load.batch_cap_s, expected, each, load.partitions))
