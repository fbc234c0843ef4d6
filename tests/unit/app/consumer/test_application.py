"""Which runs share a Spark application, and how one is handed over."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lifelog.consumer import application, serve, warmup
from lifelog.consumer.application import application_key
from lifelog.consumer.session import (
    installed_properties,
    partition_fetch_bytes,
    query_conf,
    spark_conf,
    work_of,
)
from lifelog.consumer.worker import Work
from lifelog.experiment.settings import Settings
from lifelog.jsonfiles import read_json, write_json

BUNDLES, JARS = Path("bundles"), Path("jars")


def spec(repetition: int = 1, **settings: Any) -> dict[str, Any]:
    return {
        "experiment": "smoke",
        "repetition": repetition,
        "settings": Settings.model_validate(settings).model_dump(),
        "dataset_file": "d.npz",
        "dataset": {"image_bytes": 784},
        "model_file": "m.npz",
        "driver_address": "127.0.0.1",
        "driver_memory_mb": 512,
        "cores_per_worker": 1,
        "slots": 2,
        "executor_memory_mb": 600,
    }


def key(one: dict[str, Any]) -> str:
    return application_key(one, JARS)


@pytest.mark.parametrize(
    "other",
    [
        spec(mode="paced", target_rate=100.0, linger_ms=20, acks="1"),
        spec(images_per_call=50, images_per_record=20),
        spec(encoding="text"),
        spec(engine="emulated"),
        {**spec(model="cnn"), "model_file": "cnn.npz"},
    ],
    ids=["load", "call", "encoding", "engine", "model"],
)
def test_runs_whose_executors_are_equal_share(other: dict[str, Any]) -> None:
    assert key(spec()) == key(other)


@pytest.mark.parametrize(
    "other",
    [
        spec(repetition=2),
        spec(reader="direct"),
        spec(spark_conf={"spark.locality.wait": "1s"}),
        {**spec(), "slots": 1},
        {**spec(), "run": "t01-r01-a01", "search": {"trial": None}},
    ],
    ids=["repetition", "reader", "spark_conf", "slots", "trial"],
)
def test_runs_of_other_executors_or_repetitions_do_not(other: dict[str, Any]) -> None:
    assert key(spec()) != key(other)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Sessions for which a process would have been started; this test's own stands for it."""
    sessions: list[Path] = []

    def detach(directory: Path, name: str, _argv: list[str]) -> int:
        sessions.append(directory)
        (directory / f"{name}.pid").write_text(f"{os.getpid()}\n")
        return os.getpid()

    monkeypatch.setattr(serve, "detach", detach)
    monkeypatch.setattr(serve, "stop_jobs", lambda _directory: [])
    return sessions


def run_directory(path: Path, one: dict[str, Any]) -> Path:
    path.mkdir()
    write_json(path / "spec.json", one)
    return path


def test_a_second_run_goes_to_the_process_that_serves(tmp_path: Path, started: list[Path]) -> None:
    session = tmp_path / "session"
    first = run_directory(tmp_path / "first", spec())
    second = run_directory(tmp_path / "second", spec(mode="paced", target_rate=1.0))
    serve.hand_over(first, session, BUNDLES, JARS)
    serve.hand_over(second, session, BUNDLES, JARS)
    assert started == [session]
    assert read_json(session / "next.json") == {"run": str(second)}
    assert (second / "consumer.pid").read_text() == f"{os.getpid()}\n"
    assert (second / "lease").exists()


def test_a_run_of_another_repetition_gets_a_fresh_process(
    tmp_path: Path, started: list[Path]
) -> None:
    session = tmp_path / "session"
    serve.hand_over(run_directory(tmp_path / "first", spec()), session, BUNDLES, JARS)
    serve.hand_over(run_directory(tmp_path / "second", spec(2)), session, BUNDLES, JARS)
    assert started == [session, session]
    assert json.loads((session / "session.json").read_text())["key"] == key(spec(2))


def test_a_dead_process_is_replaced(tmp_path: Path, started: list[Path]) -> None:
    session = tmp_path / "session"
    serve.hand_over(run_directory(tmp_path / "first", spec()), session, BUNDLES, JARS)
    (session / "consumer.pid").write_text("4194305\n")
    serve.hand_over(run_directory(tmp_path / "second", spec()), session, BUNDLES, JARS)
    assert started == [session, session]


