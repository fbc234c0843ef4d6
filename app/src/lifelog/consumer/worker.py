"""What runs in a Spark Python worker: Arrow batches of Kafka records in, a row for each call out.

The unit of parallelism is the Spark task (one range of offsets of one partition). The engine and
the tables of the dataset are loaded once per worker process. Nothing here blocks but the engine.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifelog.bundle import load_dataset_bundle, load_model_bundle
from lifelog.consumer.calls import CALL_SCHEMA, pack
from lifelog.encodings import checksums, encoding
from lifelog.engines import make_engine
from lifelog.record import KEY_BYTES, KEY_DTYPE, expand_keys

# Two best scores closer than this may swap with the size of the BLAS call (rule V5).
NEAR_TIE_MARGIN = 1e-4
MOST_EXAMPLES = 100
# After so many tasks of a process nothing is imported or cached any more.
SETTLING_TASKS = 3
# Calls that are told at once.
MOST_ROWS = 10_000
# Images of a row where the engine is left out.
CHECKED_AT_ONCE = 5_000
_NOTHING: dict[str, Any] = {
    own.name: b"" if pa.types.is_binary(own.type) else 0 for own in CALL_SCHEMA
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs to know; small, because it travels with every task."""

    dataset_file: str
    model_file: str
    encoding: str
    engine: str
    images_per_call: int
    emulated_call_ms: float
    emulated_image_us: float = 0.0
    emulated_record_us: float = 0.0


