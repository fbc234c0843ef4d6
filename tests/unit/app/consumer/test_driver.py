"""What the driver writes of each micro-batch, and how a run ends."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lifelog.consumer.calls import CALL_SCHEMA, pack
from lifelog.consumer.driver import Consumer, LoadOver, Results, root_cause
from lifelog.record import WARMUP_PRODUCER, pack_key


class Lag:
    """So many records are left, each time that it is asked."""

    def __init__(self, *left: int) -> None:
        self._left = itertools.chain(left, itertools.repeat(left[-1]))

    def lag_records(self) -> int:
        return next(self._left)


@pytest.fixture
def consumer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Consumer:
    """A consumer whose producers have ended, and which gives up after an hour."""
    settings = {
        "mode": "saturation", "duration_s": 1.0, "drain_timeout_s": 3600.0, "images_per_record": 1,
    }  # fmt: skip
    (tmp_path / "spec.json").write_text(json.dumps({"settings": settings, "producers": []}))
    (tmp_path / "start.json").write_text(json.dumps({"start_ns": 1}))
    (tmp_path / "drain").touch()
    monkeypatch.setattr("lifelog.consumer.driver.STATUS_EVERY_S", 0)
    return Consumer(tmp_path, tmp_path, tmp_path)


def drain(consumer: Consumer, lag: Any, crash_after: int | None = None) -> None:
    """Let the consumer drain; its query fails after so many looks at it."""
    looks = itertools.count()

    def check() -> None:
        if next(looks) == crash_after:
            raise RuntimeError("the streaming query ended: out of memory")

    consumer._measure(Results(consumer.output), lag, check)


class Query:
    """A streaming query that ends after so many looks, and what ended it."""

    def __init__(self, looks: int, fault: str | None = None) -> None:
        self._looks = looks
        self._fault = fault

    def awaitTermination(self, _seconds: float) -> bool:
        self._looks -= 1
        if self._looks < 0 and self._fault:
            raise RuntimeError(self._fault)
        return self._looks < 0


class Frame:
    """What Spark gives of a micro-batch: a call for each (producer, number of the call, images)."""

    def __init__(self, *calls: tuple[int, int, int]) -> None:
        self._calls = calls

    def toArrow(self) -> pa.Table:
        rows = []
        for producer, call, images in self._calls:
            row = {field.name: 0 for field in CALL_SCHEMA}
            row |= dict.fromkeys(("keys", "wrong_keys", "damaged_keys", "latency_ms"), b"")
            key = pack_key(producer, 0, 0)
            row |= {
                "worker": "w:1",
                "malformed_note": "",
                "call": call,
                "images": images,
                "keys": key,
            }
            rows.append(row)
        return pa.Table.from_batches([pack(rows)])


def test_a_drain_ends_when_nothing_is_left(consumer: Consumer) -> None:
    drain(consumer, Lag(5, 5, 0))


def test_what_is_left_after_the_timeout_was_not_drained(consumer: Consumer) -> None:
    consumer.spec["settings"]["drain_timeout_s"] = -1.0
    with pytest.raises(RuntimeError, match="5 records were still unprocessed after drain_timeout"):
        drain(consumer, Lag(5))
    assert consumer.report["drained"] is False


def test_a_saturated_load_is_inferred_until_a_micro_batch_completes_after_its_end(
    consumer: Consumer,
) -> None:
    results = Results(consumer.output)
    results.on_batch(Frame((WARMUP_PRODUCER, 1, 5)), 0)
    results.on_batch(Frame((3, 2, 100)), 1)
    results.load_end_ns = results.completed_ns + 1
    results.on_batch(Frame((3, 3, 100)), 2)
    with pytest.raises(LoadOver):
        results.on_batch(Frame((3, 4, 100)), 3)
    assert results.ended_before == 3
    # Its images are those that the next query begins with.
    results.on_batch(Frame((3, 0, 100), (3, 0, 7)), 3)
    results.close()
    lines = (consumer.output / "batches.jsonl").read_text("utf-8").splitlines()
    counts = ("batch", "images", "warmup_images", "backlog_images")
    assert [[json.loads(line)[name] for name in counts] for line in lines] == [
        [0, 0, 5, 0], [1, 100, 0, 0], [2, 100, 0, 0], [3, 0, 0, 107],
    ]  # fmt: skip
    assert results.images == 200


def test_other_loads_are_inferred_to_the_last_image(consumer: Consumer) -> None:
    consumer.spec["settings"]["mode"] = "paced"
    results = Results(consumer.output)
    consumer._measure(results, Lag(5, 5, 0), lambda: None)
    assert results.load_end_ns is None


def test_a_drain_ends_where_the_query_has_ended_for_the_backlog(consumer: Consumer) -> None:
    results = Results(consumer.output)
    results.ended_before = 7
    consumer._measure(results, Lag(5), lambda: None)
    assert results.load_end_ns == consumer.report["end_ns"] == 1_000_000_001


def test_a_backlog_is_checked_until_nothing_is_left(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifelog.consumer.driver.EVENTS_S", 0)
    results = Results(consumer.output)
    # The second query finds what replicas had not caught up with when the first one began.
    queries = [Query(1), Query(0)]
    consumer._check_backlog(lambda: queries.pop(0), results, Lag(9, 5, 3, 0))
    assert not queries
    with pytest.raises(RuntimeError, match="no leader"):
        consumer._check_backlog(lambda: Query(1, "no leader"), results, Lag(5))
    consumer._drain_until = 0.0
    with pytest.raises(RuntimeError, match="5 records were still unprocessed after drain_timeout"):
        consumer._check_backlog(lambda: Query(3), results, Lag(5))
    assert consumer.report["drained"] is False


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("9 records were still unprocessed", "9 records were still unprocessed"),
        ("", ""),
        (
            "the streaming query ended: An exception was raised by the Python Proxy.\n"
            "Caused by: org.apache.spark.SparkException: Job aborted\n\tat org.apache.X\n\n"
            "Driver stacktrace:\nCaused by: java.lang.OutOfMemoryError: Java heap space\n"
            "\tat java.base/y\n\n=== Streaming Query ===\nLogical Plan:\n+- ~Relation",
            "java.lang.OutOfMemoryError: Java heap space",
        ),
        (
            "Job aborted\nCaused by: org.apache.spark.api.python.PythonException: Traceback:\n"
            '  File "worker.py", line 1\nValueError: no such model\n\n\tat org.apache.X\n\t... 1 more',
            "ValueError: no such model",
        ),
    ],
)
def test_the_innermost_error_is_told(text: str, cause: str) -> None:
    assert root_cause(text) == cause
