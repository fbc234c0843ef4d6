"""The topic of a run: created with the planned replica placement, read back, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lifelog.errors import UserError

TIMEOUT_MS = 30_000


@contextmanager
def admin(servers: list[str]) -> Iterator[Any]:
    """Kafka's administrative client of the brokers ADDRESS:PORT; UserError where none answers."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        client = KafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=TIMEOUT_MS)
    except (KafkaError, ValueError, OSError) as error:
        raise UserError(
            f"no Kafka broker answers at {', '.join(servers)} ({error}): "
            "run site.yml --skip-tags experiment to start and check the brokers"
        ) from error
    try:
        yield client
    finally:
        client.close()


def create_topic(servers: list[str], topic: str, layout: dict[str, Any]) -> None:
    """Create a topic whose records no retention deletes, and wait until each partition has its leader.

    `layout`: {"assignments": {partition: [node ids]}}, or {"num_partitions": n,
    "replication_factor": n}.
    """
    configs = {
        "message.timestamp.type": "CreateTime",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(8 << 20),
    }
    with admin(servers) as client:
        client.create_topics(
            {topic: {**layout, "configs": configs}},
            timeout_ms=TIMEOUT_MS,
            wait_for_metadata=True,
        )


def delete_topic(servers: list[str], topic: str) -> None:
    """Delete a topic; one that is not there, or that another deletes just now, is no error."""
    from kafka.errors import UnknownTopicIdError, UnknownTopicOrPartitionError

    # The hosts of an interrupted run sweep up at once: the second is told that the id is gone.
    gone = suppress(UnknownTopicOrPartitionError, UnknownTopicIdError)
    with admin(servers) as client, gone:
        client.delete_topics([topic], timeout_ms=TIMEOUT_MS)


def leaders(servers: list[str], topic: str) -> list[int]:
    """Node id of each partition's leader, by partition."""
    with admin(servers) as client:
        (described,) = client.describe_topics([topic])
    partitions = sorted(described["partitions"], key=lambda p: p["partition_index"])
    return [int(p["leader_id"]) for p in partitions]
