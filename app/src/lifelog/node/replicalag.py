"""How far follower replicas of a topic are behind, asked of the brokers once a second.

Kafka's own `offset_lag` (DescribeLogDirs) is of no use for it: for a replica that serves its partition
it is the high watermark less the log's end, both of the same broker, and so always 0. Each broker is
asked for the log ends of its replicas instead (ListOffsets as the replica id -2, "debugging", which
a follower answers as well); what a replica's end lacks to the furthest one is its lag.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

PERIOD_S = 1.0
TIMEOUT_MS = 5_000
DEBUGGING_REPLICA_ID = -2
LATEST = -1
LAG_FIELDS = (
    "replica_lag_largest_records",
    "replica_lag_sum_records",
    "replica_lag_at_ns",
    "replica_lag_error",
)


def replica_lag(ends: Mapping[int, Mapping[int, int]]) -> tuple[int, int]:
    """Largest and summed lag in records; `ends`: log end offset by broker and partition."""
    furthest: dict[int, int] = {}
    for partitions in ends.values():
        for partition, end in partitions.items():
            furthest[partition] = max(end, furthest.get(partition, end))
    lags = [furthest[p] - end for partitions in ends.values() for p, end in partitions.items()]
    return max(lags, default=0), sum(lags)


class ReplicaLag:
    """Asks from a daemon thread, so that a slow broker delays no sample."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        """Start asking for the topic of a run's spec.json, unless no partition has a follower."""
        self._servers: list[str] = spec["bootstrap_servers"]
        self._topic: str = spec["topic"]
        self._partitions: dict[int, list[int]] = {}
        for partition, replicas in enumerate(spec["replica_assignment"]):
            for node in replicas:
                self._partitions.setdefault(node, []).append(partition)
        self._latest: dict[str, Any] = dict.fromkeys(LAG_FIELDS)
        self._lock = threading.Lock()
        self.absent_because: str | None = None
        if all(len(replicas) == 1 for replicas in spec["replica_assignment"]):
            self.absent_because = "replication 1: no follower that could lag"
        else:
            threading.Thread(target=self._loop, name="replica lag", daemon=True).start()

    @staticmethod
    def described(absent_because: str | None) -> dict[str, dict[str, str | None]]:
        """The figures' entries in the first line of the samples."""
        origin = "ListOffsets of all brokers at about the same instant: furthest log end - own"
        where = {
            "source": None if absent_because else origin,
            "absent_because": absent_because,
        }
        units = ("records", "records, of all follower replicas", "ns since the epoch", "text")
        return {name: {"unit": unit, **where} for name, unit in zip(LAG_FIELDS, units, strict=True)}

    def latest(self) -> dict[str, Any]:
        """The answer, or the error, that came since the last call; nulls where none did."""
        with self._lock:
            latest, self._latest = self._latest, dict.fromkeys(LAG_FIELDS)
        return latest

    def _keep(self, **figures: Any) -> None:
        with self._lock:
            self._latest = dict.fromkeys(LAG_FIELDS) | figures

    def _loop(self) -> None:
        admin = None
        next_at = time.monotonic()
        while True:
            try:
                admin = admin or self._connect()
                asked_ns = time.time_ns()
                largest, total = replica_lag(self._ends(admin))
                self._keep(
                    replica_lag_largest_records=largest,
                    replica_lag_sum_records=total,
                    replica_lag_at_ns=asked_ns,
                )
            except Exception as error:  # of any kind: the figure is absent, the samples go on
                self._keep(replica_lag_error=f"{type(error).__name__}: {error}"[:300])
            now = time.monotonic()
            next_at = max(next_at + PERIOD_S, now)
            time.sleep(next_at - now)

    def _connect(self) -> Any:
        from kafka import KafkaAdminClient

        return KafkaAdminClient(
            bootstrap_servers=self._servers,
            request_timeout_ms=TIMEOUT_MS,
            bootstrap_timeout_ms=TIMEOUT_MS,
        )

    def _ends(self, admin: Any) -> dict[int, dict[int, int]]:
        """Log end offsets by broker and partition; raises where a replica does not tell."""
        # No public call sends a request to a broker of one's choice.
        manager = admin._manager

        async def ask() -> dict[int, Any]:
            # All at once: what arrives between two questions would count as lag.
            asked = {
                node: manager.send(log_ends_request(self._topic, own), node_id=node)
                for node, own in self._partitions.items()
            }
            return {node: await answer for node, answer in asked.items()}

        return {node: log_ends(node, answer) for node, answer in manager.run(ask).items()}


def log_ends_request(topic: str, partitions: list[int]) -> Any:
    """Request for the log ends of a broker's own replicas, leaders or not."""
    from kafka.protocol.consumer import ListOffsetsRequest

    kind = ListOffsetsRequest.ListOffsetsTopic
    own = [kind.ListOffsetsPartition(partition_index=p, timestamp=LATEST) for p in partitions]
    return ListOffsetsRequest(
        replica_id=DEBUGGING_REPLICA_ID,
        isolation_level=0,
        topics=[kind(name=topic, partitions=own)],
        # Version 0 has another shape.
        min_version=1,
    )


def log_ends(node: int, response: Any) -> dict[int, int]:
    """Log end offset by partition, from one broker's answer; RuntimeError where one is missing."""
    from kafka.errors import for_code

    ends = {}
    for topic in response.topics:
        for partition in topic.partitions:
            if partition.error_code:
                reason = for_code(partition.error_code).__name__
                raise RuntimeError(
                    f"broker {node}, partition {partition.partition_index}: {reason}"
                )
            ends[partition.partition_index] = int(partition.offset)
    return ends
