"""The topics of the comparison: made, filled by the testbed's own producer, deleted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog.errors import UserError
from lifelog.producer.clients import make_client
from lifelog.producer.run import Load, Sent, Source, send_load

PREFIX = "lifelog-benchmark-peers"
PRODUCER = 1
TIMEOUT_MS = 30_000
CLIENT = {
    "client": "confluent-kafka",
    "acks": "all",
    "compression": "none",
    "producer_batch_bytes": 131072,
    "linger_ms": 5,
}


@contextlib.contextmanager
def admin(servers: str) -> Iterator[Any]:
    """Kafka's administrative client; UserError where no broker answers."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        client = KafkaAdminClient(
            bootstrap_servers=servers.split(","), request_timeout_ms=TIMEOUT_MS
        )
    except (KafkaError, ValueError, OSError) as error:
        raise UserError(
            f"no Kafka broker answers at {servers} ({error}): ./testbed run leaves brokers running, "
            "and their addresses are in inventory/local"
        ) from error
    try:
        yield client
    finally:
        client.close()


def create_topic(servers: str, topic: str, partitions: int) -> None:
    """Make a topic without replicas whose records no retention deletes."""
    # Paced records keep their scheduled time.
    configs = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    with admin(servers) as client:
        client.create_topics(
            {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}},
            timeout_ms=TIMEOUT_MS,
            wait_for_metadata=True,
        )


def delete_topics(servers: str, topics: list[str]) -> None:
    """Delete topics; one that is not there is no error."""
    from kafka.errors import UnknownTopicOrPartitionError

    with admin(servers) as client:
        for topic in topics:
            with contextlib.suppress(UnknownTopicOrPartitionError):
                client.delete_topics([topic], timeout_ms=TIMEOUT_MS)


def send(
    servers: str,
    topic: str,
    partitions: int,
    images: NDArray[np.uint8],
    count: int,
    producer: int = PRODUCER,
    rate: float | None = None,
    start_ns: int | None = None,
) -> tuple[Sent, int]:
    """Send `count` images of the stream uint8 (N, h, w, c), one a record, as raw uint8.

    `rate`: images/s, from `start_ns` (epoch) on; as fast as possible where it is None. Returns what
    was sent, and when the last image was handed to the client (epoch ns). RuntimeError where a
    broker did not acknowledge all.
    """
    source = Source(images, "uint8", 1)
    client = make_client(servers.split(","), topic, CLIENT)
    load = Load(producer, count, rate, start_ns or time.time_ns(), None, 1, partitions)
    sent = send_load(client, load, source, lambda _count: None)
    sent_ns = time.time_ns()
    if failed := client.close():
        raise RuntimeError(f"{len(failed)} of {count} records were not acknowledged")
    return sent, sent_ns
