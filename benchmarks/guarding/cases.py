"""The cases of the guard: what our own code does for each record, image, call and micro-batch, without what it calls.

Run as a module it prepares one case, says "ready", and does it for each line that it reads, answering with the processor time in
seconds. Everything is made up here, so that a revision from before can do it with what it had then.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGES, STREAM, PIXELS, IMAGES_PER_CALL = 20_000, 2000, 784, 100
RECORDS = 50_000
BATCHES = 20


class Answers:
    """An engine that costs nothing: it says what the offline model says of the images in turn."""

    name = "answers"
    emulated = False

    def __init__(self, offline: Any) -> None:
        self._offline = offline
        self._at = 0

    def infer(self, images: Any) -> Any:
        """The next predictions, int64 (n,)."""
        first = self._at % len(self._offline)
        self._at += len(images)
        return self._offline[first : first + len(images)]


class Behind(Answers):
    """One that fills the caches as a network of 784-1000-1000 does; `spent_s` is its own processor time."""

    def __init__(self, offline: Any) -> None:
        super().__init__(offline)
        random = np.random.default_rng(0)
        self._first = random.random((PIXELS, 1000), np.float32)
        self._second = random.random((1000, 1000), np.float32)
        self.spent_s = 0.0

    def infer(self, images: Any) -> Any:
        """The next predictions, int64 (n,)."""
        started = time.process_time()
        np.maximum(images @ self._first, 0) @ self._second
        self.spent_s += time.process_time() - started
        return super().infer(images)


def made_up() -> Any:
    """The images of the stream, uint8 (n, 28, 28, 1)."""
    return np.random.default_rng(0).integers(0, 256, (STREAM, 28, 28, 1), np.uint8)


def calls() -> Any:
    """What says how a worker's calls are told; in earlier revisions that was the worker's module."""
    try:
        return importlib.import_module("lifelog.consumer.calls")
    except ModuleNotFoundError:
        return importlib.import_module("lifelog.consumer.worker")


def consumer(
    images_per_record: int, directory: Path, kind: type[Answers] = Answers
) -> Callable[[], object]:
    """An Arrow batch of records becomes rows of calls, checked and judged."""
    import pyarrow as pa

    from lifelog.bundle import save_npz
    from lifelog.consumer.worker import Work, Worker, infer_batch
    from lifelog.record import pack_key

    schema = calls().CALL_SCHEMA
    images = made_up()
    offline = np.random.default_rng(1).integers(0, 10, STREAM)
    kept = {"images": images, "labels": offline}
    save_npz(directory / "d.npz", {"name": "d", "sha256": "0"}, kept)
    about = {
        "name": "mlp",
        "sha256": "0",
        "shape": (28, 28, 1),
        "classes": 10,
        "offline_accuracy": 1.0,
    }
    margins = np.ones(STREAM, np.float32)
    save_npz(directory / "m.npz", about, {"predictions": offline, "margins": margins})
    files = str(directory / "d.npz"), str(directory / "m.npz")
    worker = Worker(Work(*files, "uint8", "emulated", IMAGES_PER_CALL, 1.0))
    worker.engine = engine = kind(offline)
    raw = np.tile(images.reshape(STREAM, PIXELS), (IMAGES // STREAM, 1))
    first = range(0, IMAGES, images_per_record)
    values = [raw[at : at + images_per_record].tobytes() for at in first]
    keys = [pack_key(1, at % STREAM, at) for at in first]
    columns = {"key": pa.array(keys, pa.binary()), "value": pa.array(values, pa.binary())}
    batch = pa.record_batch(columns)

    def do() -> object:
        rows = infer_batch(worker, batch)
        assert not any(row["wrong"] or row["damaged"] for row in rows)
        pa.RecordBatch.from_pylist(rows, schema=schema)
        return engine

    return do


def producer(directory: Path) -> Callable[[], object]:
    """Records are made and handed to a client that takes them at once."""
    del directory
    from lifelog.producer.run import Load, Source, send_load

    source = Source(made_up(), "uint8", 1)

    class Client:
        def __init__(self) -> None:
            self.last_ack_ns = 0
            self.request_latency_ms: dict[str, Any] = {}

        def send(self, number: int, partition: int, key: bytes, value: bytes, at_ms: int) -> None:
            pass

        def close(self) -> set[int]:
            return set()

    client = Client()
    return lambda: send_load(
        client, Load(1, RECORDS, None, time.time_ns(), None, 1, 4), source, lambda _: None
    )


def driver(directory: Path) -> Callable[[], object]:
    """What the workers return of micro-batches is written and counted."""
    import pyarrow as pa

    from lifelog.consumer.driver import Results
    from lifelog.record import pack_key

    schema = calls().CALL_SCHEMA
    row: dict[str, Any] = {
        field.name: 0 if pa.types.is_integer(field.type) else "" for field in schema
    }
    row |= {field.name: b"" for field in schema if field.type == pa.binary()}
    keys = b"".join(pack_key(1, at, at) for at in range(IMAGES_PER_CALL))
    row |= {"worker": "127.0.0.1:1", "call": 1, "images": IMAGES_PER_CALL, "keys": keys}
    rows = [row] * (IMAGES // IMAGES_PER_CALL)
    if hasattr(calls(), "pack"):
        table = pa.Table.from_batches([calls().pack(rows)])
    else:
        table = pa.Table.from_pylist(rows, schema=schema)

    class Frame:
        def toArrow(self) -> Any:
            return table

    results = Results(directory)

    def do() -> object:
        for batch in range(BATCHES):
            results.on_batch(Frame(), batch)
        return results

    return do


CASES: dict[str, Callable[[Path], Callable[[], object]]] = {
    "consumer, 1 image a record": lambda directory: consumer(1, directory),
    "consumer, 20 images a record": lambda directory: consumer(20, directory),
    "consumer, behind a network": lambda directory: consumer(1, directory, Behind),
    "producer, 1 image a record": producer,
    "driver, micro-batches": driver,
}


def main(case: str) -> None:
    """Do a case whenever a line is read, until there is none any more."""
    with tempfile.TemporaryDirectory(prefix="lifelog-guard-") as directory:
        do = CASES[case](Path(directory))
        print("ready", flush=True)
        for _ in sys.stdin:
            started = time.process_time()
            engine = do()
            used_s = time.process_time() - started
            if isinstance(engine, Behind):
                used_s -= engine.spent_s
                engine.spent_s = 0.0
            print(used_s, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
