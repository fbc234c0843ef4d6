"""Record batches as kafka-python's and librdkafka's producers write them, against kafka-python's reader."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest
from kafka import TopicPartition
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow

from lifelog.consumer.direct import source
from lifelog.consumer.direct.fetch import Part
from lifelog.consumer.direct.records import BadRecords, Run, read_batches, to_arrow
from lifelog.consumer.direct.source import DirectReader, Plan, multiples, within
from lifelog.consumer.worker import Work

NOW_MS = 1_790_000_000_000
Record = tuple[int, bytes | None, bytes | None]
RANDOM = np.random.default_rng(7)


def batch(base: int, records: list[Record], compression: int = 0) -> bytes:
    """A record batch whose first record has offset `base`."""
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 30)
    for number, (timestamp, key, value) in enumerate(records):
        assert builder.append(number, timestamp, key, value, []) is not None
    return struct.pack(">q", base) + bytes(builder.build())[8:]


def records(count: int, size: int = 784, every_ms: int = 1) -> list[Record]:
    return [(NOW_MS + i * every_ms, RANDOM.bytes(16), RANDOM.bytes(size)) for i in range(count)]


def expected(data: bytes, start: int = 0, end: int = 1 << 40) -> list[Record]:
    """The same records by kafka-python's own reader."""
    found, memory = [], MemoryRecords(data)
    while memory.has_next():
        for record in memory.next_batch():
            if start <= record.offset < end:
                found.append((record.timestamp, record.key or b"", record.value or b""))
    return found


def read(data: bytes, start: int = 0, end: int = 1 << 40) -> list[Record]:
    runs, _ = read_batches(data, start, end, True)
    if not runs:
        return []
    table = to_arrow(runs, True)
    stamps = np.asarray(table["timestamp"].cast(pa.int64())) // 1000
    return list(
        zip(stamps.tolist(), table["key"].to_pylist(), table["value"].to_pylist(), strict=True)
    )


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([records(1)], id="one record"),
        # Offsets and timestamps take a second byte from 64 on, and a third from 8,192 on.
        pytest.param([records(200, every_ms=5)], id="varints that grow"),
        pytest.param([records(9000, size=3)], id="three-byte varints"),
        pytest.param([[(NOW_MS - i, b"k" * 16, b"v" * 9) for i in range(300)]], id="back in time"),
        pytest.param([[(NOW_MS, b"k" * (i % 3), b"v" * i) for i in range(300)]], id="all sizes"),
        pytest.param([[(NOW_MS, None, None), (NOW_MS, b"", b""), *records(3)]], id="nulls"),
        # As long as each other, and yet laid out differently.
        pytest.param([[(NOW_MS, b"abc", b"d"), (NOW_MS, b"a", b"bcd")] * 5], id="same length"),
        pytest.param([records(70), records(5, size=60_000), records(1, size=0)], id="batches"),
    ],
)
def test_all_records_are_read_in_order(batches: list[list[Record]]) -> None:
    data, base = b"", 0
    for some in batches:
        data += batch(base, some)
        base += len(some)
    assert read(data) == expected(data)
    assert read_batches(data, 0, base, False)[1] == base


def test_one_layout_is_one_run_without_copies() -> None:
    data = batch(0, records(60))
    ((run,), _) = read_batches(data, 0, 60, False)
    assert run.values.shape == (60, 784)
    assert run.timestamps_ms is None
    assert not run.values.flags.owndata


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 9), (99, 101), (100, 200), (150, 151)])
def test_only_the_wanted_offsets_are_read(start: int, end: int) -> None:
    data = batch(0, records(100)) + batch(100, records(100))
    assert read(data, start, end) == expected(data, start, end)
    assert len(read(data, start, end)) == end - start


def test_a_last_batch_that_is_cut_off_is_left_for_the_next_fetch() -> None:
    whole, cut = batch(0, records(10)), batch(10, records(10))
    assert read_batches(whole + cut[:-1], 0, 20, False)[1] == 10
    assert read_batches(whole[:40], 0, 20, False) == ([], 0)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "xerial", "lz4", "zstd"])
