"""Fetches a range of a partition's offsets from the broker that leads it, with kafka-python's protocol.

Connections and leaders are kept as long as the process lives: a Spark Python worker does thousands
of tasks. Not thread-safe: such a worker has one thread.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import kafka.errors
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from lifelog.consumer.direct.records import BadRecords, Run, read_batches

# The oldest that tell all compressions and leader epochs: Kafka 2.1 and later have them.
FETCH_VERSION, METADATA_VERSION = 10, 7
CLIENT_ID = "lifelog-consumer"
# What is planned is there: this wait is only for what a new leader has not told its followers yet.
MAX_WAIT_MS = 100
TIMEOUT_S = 30.0
RETRY_S = 0.1
# What the election of a leader, or a broker's restart, brings: another try may succeed.
_PASSING = (
    *(kafka.errors.NotLeaderForPartitionError, kafka.errors.LeaderNotAvailableError),
    *(kafka.errors.UnknownTopicOrPartitionError, kafka.errors.FencedLeaderEpochError),
    *(kafka.errors.UnknownLeaderEpochError, kafka.errors.BrokerNotAvailableError),
    *(kafka.errors.ReplicaNotAvailableError, kafka.errors.OffsetNotAvailableError),
    *(kafka.errors.KafkaStorageError, OSError),
)


@dataclass(frozen=True, slots=True)
class Part:
    """Which records a task is to read: offsets from `start` to before `end` of a partition."""

    topic: str
    partition: int
    start: int
    end: int


class Connection:
    """One broker; requests are answered in their order."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = self._received = 0

    def send(self, request: Any) -> None:
        """Send a request."""
        self._sent += 1
        request.with_header(correlation_id=self._sent, client_id=CLIENT_ID)
        self._socket.sendall(request.encode(framed=True, header=True))

    def receive(self, response: Any, version: int) -> Any:
        """The answer to the oldest request that was not received yet."""
        self._received += 1
        size, number = struct.unpack(">ii", self._exactly(8))
        answer = self._exactly(size - 4)
        if number != self._received:
            raise ConnectionError(f"the broker answered request {number}, not {self._received}")
        return response.decode(answer, version=version)

    def _exactly(self, size: int) -> memoryview:
        buffer = memoryview(bytearray(size))
        got = 0
        while got < size:
            more = self._socket.recv_into(buffer[got:], 0, socket.MSG_WAITALL)
            if not more:
                raise ConnectionError("the broker closed the connection")
            got += more
        return buffer

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()


