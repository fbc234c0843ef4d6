"""The Kafka clients a producer can use, behind one small interface."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Protocol

FLUSH_TIMEOUT_S = 60.0


class Client(Protocol):
    """Sends records asynchronously and knows afterwards which were not acknowledged."""

    # Epoch nanoseconds at which the flush returned (0 before `close`).
    last_ack_ns: int

    def send(
        self, number: int, partition: int, key: bytes, value: bytes, timestamp_ms: int
    ) -> None:
        """Queue record `number`; blocks while the client's buffer is full."""

    def close(self) -> set[int]:
        """Wait for all acknowledgements; return the numbers of records that got none."""


class KafkaPython:
    """kafka-python. Its futures resolve per batch, so only failures cost a callback."""

    def __init__(self, servers: list[str], topic: str, settings: dict[str, Any]) -> None:
        from kafka import KafkaProducer

        acks: str | int = settings["acks"] if settings["acks"] == "all" else int(settings["acks"])
        compression = settings["compression"]
        self._topic = topic
        self._unacknowledged: set[int] = set()
        self.last_ack_ns = 0
        self._producer = KafkaProducer(
            bootstrap_servers=servers,
            acks=acks,
            enable_idempotence=acks == "all",
            batch_size=settings["producer_batch_bytes"],
            linger_ms=settings["linger_ms"],
            compression_type=None if compression == "none" else compression,
            max_block_ms=30_000,
        )
        # Metadata is fetched now, not inside the first measured send.
        self._producer.partitions_for(topic)

    def send(
        self, number: int, partition: int, key: bytes, value: bytes, timestamp_ms: int
    ) -> None:
        """Queue one record; a failure is remembered by its number."""
        self._producer.send(
            self._topic, value, key, partition=partition, timestamp_ms=timestamp_ms
        ).add_errback(lambda _error: self._unacknowledged.add(number))

    def close(self) -> set[int]:
        """Flush; records that the flush could not settle count as not acknowledged."""
        from kafka.errors import KafkaTimeoutError

        # After a timeout, closing fails what is still queued, and so calls the errbacks.
        with contextlib.suppress(KafkaTimeoutError):
            self._producer.flush(timeout=FLUSH_TIMEOUT_S)
        self.last_ack_ns = time.time_ns()
        self._producer.close(timeout=1.0)
        return self._unacknowledged


class ConfluentKafka:
    """confluent-kafka (librdkafka)."""

    def __init__(self, servers: list[str], topic: str, settings: dict[str, Any]) -> None:
        from confluent_kafka import Producer

        self._topic = topic
        self._failed: set[int] = set()
        self.last_ack_ns = 0
        self._queued = 0
        self._delivered = 0
        self._producer = Producer(
            {
                "bootstrap.servers": ",".join(servers),
                "acks": settings["acks"],
                "enable.idempotence": settings["acks"] == "all",
                "batch.size": settings["producer_batch_bytes"],
                "linger.ms": settings["linger_ms"],
                "compression.type": settings["compression"],
                "queue.buffering.max.messages": 200_000,
            }
        )
        self._producer.list_topics(topic, timeout=30)

    def send(
        self, number: int, partition: int, key: bytes, value: bytes, timestamp_ms: int
    ) -> None:
        """Queue one record; waits for room where librdkafka's queue is full."""

        def delivered(error: object, _message: object) -> None:
            self._delivered += 1
            if error is not None:
                self._failed.add(number)

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value,
                    key,
                    partition,
                    on_delivery=delivered,
                    timestamp=timestamp_ms,
                )
                break
            except BufferError:
                self._producer.poll(0.01)
        self._queued += 1
        if number % 256 == 0:
            self._producer.poll(0)

    def close(self) -> set[int]:
        """Flush, then purge: what is left gets a failed delivery report."""
        if self._producer.flush(FLUSH_TIMEOUT_S):
            self._producer.purge()
            self._producer.flush(5)
        self.last_ack_ns = time.time_ns()
        if self._delivered != self._queued:
            raise RuntimeError(
                f"librdkafka reported {self._delivered} of {self._queued} records: "
                "the unreported ones can be counted neither as acknowledged nor as failed"
            )
        return self._failed


def make_client(servers: list[str], topic: str, settings: dict[str, Any]) -> Client:
    """Connect the client that `settings["client"]` names."""
    kinds: dict[str, type[KafkaPython] | type[ConfluentKafka]] = {
        "kafka-python": KafkaPython,
        "confluent-kafka": ConfluentKafka,
    }
    return kinds[settings["client"]](servers, topic, settings)
