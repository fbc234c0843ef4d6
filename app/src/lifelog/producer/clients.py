"""The Kafka clients a producer can use, behind one small interface."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

# The topic may be made only now, by the host of the consumer.
METADATA_TIMEOUT_S = 60.0
FLUSH_TIMEOUT_S = 60.0
# Bytes of values that a producer may have sent without an answer: the default of `buffer.memory` in
# Kafka's own client. Without a bound, images of a saturated producer count as sent in its memory.
BUFFER_BYTES = 32 * 1024 * 1024
SETTLE_EVERY = 64
# Longer than any run.
METRICS_WINDOW_MS = 24 * 3600 * 1000


class Client(Protocol):
    """Sends records asynchronously and knows afterwards which were not acknowledged."""

    # Epoch nanoseconds at which the flush returned (0 before `close`).
    last_ack_ns: int
    # `avg` and `max` in ms over the client's requests, after `close`; None with a `reason`.
    request_latency_ms: dict[str, float | str | None]

    def send(
        self, number: int, partition: int, key: bytes, value: bytes, timestamp_ms: int
    ) -> None:
        """Queue record `number`; blocks while the client's buffer is full."""

    def close(self) -> set[int]:
        """Wait for all acknowledgements; return the numbers of records that got none."""


class KafkaPython:
    """kafka-python, with the bound on unsent bytes that its 3.x releases lack."""

    def __init__(self, servers: list[str], topic: str, settings: dict[str, Any]) -> None:
        from kafka import KafkaProducer

        acks: str | int = settings["acks"] if settings["acks"] == "all" else int(settings["acks"])
        compression = settings["compression"]
        self._topic = topic
        self._unacknowledged: set[int] = set()
        # Records that are not settled yet, as they were sent: number, bytes, future.
        self._pending: deque[tuple[int, int, Any]] = deque()
        self._pending_bytes = 0
        self.last_ack_ns = 0
        self.request_latency_ms = _no_latency("the client was not closed")
        self._producer = KafkaProducer(
            bootstrap_servers=servers,
            acks=acks,
            enable_idempotence=acks == "all",
            batch_size=settings["producer_batch_bytes"],
            linger_ms=settings["linger_ms"],
            compression_type=None if compression == "none" else compression,
            max_block_ms=int(METADATA_TIMEOUT_S * 1000),
            # Metrics of the whole run: the client's own window would forget all but its end.
            metrics_sample_window_ms=METRICS_WINDOW_MS,
        )
        # Metadata is fetched now, not inside the first measured send.
        self._producer.partitions_for(topic)

    def send(
        self, number: int, partition: int, key: bytes, value: bytes, timestamp_ms: int
    ) -> None:
        """Queue one record; waits for the oldest ones while too many bytes are unsettled."""
        future = self._producer.send(
            self._topic, value, key, partition=partition, timestamp_ms=timestamp_ms
        )
        self._pending.append((number, len(value), future))
        self._pending_bytes += len(value)
        if number % SETTLE_EVERY == 0 or self._pending_bytes > BUFFER_BYTES:
            self._settle()

    def _settle(self) -> None:
        """Forget settled records from the oldest on; wait while more than BUFFER_BYTES are left."""
        pending = self._pending
        while pending and (pending[0][2].is_done or self._pending_bytes > BUFFER_BYTES):
            number, size, future = pending[0]
            try:
                future.get(FLUSH_TIMEOUT_S)
            except Exception:  # of any kind: the record has no acknowledgement
                self._unacknowledged.add(number)
            self._pending_bytes -= size
            pending.popleft()

    def close(self) -> set[int]:
        """Flush; records that the flush could not settle count as not acknowledged."""
        from kafka.errors import KafkaTimeoutError

        with contextlib.suppress(KafkaTimeoutError):
            self._producer.flush(timeout=FLUSH_TIMEOUT_S)
        self.last_ack_ns = time.time_ns()
        self.request_latency_ms = request_latency_ms(self._producer.metrics(raw=True))
        # Closing fails what the flush has not settled.
        self._producer.close(timeout=1.0)
        self._unacknowledged.update(n for n, _, f in self._pending if not f.succeeded())
        return self._unacknowledged


class ConfluentKafka:
    """confluent-kafka (librdkafka)."""

    def __init__(self, servers: list[str], topic: str, settings: dict[str, Any]) -> None:
        from confluent_kafka import Producer

        self._topic = topic
        self._failed: set[int] = set()
        self.last_ack_ns = 0
        # Its statistics are one JSON text of every broker and partition at each interval, parsed in
        # the thread that sends.
        self.request_latency_ms = _no_latency("librdkafka's statistics are not asked for")
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
        deadline = time.monotonic() + METADATA_TIMEOUT_S
        # Unlike kafka-python it does not wait for a topic that is being made.
        while self._producer.list_topics(topic, timeout=METADATA_TIMEOUT_S).topics[topic].error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"there is no topic {topic} after {METADATA_TIMEOUT_S:g} s")
            time.sleep(0.2)

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


def request_latency_ms(metrics: Mapping[Any, Any] | None) -> dict[str, float | str | None]:
    """Mean and longest time from a request to its answer, in ms, of kafka-python's raw metrics.

    Nearly all of a producer's requests are produce requests; the few others count as well.
    """
    found = {
        name.name: float(metric.value())
        for name, metric in (metrics or {}).items()
        if name.group == "producer-metrics" and name.name.startswith("request-latency-")
    }
    average, longest = (found.get(f"request-latency-{kind}") for kind in ("avg", "max"))
    if average is None or longest is None or not math.isfinite(longest):
        return _no_latency("no request was answered")
    return {"avg": round(average, 3), "max": round(longest, 3)}


def _no_latency(reason: str) -> dict[str, float | str | None]:
    return {"avg": None, "max": None, "reason": reason}


def make_client(servers: list[str], topic: str, settings: dict[str, Any]) -> Client:
    """Connect the client that `settings["client"]` names."""
    kinds: dict[str, type[KafkaPython] | type[ConfluentKafka]] = {
        "kafka-python": KafkaPython,
        "confluent-kafka": ConfluentKafka,
    }
    return kinds[settings["client"]](servers, topic, settings)
