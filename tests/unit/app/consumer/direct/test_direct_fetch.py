"""Fetching against brokers of this test: sockets that speak Kafka's protocol and misbehave on demand."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import kafka.errors
import pytest
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.metadata import MetadataRequest, MetadataResponse
from kafka.record.default_records import DefaultRecordBatchBuilder

from lifelog.consumer.direct import fetch
from lifelog.consumer.direct.fetch import FETCH_VERSION, METADATA_VERSION, Fetcher, Part
from lifelog.consumer.direct.records import BadRecords

BATCH, BATCHES = 10, 8
LAST = BATCH * BATCHES


def log() -> list[bytes]:
    """Batches of a partition whose values are their offsets."""
    batches = []
    for base in range(0, LAST, BATCH):
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
        for number in range(BATCH):
            builder.append(number, 1, b"k" * 16, struct.pack(">q", base + number), [])
        batches.append(struct.pack(">q", base) + bytes(builder.build())[8:])
    return batches


class Broker:
    """A broker that leads partition 0 of topic `t`, until `fault` says otherwise.

    `fault` gets the number of a fetch and returns an error code, or "close" for a broken connection.
    """

    def __init__(self, node: int = 0, fault: Callable[[int], int | str] = lambda number: 0) -> None:
        self.node, self.fault = node, fault
        self.leader: Broker = self
        self.metadata_error = self.slip = 0
        self.topic = "t"
        self.fetched: list[int] = []
        self.connections = 0
        self.find: Callable[[int], int] = lambda offset: offset // BATCH
        self._batches = log()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, struct.error):
            while True:
                (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
                frame = connection.recv(size, socket.MSG_WAITALL)
                key, _, number = struct.unpack_from(">hhi", frame)
                answer = self._metadata() if key == MetadataRequest.API_KEY else self._fetch(frame)
                if answer is None:
                    return
                answer.with_header(correlation_id=number + self.slip)
                body = bytes(answer.encode(header=True))
                connection.sendall(struct.pack(">i", len(body)) + body)

    def _metadata(self) -> MetadataResponse:
        brokers = MetadataResponse.MetadataResponseBroker
        topics = MetadataResponse.MetadataResponseTopic
        return MetadataResponse(
            version=METADATA_VERSION,
            brokers=[
                brokers(node_id=b.node, host="127.0.0.1", port=b.port, rack=None)
                for b in {self.node: self, self.leader.node: self.leader}.values()
            ],
            topics=[
                topics(
                    error_code=self.metadata_error,
                    name="t",
                    partitions=[
                        topics.MetadataResponsePartition(
                            error_code=0, partition_index=0, leader_id=self.leader.node
                        )
                    ],
                )
            ],
        )

    def _fetch(self, frame: bytes) -> FetchResponse | None:
        request = FetchRequest.decode(frame, version=FETCH_VERSION, header=True)
        asked = request.topics[0].partitions[0]
        self.fetched.append(asked.fetch_offset)
        fault = self.fault(len(self.fetched))
        if fault == "close":
            return None
        topic = FetchResponse.FetchableTopicResponse
        data, budget = b"", asked.partition_max_bytes
        for batch in self._batches[self.find(asked.fetch_offset) :]:
            if data and budget < len(batch):
                break
            data, budget = data + batch, budget - len(batch)
        return FetchResponse(
            version=FETCH_VERSION,
            responses=[
                topic(
                    topic=self.topic,
                    partitions=[
                        topic.PartitionData(
                            partition_index=0,
                            error_code=fault,
                            high_watermark=LAST,
                            last_stable_offset=LAST,
                            log_start_offset=0,
                            aborted_transactions=[],
                            records=None if fault else data,
                        )
                    ],
                )
            ],
        )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "RETRY_S", 0.001)


@pytest.fixture
def brokers() -> Iterator[list[Broker]]:
    made = [Broker(0), Broker(1)]
    yield made
    for broker in made:
        broker.close()


def offsets(fetcher: Fetcher, start: int = 0, end: int = LAST, fetch_bytes: int = 1) -> list[int]:
    return [
        struct.unpack(">q", value.tobytes())[0]
        for runs in fetcher.read(Part("t", 0, start, end), fetch_bytes, False)
        for run in runs
        for value in run.values
    ]


@pytest.mark.parametrize(("start", "end"), [(0, LAST), (3, 4), (10, 20), (19, 41)])
@pytest.mark.parametrize("fetch_bytes", [1, 1000, 1 << 20])
def test_exactly_the_part_is_read(
    brokers: list[Broker], start: int, end: int, fetch_bytes: int
) -> None:
    fetcher = Fetcher([brokers[0].address])
    assert offsets(fetcher, start, end, fetch_bytes) == list(range(start, end))
    # One that asks who leads, one that fetches, and the same one again for the next part.
    assert offsets(fetcher, 0, 5) == list(range(5))
    assert brokers[0].connections == 2


def test_the_next_fetch_is_under_way_while_the_caller_works(brokers: list[Broker]) -> None:
    reading = Fetcher([brokers[0].address]).read(Part("t", 0, 0, LAST), 1, False)
    next(reading)
    for _ in range(1000):
        if len(brokers[0].fetched) == 2:
            break
        threading.Event().wait(0.01)
    assert brokers[0].fetched == [0, BATCH]


def test_a_part_that_nobody_read_to_its_end_leaves_no_answer_behind(brokers: list[Broker]) -> None:
    fetcher = Fetcher([brokers[0].address])
    reading = fetcher.read(Part("t", 0, 0, LAST), 1, False)
    next(reading)
    reading.close()
    assert offsets(fetcher, 40, 60) == list(range(40, 60))


def test_a_bootstrap_broker_that_is_down_is_passed_over(brokers: list[Broker]) -> None:
    # A port that was never listened on: a server that is closed still answers whom it waits for.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        down = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert offsets(Fetcher([down, brokers[1].address])) == list(range(LAST))


def test_a_caller_may_take_longer_than_a_broker(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.3)
    brokers[0].fault = lambda number: kafka.errors.NotLeaderForPartitionError.errno * (number == 3)
    reading = Fetcher([brokers[0].address]).read(Part("t", 0, 0, 4 * BATCH), 1, False)
    seen = []
    for runs in reading:
        threading.Event().wait(0.4)
        seen += [len(run) for run in runs]
    assert seen == [BATCH] * 4


def test_what_was_compacted_away_at_the_end_of_a_part_is_not_waited_for(
    brokers: list[Broker],
) -> None:
    del brokers[0]._batches[2:6]
    fetcher = Fetcher([brokers[0].address])
    # The broker answers with the next batch that there is.
    brokers[0].find = lambda offset: min(offset // BATCH, 2)
    assert offsets(fetcher, 0, 50) == list(range(20))
    assert brokers[0].fetched == [0, 10, 20]


def test_an_answer_to_another_request_is_not_taken(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.2)
    brokers[0].slip = 1
    with pytest.raises(kafka.errors.KafkaTimeoutError, match=r"answered request 2, not 1"):
        offsets(Fetcher([brokers[0].address]))
    brokers[0].slip, brokers[0].topic = 0, "other"
    with pytest.raises(BadRecords, match=r"sent another partition"):
        offsets(Fetcher([brokers[0].address]))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(kafka.errors.NotLeaderForPartitionError.errno, id="another leads"),
        pytest.param("close", id="connection lost"),
    ],
)
def test_a_new_leader_is_found_and_no_record_is_lost_or_repeated(
    brokers: list[Broker], fault: int | str
) -> None:
    first, second = brokers

    def moved(number: int) -> int | str:
        if number < 3:
            return 0
        first.leader = second
        return fault

    first.fault = moved
    assert offsets(Fetcher([first.address])) == list(range(LAST))
    assert first.fetched[:3] == [0, BATCH, 2 * BATCH]
    assert second.fetched[0] == 2 * BATCH


def test_offsets_that_are_gone_are_an_error_at_once(brokers: list[Broker]) -> None:
    brokers[0].fault = lambda number: kafka.errors.OffsetOutOfRangeError.errno
    with pytest.raises(kafka.errors.OffsetOutOfRangeError):
        offsets(Fetcher([brokers[0].address]))
    assert len(brokers[0].fetched) == 1


def test_a_partition_without_a_leader_is_waited_for_and_then_named(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.2)
    brokers[0].metadata_error = kafka.errors.LeaderNotAvailableError.errno
    with pytest.raises(kafka.errors.KafkaTimeoutError, match=r"t 0 from 0: .*LeaderNotAvailable"):
        offsets(Fetcher([brokers[0].address]))


def test_no_broker_at_all_is_named(brokers: list[Broker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.2)
    for broker in brokers:
        broker.close()
    with pytest.raises(kafka.errors.KafkaTimeoutError, match=r"t 0 from 0: .*refused"):
        offsets(Fetcher([b.address for b in brokers]))


def test_an_answer_without_a_whole_batch_is_an_error_and_no_endless_loop(
    brokers: list[Broker],
) -> None:
    first = log()[0]
    brokers[0]._batches = [first[:16] + b"\0" + first[17:]]
    with pytest.raises(BadRecords, match=r"format 0, not 2"):
        offsets(Fetcher([brokers[0].address]))
    brokers[0]._batches = [first[:-1]]
    with pytest.raises(BadRecords, match="no batch for offset 0"):
        offsets(Fetcher([brokers[0].address]))
