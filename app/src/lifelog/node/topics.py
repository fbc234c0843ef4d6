"""The topic of a run: created with the planned replica placement, read back, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lifelog.errors import UserError

TIMEOUT_MS = 30_000


@contextmanager
def _admin(servers: list[str]) -> Iterator[Any]:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=TIMEOUT_MS)
    except KafkaError as error:
        raise UserError(
            f"no Kafka broker answers at {', '.join(servers)} ({error}): "
            "run site.yml --skip-tags experiment to start and check the brokers"
        ) from error
    try:
        yield admin
    finally:
        admin.close()


def create_topic(spec: dict[str, Any]) -> None:
    """Create the run's topic and wait until every partition has its planned leader."""
    topic = spec["topic"]
    assignments = dict(enumerate(spec["replica_assignment"]))
    configs = {
        "message.timestamp.type": "CreateTime",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(8 << 20),
    }
    with _admin(spec["bootstrap_servers"]) as admin:
        admin.create_topics(
            {topic: {"assignments": assignments, "configs": configs}},
            timeout_ms=TIMEOUT_MS,
            wait_for_metadata=True,
        )


def delete_topic(spec: dict[str, Any]) -> None:
    """Delete the run's topic; a topic that is not there is no error."""
    from kafka.errors import UnknownTopicOrPartitionError

    with _admin(spec["bootstrap_servers"]) as admin:
        try:
            admin.delete_topics([spec["topic"]], timeout_ms=TIMEOUT_MS)
        except UnknownTopicOrPartitionError:
            return


def leaders(servers: list[str], topic: str) -> list[int]:
    """Node id of each partition's leader, by partition."""
    with _admin(servers) as admin:
        (described,) = admin.describe_topics([topic])
    partitions = sorted(described["partitions"], key=lambda p: p["partition_index"])
    return [int(p["leader_id"]) for p in partitions]