class Fetcher:
    """Reads parts of topics; knows leaders and keeps connections."""

    def __init__(self, servers: list[str]) -> None:
        """`servers`: HOST:PORT of brokers that are asked who leads a partition."""
        self._servers = servers
        self._connections: dict[tuple[str, int], Connection] = {}
        self._leaders: dict[tuple[str, int], tuple[str, int]] = {}

    def read(self, part: Part, fetch_bytes: int, timestamps: bool) -> Iterator[list[Run]]:
        """The records of a part in order, fetch by fetch, each of about `fetch_bytes`.

        The next fetch is under way while the caller works. KafkaError where the broker cannot give
        these records, BadRecords where it gave something else.
        """
        position, asked = part.start, False
        deadline = time.monotonic() + TIMEOUT_S
        leader = part.topic, part.partition
        try:
            while position < part.end:
                try:
                    if not asked:
                        self._ask(part, position, fetch_bytes)
                        asked = True
                    data = self._answer(part)
                    asked = False
                except _PASSING as error:
                    asked = False
                    self._forget(leader)
                    if time.monotonic() > deadline:
                        raise kafka.errors.KafkaTimeoutError(
                            f"{part.topic} {part.partition} from {position}: {error!r}"
                        ) from error
                    # An election or a restart takes a moment, in which brokers are not to be flooded.
                    time.sleep(RETRY_S)
                    continue
                runs, after = read_batches(data, position, part.end, timestamps)
                if after == position and len(data) > fetch_bytes:
                    raise BadRecords(
                        f"{part.topic} {part.partition}: no batch for offset {position} in "
                        f"{len(data)} bytes"
                    )
                if after == position and time.monotonic() > deadline:
                    raise kafka.errors.KafkaTimeoutError(
                        f"{part.topic} {part.partition}: nothing at offset {position} for "
                        f"{TIMEOUT_S:g} s"
                    )
                position = after
                if position < part.end:
                    try:
                        self._ask(part, position, fetch_bytes)
                        asked = True
                    except _PASSING:
                        self._forget(leader)
                if runs:
                    yield runs
                    # What the caller did meanwhile is not the broker's time.
                    deadline = time.monotonic() + TIMEOUT_S
        finally:
            if asked:
                # An answer that nobody reads would be taken for that of the next request.
                self._forget(leader)

    def _ask(self, part: Part, position: int, fetch_bytes: int) -> None:
        topic = FetchRequest.FetchTopic(
            topic=part.topic,
            partitions=[
                FetchRequest.FetchTopic.FetchPartition(
                    partition=part.partition, fetch_offset=position, partition_max_bytes=fetch_bytes
                )
            ],
        )
        self._leading(part).send(
            FetchRequest(
                version=FETCH_VERSION,
                max_wait_ms=MAX_WAIT_MS,
                min_bytes=1,
                max_bytes=fetch_bytes,
                topics=[topic],
            )
        )

    def _answer(self, part: Part) -> bytes:
        response = self._leading(part).receive(FetchResponse, FETCH_VERSION)
        _check(response.error_code)
        (answer,) = response.responses[0].partitions
        if (response.responses[0].topic, answer.partition_index) != (part.topic, part.partition):
            raise BadRecords(f"asked for {part}, the broker sent another partition")
        _check(answer.error_code)
        return answer.records or b""

    def _leading(self, part: Part) -> Connection:
        key = part.topic, part.partition
        if key not in self._leaders:
            self._find_leaders(part.topic)
        if key not in self._leaders:
            raise kafka.errors.LeaderNotAvailableError(f"{part.topic} {part.partition}")
        return self._connected(self._leaders[key])

    def _connected(self, address: tuple[str, int]) -> Connection:
        if address not in self._connections:
            self._connections[address] = Connection(*address)
        return self._connections[address]

    def _find_leaders(self, topic: str) -> None:
        request = MetadataRequest(
            version=METADATA_VERSION,
            topics=[MetadataRequest.MetadataRequestTopic(name=topic)],
            allow_auto_topic_creation=False,
        )
        failed: OSError | None = None
        for server in self._servers:
            host, _, port = server.rpartition(":")
            # Its own connection: that of a fetch may have an answer under way.
            try:
                connection = Connection(host, int(port))
                try:
                    connection.send(request)
                    response = connection.receive(MetadataResponse, METADATA_VERSION)
                finally:
                    connection.close()
            except OSError as error:
                failed = error
                continue
            brokers = {broker.node_id: (broker.host, broker.port) for broker in response.brokers}
            for found in response.topics:
                _check(found.error_code)
                for partition in found.partitions:
                    if partition.leader_id in brokers:
                        key = topic, partition.partition_index
                        self._leaders[key] = brokers[partition.leader_id]
            return
        raise failed or OSError("no broker was named")

    def _forget(self, partition: tuple[str, int]) -> None:
        address = self._leaders.pop(partition, None)
        if address is not None and (connection := self._connections.pop(address, None)):
            connection.close()


def _check(code: int) -> None:
    if code:
        raise kafka.errors.for_code(code)()


_fetchers: dict[tuple[str, ...], Fetcher] = {}


def fetcher_of(servers: list[str]) -> Fetcher:
    """This process's fetcher for these brokers."""
    return _fetchers.setdefault(tuple(servers), Fetcher(servers))
