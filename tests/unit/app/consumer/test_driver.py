"""What the driver writes of each micro-batch, and how a run ends."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from lifelog.consumer.driver import Consumer, Results, root_cause


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


def test_a_drain_ends_when_nothing_is_left(consumer: Consumer) -> None:
    drain(consumer, Lag(5, 5, 0))
    assert consumer.report["drained"] is True


def test_what_is_left_after_the_timeout_was_not_drained(consumer: Consumer) -> None:
    consumer.spec["settings"]["drain_timeout_s"] = -1.0
    with pytest.raises(RuntimeError, match="5 records were still unprocessed after drain_timeout"):
        drain(consumer, Lag(5))
    assert consumer.report["drained"] is False


def test_a_crash_during_the_drain_says_nothing_of_the_load(consumer: Consumer) -> None:
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        drain(consumer, Lag(5), crash_after=3)
    consumer.fail(caught.value)
    report = json.loads((consumer.output / "consumer.json").read_text())
    assert report.get("drained") is None
    assert report["error"] == "RuntimeError: the streaming query ended: out of memory"


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
