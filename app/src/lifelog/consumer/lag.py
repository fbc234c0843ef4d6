"""How far the query is behind: the brokers' end offsets against those it has processed.

Spark commits no offsets to Kafka, so the processed ones come from the query's own progress.
"""

from __future__ import annotations

import json
import threading
from typing import Any


class LagMeter:
    """Asks the brokers for end offsets; keeps the processed ones as told. Thread-safe."""

    def __init__(self, servers: list[str], topic: str, partitions: int) -> None:
        from kafka import KafkaConsumer, TopicPartition

        self._topic = topic
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
        self._processed: dict[int, int] = {}
        self._lock = threading.Lock()

    def processed(self, end_offset: str | dict[str, Any]) -> None:
        """Note a finished micro-batch's end offsets, as Spark's progress event gives them."""
        offsets = json.loads(end_offset) if isinstance(end_offset, str) else end_offset
        with self._lock:
            self._processed = {int(p): int(o) for p, o in offsets[self._topic].items()}

    def lag_records(self) -> int:
        """Records that are in the topic and not in a finished micro-batch."""
        with self._lock:
            ends = self._consumer.end_offsets(self._partitions)
            return sum(
                int(end) - self._processed.get(partition.partition, 0)
                for partition, end in ends.items()
            )

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._consumer.close()
