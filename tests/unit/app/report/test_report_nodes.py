"""Machines in the report: figures of the counted interval, and their samples over time."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import SyntheticResults

from lifelog.report.nodes import node_series, node_table, over_time, request_latencies
from lifelog.results.directory import read_results


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one run."""
    made = SyntheticResults("one", "One", {}, None, lambda own: 1000.0, repetitions=1)
    return made.write(tmp_path_factory.mktemp("results"))


@pytest.fixture
def run(directory: Path) -> dict[str, Any]:
    """The run."""
    return copy.deepcopy(read_results(directory).runs[0])


def test_a_machine_is_a_row(directory: Path, run: dict[str, Any]) -> None:
    table = node_table(directory / run["run"], run)
    assert table is not None
    assert [row[0] for row in table.rows] == ["broker-1", "broker-2", "worker-1", "worker-2"]
    cells = dict(zip(table.headings, table.rows[2][2], strict=True))
    assert (cells["busy cores"].text, cells["busy cores"].share) == ("4.00 of 8", 0.5)
    assert cells["disk write (MB/s)"].text == "4.0"
    assert cells["disk write (MB/s)"].share == pytest.approx(1 / 3)
    assert cells["largest replica lag (records)"].text == "-"
    assert cells["largest replica lag (records)"].reason == "not a broker"
    requests = table.rows[0][2][-1]
    assert requests.text == "13 / 80"


def test_hosts_of_one_machine_share_a_row_and_their_producers(
    directory: Path, run: dict[str, Any]
) -> None:
    metrics = run["node_metrics"]
    reason = dict.fromkeys(metrics["broker-1"], "on the machine of broker-1")
    for host in ("broker-2", "worker-1"):
        metrics[host] = {"samples": 0, "absent_because": reason}
    table = node_table(directory / run["run"], run)
    assert table is not None
    assert [row[:2] for row in table.rows] == [("broker-1", "broker-2, worker-1"), ("worker-2", "")]
    # Of the producers of both brokers.
    assert table.rows[0][2][-1].text == "13-15 / 90"


def test_what_no_machine_has_is_no_column_and_says_why(
    directory: Path, run: dict[str, Any]
) -> None:
    for own in run["node_metrics"].values():
        own["largest_replica_lag_records"] = None
        own["absent_because"] = {"largest_replica_lag_records": "replication 1"}
        # As of a version that did not look at disks.
        del own["mean_disk_read_mbyte_per_s"]
    table = node_table(directory / run["run"], run)
    assert table is not None
    assert "largest replica lag (records)" not in table.headings
    assert table.absent == (
        "No disk read: not recorded by the version that ran it",
        "No largest replica lag: replication 1",
    )


def test_a_run_without_samples_has_no_table(directory: Path, run: dict[str, Any]) -> None:
    for own in run["node_metrics"].values():
        own["samples"] = 0
    assert node_table(directory / run["run"], run) is None
    del run["node_metrics"]
    assert node_table(directory / run["run"], run) is None


def test_requests_that_were_not_recorded_are_left_out(tmp_path: Path) -> None:
    assert request_latencies(tmp_path) == {}
    producers = [{"id": n, "host": f"b{n}"} for n in (1, 2, 3)]
    (tmp_path / "spec.json").write_text(json.dumps({"producers": producers}))
    (tmp_path / "producers").mkdir()
    for producer, latency in ((1, {"avg": 1, "max": 2}), (2, {"avg": None, "reason": "x"})):
        path = tmp_path / f"producers/producer-{producer}.json"
        path.write_text(json.dumps({"request_latency_ms": latency}))
    assert request_latencies(tmp_path) == {"b1": [(1.0, 2.0)]}


def test_rates_are_differences_and_start_at_the_agreed_instant(
    directory: Path, run: dict[str, Any]
) -> None:
    series = node_series(directory / run["run"])
    at, busy = series["worker-2"]["busy_cores"][0]
    assert at == pytest.approx(-14)
    assert busy == pytest.approx(5.5, abs=0.7)
    assert series["broker-1"]["memory_gib"][0] == pytest.approx((-15, 2.0))
    assert "replica_lag_records" not in series["worker-1"]


def test_a_counter_that_began_anew_leaves_a_gap(directory: Path, tmp_path: Path) -> None:
    run = read_results(directory).runs[0]["run"]
    (tmp_path / "consumer").mkdir()
    consumer = (directory / run / "consumer/consumer.json").read_text("utf-8")
    (tmp_path / "consumer/consumer.json").write_text(consumer)
    (tmp_path / "metrics").mkdir()
    start = json.loads(consumer)["start_ns"]
    counts = (10, 11, 1, 2)
    lines = [{"time_ns": start + at * 10**9, "cpu_s": own} for at, own in enumerate(counts)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics/b.jsonl").write_text(text)
    assert node_series(tmp_path) == {"b": {"busy_cores": [(1.0, 1.0), (3.0, 1.0)]}}


def test_over_time_draws_what_was_sampled(directory: Path, run: dict[str, Any]) -> None:
    drawing = over_time(directory / run["run"], run)
    assert drawing is not None
    for title in ("Processor (cores in use)", "Network out (Mbit/s)", "Disk write (MB/s)"):
        assert f">{title}</text>" in drawing.wide
        assert f">{title}</text>" in drawing.narrow
    assert drawing.columns == ("machine", "time_s", "figure", "value")
    assert over_time(directory, run) is None