class Worker:
    """The state of one worker process: engine, dataset tables, reused buffers, call counter."""

    def __init__(self, work: Work) -> None:
        dataset = load_dataset_bundle(Path(work.dataset_file))
        pixels = dataset.images.reshape(len(dataset.images), -1)
        model = load_model_bundle(Path(work.model_file))
        self.work = work
        self.encoding = encoding(work.encoding)
        raw = self.encoding.encode(pixels)
        self.image_bytes = raw.shape[1]
        self.count = len(pixels)
        self.checksums = checksums(raw)
        self.labels = dataset.labels
        self.offline = model.predictions
        self.offline_margins = model.margins
        self.engine = make_engine(
            work.engine,
            Path(work.model_file),
            {
                "emulated_call_ms": work.emulated_call_ms,
                "emulated_image_us": work.emulated_image_us,
            },
        )
        self.buffer = np.empty((work.images_per_call, pixels.shape[1]), np.float32)
        self.name = f"{os.environ.get('SPARK_LOCAL_IP', '?')}:{os.getpid()}"
        self.call = 0
        self.tasks = 0

    def rows(
        self,
        raw: NDArray[np.uint8],
        keys: NDArray[Any],
        per_record: int,
        timestamps_ms: NDArray[np.int64] | None,
        infer: bool,
    ) -> list[dict[str, Any]]:
        """Infer images in calls of `images_per_call`, and check them; one row for each call.

        `raw`: uint8 (n, image_bytes). `keys`: KEY_DTYPE (n / per_record,). `timestamps_ms`: int64 of
        each record, scheduled send times, where latency is asked for. Without `infer` the rows are of
        images that are only checked, and have the number 0, which no call has.

        The calls come first, one after the other, and all else at once: behind an engine that has filled
        the caches, each step of Python or NumPy costs several times as much.
        """
        identity = keys if per_record == 1 else expand_keys(keys, per_record, self.count)
        size = self.work.images_per_call if infer else CHECKED_AT_ONCE
        starts = range(0, len(raw), size)
        started = time.time_ns()
        predictions, times = self._infer(raw, size) if infer else (None, None)
        index = identity["index"] % self.count
        damaged = checksums(raw) != self.checksums[index]
        flags = {"damaged": damaged}
        if predictions is not None:
            differs = (predictions != self.offline[index]) & ~damaged
            near = self.offline_margins[index] < NEAR_TIE_MARGIN if differs.any() else differs
            flags["correct"] = (predictions == self.labels[index]) & ~damaged
            flags["near_ties"], flags["wrong"] = differs & near, differs & ~near
        counts = {
            name: np.bincount(np.flatnonzero(flag) // size, minlength=len(starts)).tolist()
            for name, flag in flags.items()
        }
        if infer and self.work.emulated_record_us:
            # Stands for what a slower worker would do with each record.
            time.sleep(self.work.emulated_record_us * 1e-6 * len(keys))
        rows = []
        for number, at in enumerate(starts):
            end = min(at + size, len(raw))
            row = _NOTHING | {name: own[number] for name, own in counts.items()}
            row |= {
                "worker": self.name,
                "images": end - at,
                "skip": at % per_record,
                "keys": keys[at // per_record : -(-end // per_record)].tobytes(),
                "record_images": per_record,
                "malformed_note": "",
                "started_ns": started,
                "ended_ns": started,
            }
            if times is not None:
                self.call += 1
                row["call"] = self.call
                row["started_ns"], row["ended_ns"], row["convert_ns"], row["infer_ns"] = times[
                    number
                ]
            for name in ("wrong", "damaged"):
                if row[name]:
                    found = identity[at:end][flags[name][at:end]]
                    row[f"{name}_keys"] = found[:MOST_EXAMPLES].tobytes()
            if timestamps_ms is not None:
                stamps = timestamps_ms[np.arange(at, end) // per_record]
                late_ms, images = np.unique(
                    row["ended_ns"] // 1_000_000 - stamps, return_counts=True
                )
                row["latency_ms"] = np.stack([late_ms, images], 1).astype("<i4").tobytes()
            rows.append(row)
        return rows

    def _infer(
        self, raw: NDArray[np.uint8], size: int
    ) -> tuple[NDArray[np.int64] | None, list[tuple[int, int, int, int]]]:
        """Classes, int64 (n,), and of each call its begin and end (epoch ns), and ns of conversion and engine."""
        predictions = None if self.engine.emulated else np.empty(len(raw), np.int64)
        times = []
        for at in range(0, len(raw), size):
            part = raw[at : at + size]
            images = self.buffer[: len(part)]
            started, convert_started = time.time_ns(), time.perf_counter_ns()
            if not self.engine.emulated:
                self.encoding.decode_into(part, images)
            infer_started = time.perf_counter_ns()
            found = self.engine.infer(images)
            infer_ended = time.perf_counter_ns()
            ended = time.time_ns()
            times.append(
                (started, ended, infer_started - convert_started, infer_ended - infer_started)
            )
            if predictions is not None:
                # Only an emulated engine predicts nothing.
                assert found is not None
                predictions[at : at + size] = found
        return predictions, times

    def settle(self) -> None:
        """To be called after each task: what the first ones have made stays as well.

        Objects that live as long as the process would else be traversed by the full collection that
        PySpark runs after every task: 20 ms, though they were frozen when the model was loaded.
        """
        self.tasks += 1
        if self.tasks <= SETTLING_TASKS:
            gc.collect()
            gc.freeze()


_worker: Worker | None = None


def get_worker(work: Work) -> Worker:
    """This process's worker; made at the first task, kept as long as the process is reused."""
    global _worker
    if _worker is None or _worker.work != work:
        _worker = Worker(work)
    return _worker


def infer_batches(
    work: Work, batches: Iterator[pa.RecordBatch], infer: bool = True
) -> Iterator[pa.RecordBatch]:
    """Body of a task: columns key, value and, for latencies, timestamp, in Kafka's order; calls out.

    Without `infer` the images are checked and the engine is left out (`Worker.rows`).
    """
    worker = get_worker(work)
    rows: list[dict[str, Any]] = []
    for batch in batches:
        rows += infer_batch(worker, batch, infer)
        if len(rows) >= MOST_ROWS:
            yield pack(rows)
            rows = []
    if rows:
        yield pack(rows)
    worker.settle()


def infer_batch(worker: Worker, batch: pa.RecordBatch, infer: bool = True) -> list[dict[str, Any]]:
    """Infer one Arrow batch in calls of `images_per_call`, or only check it; returns one row per call."""
    keys, values = batch.column("key"), batch.column("value")
    sizes, raw_bytes = _binary(values)
    key_sizes, key_bytes = _binary(keys)
    readable = (key_sizes == KEY_BYTES) & (sizes > 0) & (sizes % worker.image_bytes == 0)
    rows: list[dict[str, Any]] = []
    bad = int(np.count_nonzero(~readable))
    if bad:
        rows.append(_malformed_row(worker, keys, sizes, readable, bad))
        batch = batch.filter(pa.array(readable))
        keys, values = batch.column("key"), batch.column("value")
        sizes, raw_bytes = _binary(values)
        _, key_bytes = _binary(keys)
    if not len(sizes):
        return rows
    identities = np.frombuffer(key_bytes, KEY_DTYPE)
    stamps = (
        np.asarray(batch.column("timestamp").cast(pa.int64())) // 1000
        if "timestamp" in batch.schema.names
        else None
    )
    # Records of one size lie end to end as one matrix of images; a run of another size (the
    # shorter last record of a producer) is a matrix of its own.
    edges = np.flatnonzero(np.diff(sizes)) + 1
    start_byte = 0
    for first, last in zip([0, *edges], [*edges, len(sizes)], strict=True):
        per_record = int(sizes[first]) // worker.image_bytes
        end_byte = start_byte + (last - first) * int(sizes[first])
        raw = np.frombuffer(raw_bytes[start_byte:end_byte], np.uint8)
        start_byte = end_byte
        rows += worker.rows(
            raw.reshape(-1, worker.image_bytes),
            identities[first:last],
            per_record,
            None if stamps is None else stamps[first:last],
            infer,
        )
    return rows


def _binary(column: pa.Array) -> tuple[NDArray[np.int64], memoryview]:
    """Sizes int64 (n,) and the bytes, without a copy, of a binary column (nulls have size 0)."""
    wide = pa.types.is_large_binary(column.type)
    _, offsets_buffer, data = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64 if wide else np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    if data is None or not len(column):
        return np.zeros(len(column), np.int64), memoryview(b"")
    return np.diff(offsets), memoryview(data)[int(offsets[0]) : int(offsets[-1])]


def _malformed_row(
    worker: Worker, keys: pa.Array, sizes: NDArray[np.int64], readable: NDArray[np.bool_], bad: int
) -> dict[str, Any]:
    at = int(np.flatnonzero(~readable)[0])
    key = keys[at].as_py()
    now = time.time_ns()
    return _NOTHING | {
        "worker": worker.name,
        "malformed": bad,
        "malformed_note": f"key {key.hex() if key else None}, value of {sizes[at]} bytes",
        "started_ns": now,
        "ended_ns": now,
        "record_images": 1,
    }


def calibrate(work: Work, seconds: float, batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
    """Load the model in this worker, and time bare engine calls: one row (worker, images_per_s)."""
    for _ in batches:
        pass
    worker = get_worker(work)
    images = np.zeros_like(worker.buffer)
    worker.engine.infer(images)
    calls, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        worker.engine.infer(images)
        calls += 1
    yield pa.RecordBatch.from_pylist(
        [{"worker": worker.name, "images_per_s": calls * len(images) / elapsed}],
        schema=pa.schema([("worker", pa.string()), ("images_per_s", pa.float64())]),
    )
