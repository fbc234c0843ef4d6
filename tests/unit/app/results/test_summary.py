"""Which runs are pooled, and what the summary says of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import SyntheticRun

from lifelog import cli
from lifelog.report.table import newest_by_point
from lifelog.results.summary import (
    agreed_start_ns,
    latest_settings,
    newest_attempts,
    point_order,
    summarise,
    warmup_series,
)
from lifelog.verification.verify import verify

SHARE = {"target_rate": {"share": 0.5, "of": "saturation"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A sound paced run."""
    return verify(SyntheticRun(mode="paced").write(tmp_path_factory.mktemp("results")))


def changed(run: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """A run of other settings."""
    return copy.deepcopy(run) | {"settings": run["settings"] | settings}


def test_other_settings_are_another_point(run: dict[str, Any]) -> None:
    other = changed(run, partitions=8)
    assert latest_settings([run, other, other]) == [other, other]
    assert latest_settings([other, run]) == [run]


def test_a_derived_rate_does_not_part_repetitions(run: dict[str, Any]) -> None:
    repetitions = [changed(run, target_rate=rate) | {"factors": SHARE} for rate in (900.0, 1000.0)]
    assert latest_settings(repetitions) == repetitions
    # A rate that is given is a setting.
    given = [changed(run, target_rate=rate) for rate in (900.0, 1000.0)]
    assert latest_settings(given) == given[1:]


def test_other_versions_data_or_weights_are_not_pooled(run: dict[str, Any]) -> None:
    older = copy.deepcopy(run)
    older["provenance"]["versions"] = {"pyspark": "3"}
    other_model = copy.deepcopy(run)
    other_model["provenance"]["hashes"]["model"] = "other"
    assert latest_settings([older, other_model, run]) == [run]


def on(run: dict[str, Any], executor_cores: str = "4", **hosts: dict[str, Any]) -> dict[str, Any]:
    """A run on these hosts."""
    found = copy.deepcopy(run)
    found["provenance"]["spark_conf"] = {"spark.executor.cores": executor_cores}
    found["provenance"]["hosts"] = hosts
    return found


def test_runs_of_other_machines_are_not_pooled(run: dict[str, Any]) -> None:
    w1 = {"cpu_model": "A", "cores": 8, "memory_mb": 15_990, "kernel": "6.1", "machine_id": "x"}
    new = on(run, w1=w1, w2=w1)
    for other in (
        on(run, w1=w1 | {"cpu_model": "B"}, w2=w1),
        on(run, w1=w1 | {"cores": 4}, w2=w1),
        on(run, w1=w1 | {"memory_mb": 7_990}, w2=w1),
        on(run, w1=w1, w3=w1),
        on(run, laptop=w1),
        on(run, "2", w1=w1, w2=w1),
    ):
        assert latest_settings([other, new]) == [new]
        assert latest_settings([new, other, other]) == [other, other]
    for same in (
        on(run, w1=w1 | {"kernel": "6.2", "memory_mb": 15_970}, w2=w1),
        # A host was added, or was out of reach at the end.
        on(run, w1=w1, w2=w1, w3=w1),
        on(run, w1=w1),
        # Nothing was recorded.
        run,
    ):
        assert latest_settings([same, new]) == [same, new]
        assert latest_settings([new, same]) == [new, same]


def test_a_run_that_recorded_nothing_is_counted_as_invalid(run: dict[str, Any]) -> None:
    failed = copy.deepcopy(run) | {"valid": False, "invalid_reasons": ["failed: x"]}
    failed["provenance"]["versions"] = {}
    for order in ([run, failed], [failed, run]):
        (point,) = summarise(latest_settings(order))["points"]
        assert (point["runs"], point["invalid_runs"]) == (2, 1)
        assert point["throughput_images_per_s"]["mean"] == run["throughput_images_per_s"]


def test_a_run_without_settings_hides_no_other(run: dict[str, Any], tmp_path: Path) -> None:
    directory = tmp_path / "smoke/paced-r02-a01"
    directory.mkdir(parents=True)
    (directory / "spec.json").write_text("{")
    failed = verify(directory)
    assert (failed["point"], failed["settings"]) == (run["point"], {})
    for order in ([run, failed], [failed, run]):
        assert latest_settings(order) == order
        (point,) = summarise(order)["points"]
        assert (point["runs"], point["invalid_runs"]) == (2, 1)
        assert (point["settings"], point["factors"]) == (run["settings"], run["factors"])
    # It does not bring back runs of other settings either.
    assert latest_settings([changed(run, partitions=8), run, failed]) == [run, failed]
    assert latest_settings([failed]) == [failed]


def test_a_short_points_mean_has_no_interval(run: dict[str, Any]) -> None:
    (point,) = summarise([run, copy.deepcopy(run)])["points"]
    assert point["throughput_images_per_s"]["ci95"] is None
    assert "short" in point["absent_because"]["throughput_images_per_s.ci95"]


def test_the_report_judges_the_claims_of_the_runs(tmp_path: Path) -> None:
    for point, batch_s in (("one", 1.0), ("two", 0.5)):
        for repetition in range(1, 6):
            made = SyntheticRun(batches=60, short=False, batch_s=batch_s, seed=repetition)
            made.consumer["app_id"] = f"app-{point}-{repetition}"
            one = {"what": "two over one", "of": "two", "over": "one"}
            bounds = {"at_least": 1.5, "at_most": None}
            claim = {"id": "Q", "text": "t", "comparisons": [one | bounds]}
            made.spec |= {"point": point, "repetition": repetition, "claims": [claim]}
            made.spec["run"] = f"{point}-r{repetition:02d}-a01"
            verify(made.write(tmp_path))
    cli.main(["report", str(tmp_path / "smoke")])
    summary = json.loads((tmp_path / "smoke/summary.json").read_text())
    assert [point["invalid_runs"] for point in summary["points"]] == [0, 0]
    (found,) = summary["claims"]
    assert (found["id"], found["verdict"]) == ("Q", "reproduced")
    assert found["comparisons"][0]["ratio"] == pytest.approx(2, rel=0.02)


def point(run: dict[str, Any], name: str, **factors: Any) -> dict[str, Any]:
    """A run of another point."""
    return copy.deepcopy(run) | {"point": name, "factors": factors}


def test_points_are_in_the_order_of_their_levels(run: dict[str, Any]) -> None:
    shuffled = [(10, "text"), (2, "uint8"), (10, "uint8"), (2, "text")]
    runs = [point(run, f"{n}-{e}", brokers=n, encoding=e) for n, e in shuffled]
    # Numbers ascend; words keep the order in which they first ran.
    assert point_order(runs) == ["2-text", "2-uint8", "10-text", "10-uint8"]
    assert [own["point"] for own in summarise(runs)["points"]] == point_order(runs)
    assert [own["point"] for own in newest_by_point(runs)] == point_order(runs)
    mixed = [point(run, "b", brokers=2), point(run, "a", workers=1)]
    assert point_order(mixed) == ["b", "a"]
    assert point_order([*mixed[:1], point(run, "none"), point(run, "c", brokers=1)]) == [
        "c", "b", "none",
    ]  # fmt: skip
    assert point_order([point(run, "y"), point(run, "x")]) == ["y", "x"]


def test_each_repetition_is_judged_by_its_newest_attempt(run: dict[str, Any]) -> None:
    runs = [
        copy.deepcopy(run) | {"repetition": repetition, "run": name}
        for repetition, name in ((1, "r01-a01"), (2, "r02-a01"), (1, "r01-a02"))
    ]
    assert [own["run"] for own in newest_attempts(runs)] == ["r01-a02", "r02-a01"]


def test_the_summary_lists_rates_settings_and_machines(run: dict[str, Any]) -> None:
    other = copy.deepcopy(run) | {"throughput_images_per_s": 5.0}
    broken = copy.deepcopy(run) | {"valid": False}
    broken["provenance"] = {}
    other["provenance"]["hosts"] = {"w1": {"cores": 2, "memory_mb": 1536}, "w2": None}
    summary = summarise([run, other, broken])
    (own,) = summary["points"]
    assert own["valid_runs_images_per_s"] == [run["throughput_images_per_s"], 5.0]
    assert own["settings"] == run["settings"]
    assert summary["provenance"]["versions"] == {"pyspark": "4"}
    facts = summary["provenance"]["hardware"]["w1"]
    assert (facts["cores"], facts["memory_gib"], facts["kernel"]) == (2, 1.5, None)
    assert list(summary["provenance"]["hardware"]) == ["w1"]


def test_warm_up_is_read_from_the_raw_data(tmp_path: Path) -> None:
    made = SyntheticRun()
    directory = made.write(tmp_path)
    assert warmup_series(directory) == [(-1.0, 50)]
    assert agreed_start_ns(directory) == made.consumer["start_ns"]
    batches = directory / "consumer/batches.jsonl"
    batches.write_text(batches.read_text()[:-5])
    assert warmup_series(directory) == []
    (directory / "consumer/consumer.json").write_text(json.dumps({"start_ns": None}))
    assert agreed_start_ns(directory) is None
    assert warmup_series(tmp_path) == []
