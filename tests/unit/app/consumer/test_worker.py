"""What a Spark worker does with a batch of records, without Spark: real Chainer, real Arrow."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pyarrow as pa
import pytest

from lifelog.bundle import save_npz
from lifelog.consumer.calls import CALL_SCHEMA
from lifelog.consumer.worker import Work, Worker, infer_batch
from lifelog.encodings import ENCODINGS, encoding
from lifelog.models import make_network
from lifelog.record import KEY_DTYPE, pack_key

COUNT = 50
SHAPE = (4, 5, 1)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (COUNT, *SHAPE), np.uint8)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray) -> Work:
    folder = tmp_path_factory.mktemp("bundles")
    network = make_network("mlp", SHAPE, 10)
    scores = network(images.reshape(COUNT, -1) * np.float32(1 / 255)).array
    best = np.sort(scores, axis=1)
    predictions = scores.argmax(axis=1)
    save_npz(
        folder / "dataset.npz",
        {"name": "d", "sha256": "0"},
        {"images": images, "labels": predictions},
    )
    save_npz(
        folder / "model.npz",
        {"name": "mlp", "sha256": "0", "shape": SHAPE, "classes": 10, "offline_accuracy": 1.0},
        {f"weight:{path}": p.array for path, p in network.namedparams()}
        | {"predictions": predictions, "margins": best[:, -1] - best[:, -2]},
    )
    return Work(str(folder / "dataset.npz"), str(folder / "model.npz"), "uint8", "chainer", 10, 1.0)


def records(
    images: np.ndarray, name: str, per_record: int, count: int, stamp_ms: int | None = None
) -> pa.RecordBatch:
    raw = encoding(name).encode(images.reshape(COUNT, -1))
    keys, values = [], []
    for number in range(count):
        first = number * per_record
        keys.append(pack_key(3, first % COUNT, first))
        values.append(b"".join(raw[(first + j) % COUNT].tobytes() for j in range(per_record)))
    columns = {"key": pa.array(keys, pa.binary()), "value": pa.array(values, pa.binary())}
    if stamp_ms is not None:
        columns["timestamp"] = pa.array([stamp_ms * 1000] * count, pa.timestamp("us", "UTC"))
    return pa.record_batch(columns)


def change(batch: pa.RecordBatch, row: int, column: str, value: bytes) -> pa.RecordBatch:
    values = batch.column(column).to_pylist()
    values[row] = value
    return batch.set_column(batch.schema.names.index(column), column, pa.array(values, pa.binary()))


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("per_record", [1, 3, 7])
def test_every_image_is_inferred_once_and_right(work, images, name, per_record) -> None:
    worker = Worker(dataclasses.replace(work, encoding=name))
    rows = infer_batch(worker, records(images, name, per_record, 20))
    assert sum(row["images"] for row in rows) == 20 * per_record
    assert all(row["images"] == 10 for row in rows[:-1])
    assert sum(row["correct"] for row in rows) == 20 * per_record
    assert not any(row["wrong"] or row["damaged"] or row["malformed"] for row in rows)
    assert [row["call"] for row in rows] == list(range(1, len(rows) + 1))
    pa.RecordBatch.from_pylist(rows, schema=CALL_SCHEMA)


@pytest.mark.parametrize("per_record", [1, 3])
def test_a_backlog_is_checked_without_the_engine(work, images, per_record) -> None:
    worker = Worker(work)
    batch = records(images, "uint8", per_record, 20)
    value = bytearray(batch.column("value")[4].as_py())
    value[3] ^= 1
    batch = change(batch, 4, "value", bytes(value))
    (row,) = infer_batch(worker, batch, infer=False)
    # No call has this number.
    assert (row["call"], worker.call, row["infer_ns"], row["correct"]) == (0, 0, 0, 0)
    assert (row["images"], row["skip"], row["record_images"]) == (20 * per_record, 0, per_record)
    assert np.frombuffer(row["keys"], KEY_DTYPE)["sequence"].tolist() == [
        number * per_record for number in range(20)
    ]
    assert row["damaged"] == 1
    (key,) = np.frombuffer(row["damaged_keys"], KEY_DTYPE)
    assert key["sequence"] == 4 * per_record
    pa.RecordBatch.from_pylist([row], schema=CALL_SCHEMA)
    assert infer_batch(worker, batch)[0]["call"] == 1


def test_a_slice_of_an_arrow_batch_is_read_at_its_offset(work, images) -> None:
    rows = infer_batch(Worker(work), records(images, "uint8", 1, 30).slice(7, 10))
    keys = np.frombuffer(rows[0]["keys"], KEY_DTYPE)
    assert keys["sequence"].tolist() == list(range(7, 17))
    assert rows[0]["correct"] == 10


def test_one_changed_byte_is_found_and_named(work, images) -> None:
    batch = records(images, "uint8", 2, 10)
    value = bytearray(batch.column("value")[4].as_py())
    value[20 + 3] ^= 1  # in the record's second image
    rows = infer_batch(Worker(work), change(batch, 4, "value", bytes(value)))
    assert sum(row["damaged"] for row in rows) == 1
    (key,) = np.frombuffer(b"".join(row["damaged_keys"] for row in rows), KEY_DTYPE)
    assert (key["producer"], key["sequence"]) == (3, 9)
    assert sum(row["correct"] for row in rows) == 19


@pytest.mark.parametrize(
    ("column", "value"), [("key", b"short"), ("value", b"x" * 21), ("value", b"")]
)
def test_an_unreadable_record_is_counted_and_the_others_are_inferred(
    work, images, column, value
) -> None:
    rows = infer_batch(Worker(work), change(records(images, "uint8", 1, 20), 6, column, value))
    assert sum(row["malformed"] for row in rows) == 1
    assert next(row for row in rows if row["malformed"])["call"] == 0
    assert sum(row["images"] for row in rows) == 19


def test_a_shorter_last_record_is_no_fault(work, images) -> None:
    batch = records(images, "uint8", 4, 6)
    batch = change(batch, 5, "value", batch.column("value")[5].as_py()[:20])
    rows = infer_batch(Worker(work), batch)
    assert sum(row["images"] for row in rows) == 21
    assert [row["record_images"] for row in rows] == [4, 4, 1]


def test_a_wrong_prediction_is_counted_unless_it_is_a_near_tie(work, images) -> None:
    worker = Worker(work)
    worker.offline = worker.offline.copy()
    worker.offline[[2, 5]] = (worker.offline[[2, 5]] + 1) % 10
    worker.offline_margins = np.ones(COUNT, np.float32)
    worker.offline_margins[5] = 1e-6
    (row,) = infer_batch(worker, records(images, "uint8", 1, 10))
    assert (row["wrong"], row["near_ties"]) == (1, 1)
    (key,) = np.frombuffer(row["wrong_keys"], KEY_DTYPE)
    assert key["sequence"] == 2


def test_latency_counts_from_the_records_timestamp(work, images) -> None:
    worker = Worker(work)
    stamp_ms = time.time_ns() // 1_000_000 - 1234
    (row,) = infer_batch(worker, records(images, "uint8", 2, 5, stamp_ms=stamp_ms))
    pairs = np.frombuffer(row["latency_ms"], "<i4").reshape(-1, 2)
    assert pairs.tolist() == [[row["ended_ns"] // 1_000_000 - stamp_ms, 10]]


def test_the_emulated_engine_takes_its_time_and_predicts_nothing(work, images) -> None:
    slow = dataclasses.replace(
        work, engine="emulated", emulated_call_ms=5.0, emulated_image_us=1500.0
    )
    rows = infer_batch(Worker(slow), records(images, "uint8", 1, 25))
    took_ms = (rows[-1]["ended_ns"] - rows[0]["started_ns"]) / 1e6
    assert took_ms >= 3 * 5 + 25 * 1.5
    # The last call has five images.
    assert [
        row["infer_ns"] >= 0.9e6 * least for row, least in zip(rows, (20, 20, 12.5), strict=True)
    ]
    assert not any(row["correct"] or row["wrong"] for row in rows)


def test_an_emulated_record_takes_its_time_beside_the_engine(work, images, monkeypatch) -> None:
    slow = dataclasses.replace(
        work, engine="emulated", emulated_call_ms=1.0, emulated_record_us=20_000.0
    )
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for per_record, seconds in ((1, 0.4), (4, 0.1)):
        slept.clear()
        infer_batch(Worker(slow), records(images, "uint8", per_record, 20 // per_record))
        # Two calls of a millisecond come first.
        assert all(own <= 0.001 for own in slept[:-1])
        assert slept[-1] == pytest.approx(seconds)