def test_compressed_batches(codec: str) -> None:
    plain = batch(0, records(100))
    body = plain[61:]
    if codec == "xerial":
        blocks = [
            pa.compress(body[at : at + 9000], "snappy", asbytes=True)
            for at in range(0, len(body), 9000)
        ]
        packed = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
        packed += b"".join(struct.pack(">i", len(block)) + block for block in blocks)
    else:
        packed = pa.compress(body, codec, asbytes=True)
    number = {"gzip": 1, "snappy": 2, "xerial": 2, "lz4": 3, "zstd": 4}[codec]
    assert read(_sealed(plain, attributes=number, body=packed)) == expected(plain)


def test_kafka_pythons_own_gzip() -> None:
    some = records(100)
    assert read(batch(0, some, compression=1)) == some


def test_log_append_time_is_every_records_timestamp() -> None:
    data = _sealed(batch(0, records(70)), attributes=0x08)
    assert {stamp for stamp, _, _ in read(data)} == {NOW_MS + 69}


def test_control_batches_are_no_records() -> None:
    data = _sealed(batch(0, records(1)), attributes=0x20) + batch(1, records(2))
    assert len(read(data)) == 2


def test_a_damaged_batch_is_not_read() -> None:
    data = bytearray(batch(7, records(10)))
    data[500] ^= 1
    with pytest.raises(BadRecords, match="offset 7: its checksum does not match"):
        read_batches(bytes(data), 0, 99, False)


def test_an_old_format_and_an_unknown_compression_are_refused() -> None:
    data = batch(7, records(10))
    with pytest.raises(BadRecords, match="offset 7: format 1, not 2"):
        read_batches(data[:16] + b"\x01" + data[17:], 0, 99, False)
    with pytest.raises(BadRecords, match="offset 7: compression 5 is unknown"):
        read_batches(_sealed(data, attributes=5), 0, 99, False)


@pytest.mark.parametrize("after", [b"", batch(10, records(3))], ids=["last", "another behind"])
def test_a_batch_that_has_fewer_records_than_it_says(after: bytes) -> None:
    with pytest.raises(BadRecords, match="offset 7: its records end early"):
        read_batches(_sealed(batch(7, records(2)), count=3) + after, 0, 99, False)


def test_a_batch_shorter_than_its_head_and_one_that_cannot_be_unpacked() -> None:
    data = batch(7, records(2))
    with pytest.raises(BadRecords, match="offset 7: -12 bytes are less than its head"):
        read_batches(data[:8] + struct.pack(">i", -12) + data[12:], 50, 99, False)
    for codec in (1, 2, 3, 4):
        with pytest.raises(BadRecords, match=r"offset 7: (gzip|snappy|lz4|zstd): "):
            read_batches(_sealed(data, attributes=codec), 0, 99, False)


def test_offsets_that_are_not_there_are_passed() -> None:
    data = batch(0, records(10)) + batch(40, records(10))
    assert read_batches(data, 0, 30, False)[1] == 30
    assert len(read(data, 5, 30)) == 5
    assert read_batches(data, 20, 45, False)[1] == 50
    assert len(read(data, 20, 45)) == 5


def _sealed(
    data: bytes, attributes: int = 0, body: bytes | None = None, count: int | None = None
) -> bytes:
    """The batch with other attributes, records and number of them, and a checksum that matches."""
    from crc32c import crc32c

    head = bytearray(data[:61])
    body = data[61:] if body is None else body
    struct.pack_into(">h", head, 21, attributes)
    struct.pack_into(">i", head, 8, len(head) + len(body) - 12)
    if count is not None:
        struct.pack_into(">i", head, 57, count)
    struct.pack_into(">I", head, 17, crc32c(bytes(head[21:]) + body))
    return bytes(head) + body


def _runs(*sizes: int) -> list[Run]:
    values = np.arange(sum(sizes), dtype=np.uint8).reshape(-1, 1)
    ends = np.cumsum(sizes)
    return [Run(values[a:b], values[a:b], None) for a, b in zip(ends - sizes, ends, strict=True)]


