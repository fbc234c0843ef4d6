"""The topics of the comparison: how they are laid out, and filled by the testbed's own producer."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from lifelog.producer.clients import make_client
from lifelog.producer.run import Load, Sent, Source, send_load

PREFIX = "lifelog-benchmark-peers"
PRODUCER = 1
CLIENT = {
    "client": "confluent-kafka",
    "acks": "all",
    "compression": "none",
    "producer_batch_bytes": 131072,
    "linger_ms": 5,
}


def layout(partitions: int) -> dict[str, int]:
    """A topic without replicas, spread by Kafka, as `lifelog.node.topics` takes it."""
    return {"num_partitions": partitions, "replication_factor": 1}


def send(
    servers: str,
    topic: str,
    partitions: int,
    images: NDArray[np.uint8],
    count: int,
    images_per_record: int,
    producer: int = PRODUCER,
    rate: float | None = None,
    start_ns: int | None = None,
) -> tuple[Sent, int]:
    """Send `count` images of the stream uint8 (N, h, w, c), so many a record, as raw uint8.

    `rate`: images/s, from `start_ns` (epoch) on; as fast as possible where it is None. Returns what
    was sent, and when the last image was handed to the client (epoch ns). RuntimeError where a
    broker did not acknowledge all.
    """
    source = Source(images, "uint8", images_per_record)
    client = make_client(servers.split(","), topic, CLIENT)
    start_ns = start_ns or time.time_ns()
    load = Load(producer, count, rate, start_ns, None, images_per_record, partitions)
    sent = send_load(client, load, source, lambda _count: None)
    sent_ns = time.time_ns()
    if failed := client.close():
        raise RuntimeError(f"{len(failed)} records of {count} images were not acknowledged")
    return sent, sent_ns