def warm(
    monkeypatch: pytest.MonkeyPatch,
    rates: list[float],
    took_s: list[float],
    executors_are: bool = True,
) -> dict:
    """Warm up with rounds of 2,000 images that take so long."""
    clock = iter([0.0, *(t for s, t in _edges(took_s) for t in (s, t, t))])
    monkeypatch.setattr(warmup.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(warmup, "feed", lambda _spec, _images, count, _first: count)
    one = spec(warmup_s=5.0)
    return warmup.warm_up(one, None, 1000.0, lambda: 10**9, lambda: None, rates, executors_are)


def _edges(took_s: list[float]) -> list[tuple[float, float]]:
    edges, now = [], 0.0
    for seconds in took_s:
        edges.append((now, now + seconds))
        now += seconds
    return edges


def test_cold_executors_warm_up_for_the_least_time_and_until_steady(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[float] = []
    result = warm(monkeypatch, rates, [4.0, 3.0, 2.0, 2.0], False)
    assert (result["steady"], result["rounds_before"], len(rates)) == (True, 0, 4)


def test_warm_executors_need_one_round_that_confirms_their_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = [500.0, 900.0, 1000.0]
    result = warm(monkeypatch, rates, [2.0])
    assert (result["steady"], result["rounds_before"], len(rates)) == (True, 3, 4)


def test_warm_executors_that_never_did_such_work_find_its_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[float] = []
    result = warm(monkeypatch, rates, [0.5, 0.5, 0.5])
    assert (result["steady"], result["rounds_before"], len(rates)) == (True, 0, 3)


def test_warm_executors_that_are_slower_now_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [500.0, 900.0, 1000.0]
    assert warm(monkeypatch, rates, [4.0, 4.0])["steady"]
    assert len(rates) == 5


def test_the_inventory_is_stronger_than_our_tuning_and_the_experiment_than_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark-defaults.conf").write_text(
        "# ours\nspark.locality.wait 5s\nspark.ui.enabled=true\nspark.executor.cores 7\n\n"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    installed = installed_properties()
    assert installed == {"spark.locality.wait", "spark.ui.enabled", "spark.executor.cores"}
    one = spec(spark_conf={"spark.ui.enabled": "false"})
    assert spark_conf(one, JARS)["spark.locality.wait"] == "0s"
    found = spark_conf(one, JARS, installed)
    # Left to the file.
    assert "spark.locality.wait" not in found
    assert found["spark.ui.enabled"] == "false"
    # What the run is about.
    assert found["spark.executor.cores"] == "1"
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "absent"))
    assert installed_properties() == set()


@pytest.mark.parametrize(
    ("partitions", "executor_memory_mb", "fetched"),
    [(4, 700, 16 << 20), (16, 700, 5_734_400), (32, 4000, 16_384_000), (1000, 700, 256 << 10)],
)
def test_what_the_consumers_of_all_partitions_fetch_fits_the_executor(
    partitions: int, executor_memory_mb: int, fetched: int
) -> None:
    assert partition_fetch_bytes(partitions, executor_memory_mb) == fetched


@pytest.mark.parametrize(
    ("settings", "image_bytes", "records"),
    [
        ({}, 784, 10_000),
        ({"images_per_record": 20}, 784, 500),
        ({"images_per_call": 1000}, 784, 10_000),
        ({}, 27_648, 1_200),
        # One call at least.
        ({}, 600_000, 100),
    ],
)
def test_arrow_batches_hold_whole_calls_of_bounded_size(
    settings: dict[str, Any], image_bytes: int, records: int
) -> None:
    one = spec(**settings) | {"dataset": {"image_bytes": image_bytes}}
    assert query_conf(one) == {
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(records),
        "spark.sql.execution.arrow.maxBytesPerBatch": str((1 << 31) - 1),
    }


def test_spark_bounds_the_bytes_of_arrow_batches_that_one_call_makes_large() -> None:
    large = spec(images_per_call=1000) | {"dataset": {"image_bytes": 600_000}}
    # Spark's default again: a run before it in the same application may have set another.
    assert query_conf(large)["spark.sql.execution.arrow.maxBytesPerBatch"] == str(64 << 20)


def test_a_query_keeps_what_inventory_and_experiment_set() -> None:
    records, most = query_conf(spec())
    assert list(query_conf(spec(), {records})) == [most]
    assert list(query_conf(spec(spark_conf={most: "5"}))) == [records]


def test_a_model_is_loaded_again_only_where_the_work_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[Work] = []
    monkeypatch.setattr(application, "make_session", lambda _spec, _jars: None)
    monkeypatch.setattr(
        application,
        "calibrate_workers",
        lambda _session, work, slots: (
            loaded.append(work) or [{"worker": "w", "images_per_s": 10.0}] * slots
        ),
    )
    own = application.Application(spec(), JARS)
    for encoding in ("uint8", "uint8", "text"):
        own.load(work_of(spec(encoding=encoding), BUNDLES), 2)
    assert [work.encoding for work in loaded] == ["uint8", "text"]
    assert own.bare_images_per_s == 20.0


def test_only_rounds_of_runs_alike_confirm_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "make_session", lambda _spec, _jars: None)
    own = application.Application(spec(), JARS)

    def rounds(**settings: Any) -> list[float]:
        one = spec(**settings)
        return own.rounds_of(work_of(one, BUNDLES), one["settings"])

    rounds().append(9000.0)
    assert rounds(mode="paced", target_rate=5.0) == [9000.0]
    for other in ({"encoding": "text"}, {"partitions": 5}, {"images_per_record": 5}):
        assert rounds(**other) == []