@pytest.mark.parametrize(
    ("fetches", "whole", "counts"),
    [
        ([[7], [7], [7]], 5, [5, 5, 10, 1]),
        ([[2], [2], [2]], 5, [5, 1]),
        ([[10], [20]], 5, [10, 20]),
        ([[1, 1, 1, 9, 1]], 6, [12, 1]),
        ([[3]], 5, [3]),
        ([], 5, []),
    ],
)
def test_records_come_in_whole_calls_and_none_is_lost(
    fetches: list[list[int]], whole: int, counts: list[int]
) -> None:
    flat = _runs(*(size for sizes in fetches for size in sizes))
    given = iter([[flat.pop(0) for _ in sizes] for sizes in fetches])
    taken = [np.concatenate([run.values for run in some]) for some in multiples(given, whole)]
    assert [len(some) for some in taken] == counts
    total = sum(counts)
    assert [int(x[0]) for some in taken for x in some] == list(range(total))


def test_large_records_are_not_collected_for_whole_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_BYTES", 6)
    given = iter([[run] for run in _runs(3, 3, 3)])
    assert [sum(len(run) for run in some) for some in multiples(given, 100)] == [6, 3]


class Brokers:
    """What the planning process asks a consumer of Kafka."""

    def __init__(self, first: int, ends: list[int]) -> None:
        self.first, self.ends = first, ends

    def beginning_offsets(self, asked: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(asked, self.first)

    def end_offsets(self, asked: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {each: self.ends[each.partition] for each in asked}


def planner(most: int | None, brokers: Brokers) -> DirectReader:
    work = Work("d.npz", "m.npz", "uint8", "chainer", 100, 5.0)
    plan = Plan(["h:1"], "t", 2, most, False, 1, True, work)
    # As Spark sends it from process to process.
    reader = DirectReader(Plan.of(plan.options()))
    assert reader.plan == plan
    reader._consumer = brokers
    return reader


def test_a_query_that_reads_what_there_is_ends_there() -> None:
    brokers = Brokers(3, [10, 90])
    reader = planner(50, brokers)
    assert isinstance(reader, SupportsTriggerAvailableNow)
    reader.prepareForTriggerAvailableNow()
    brokers.ends = [11, 200]
    at = reader.initialOffset()
    for _ in range(3):
        at = reader.latestOffset(at, reader.getDefaultReadLimit())
    assert at == {"t": {"0": 10, "1": 90}}


def test_a_micro_batch_is_planned_and_each_partition_with_records_gets_a_task() -> None:
    reader = planner(None, Brokers(3, [3, 90]))
    start = reader.initialOffset()
    end = reader.latestOffset(start, reader.getDefaultReadLimit())
    assert (start, end) == ({"t": {"0": 3, "1": 3}}, {"t": {"0": 3, "1": 90}})
    assert [task.value for task in reader.partitions(start, end)] == [Part("t", 1, 3, 90)]
    assert reader.reportLatestOffset() == end
    capped = planner(10, Brokers(0, [100, 100]))
    assert capped.latestOffset(start, capped.getDefaultReadLimit()) == {"t": {"0": 8, "1": 8}}


def test_a_partition_that_ends_before_what_was_read_has_lost_records() -> None:
    reader = planner(None, Brokers(0, [50, 40]))
    with pytest.raises(RuntimeError, match="t 1 ends at 40, and 41 were read: the broker has lost"):
        reader.latestOffset({"t": {"0": 50, "1": 41}}, reader.getDefaultReadLimit())


def test_a_limit_is_shared_by_what_waits() -> None:
    start = {"t": {"0": 10, "1": 0, "2": 5, "3": 7}}
    end = {"t": {"0": 310, "1": 100, "2": 5, "3": 8}}
    assert within(start, end, 1000) == end
    # 401 wait: of each 100 / 401, and of partition 3 the one record that is less than its share's worth.
    assert within(start, end, 100) == {"t": {"0": 84, "1": 24, "2": 5, "3": 8}}
