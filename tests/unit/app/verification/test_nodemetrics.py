"""What each machine did in the counted interval, from a metrics file that was written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lifelog.node.replicalag import log_ends, log_ends_request, replica_lag
from lifelog.verification.nodemetrics import FIGURES, node_metrics, parse, summarize

S = 10**9
HEADER = {
    "format": 1,
    "cores": 2.0,
    "interface": "eth0",
    "fields": {
        "cpu_s": {"source": "a", "absent_because": None},
        "replica_lag_largest_records": {"source": None, "absent_because": "another machine"},
    },
}


def sample(at_s: int, **figures: Any) -> dict[str, Any]:
    """Of a machine that uses 1.5 cores, gets 1, sends 2, reads 3 and writes 4 MB/s."""
    own = {
        "time_ns": at_s * S,
        "cpu_s": 100 + 1.5 * at_s,
        "memory_used_bytes": (1 << 30) + at_s * (1 << 20),
        "net_in_bytes": 10**6 * at_s,
        "net_out_bytes": 2 * 10**6 * at_s,
        "disk_read_bytes": 3 * 10**6 * at_s,
        "disk_write_bytes": 4 * 10**6 * at_s,
        "replica_lag_largest_records": None,
    }
    return own | figures


def written(*values: dict[str, Any]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_figures_are_those_of_the_interval() -> None:
    # Before and after it the machine did something else.
    outside = [sample(1, cpu_s=0, memory_used_bytes=1 << 40), sample(99, cpu_s=1e6)]
    text = written(HEADER, outside[0], *(sample(s) for s in range(10, 21)), outside[1])
    found = summarize(parse(text), 10 * S, 20 * S)
    assert found == {
        "samples": 11,
        "cores": 2.0,
        "interface": "eth0",
        "mean_busy_cores": 1.5,
        "peak_memory_mb": 1044.0,
        "mean_network_in_mbit_per_s": 8.0,
        "mean_network_out_mbit_per_s": 16.0,
        "mean_disk_read_mbyte_per_s": 3.0,
        "mean_disk_write_mbyte_per_s": 4.0,
        "largest_replica_lag_records": None,
        "steal_share": None,
        "throttled_share": None,
        "foreign_share": None,
        "component_cores": None,
        "mean_reference_ms": None,
        "faults": [],
        "absent_because": {
            "largest_replica_lag_records": "another machine",
            "steal_share": "steal_s was not recorded",
            "throttled_share": "throttled_s was not recorded",
            "foreign_share": "foreign_s was not recorded",
            "component_cores": "components_s was not recorded",
            "mean_reference_ms": "reference_ms was not recorded",
        },
    }


def test_disturbances_are_shares_of_the_time() -> None:
    header = {**HEADER, "fields": {"foreign_s": {"source": None, "absent_because": "who knows"}}}
    values = [sample(s, steal_s=7 + 0.2 * s, throttled_s=0.3 * s) for s in range(11)]
    found = summarize(parse(written(header, *values)), 0, 99 * S)
    # Of two cores, and of the time.
    assert (found["steal_share"], found["throttled_share"]) == (0.1, 0.3)
    assert found["foreign_share"] is None
    assert found["absent_because"]["foreign_share"] == "who knows"
    unknown = summarize(parse(written({**header, "cores": None}, *values)), 0, 99 * S)
    assert unknown["steal_share"] is None
    assert "number of cores" in unknown["absent_because"]["steal_share"]
    assert unknown["throttled_share"] == 0.3


def test_components_have_their_busy_cores() -> None:
    values = [sample(s, components_s={"broker": 7 + 0.5 * s}, foreign_s=0.2 * s) for s in range(5)]
    for value in values[2:]:
        value["components_s"]["producer"] = 0.25 * value["time_ns"] / S
    # A second in which the processes could not be read.
    values.insert(3, sample(2, components_s=None))
    found = summarize(parse(written(HEADER, *values)), 0, 99 * S)
    assert found["component_cores"] == {"broker": 0.5, "producer": 0.25}
    assert found["foreign_share"] == 0.1
    one = summarize(parse(written(HEADER, values[0])), 0, 99 * S)
    assert one["component_cores"] is None
    assert "1 samples" in one["absent_because"]["component_cores"]
    header = {**HEADER, "fields": {"components_s": {"absent_because": "hidden"}}}
    hidden = summarize(parse(written(header, *values)), 0, 99 * S)
    assert hidden["absent_because"]["component_cores"] == "hidden"


def test_the_piece_of_work_has_its_mean() -> None:
    text = written(HEADER, *(sample(s, reference_ms=0.5 + 0.1 * (s % 2)) for s in range(4)))
    assert summarize(parse(text), 0, 99 * S)["mean_reference_ms"] == 0.55


def test_a_missed_second_leaves_the_mean_alone() -> None:
    text = written(HEADER, *(sample(s) for s in (10, 11, 15, 16)))
    assert summarize(parse(text), 0, 99 * S)["mean_busy_cores"] == 1.5


def test_a_last_line_that_was_cut_off_is_ignored() -> None:
    text = written(HEADER, *(sample(s) for s in range(5)))
    whole = summarize(parse(text), 0, 99 * S)
    assert summarize(parse(text + '{"time_ns": 99'), 0, 99 * S) == whole


def test_a_broken_line_in_the_middle_is_reported() -> None:
    lines = written(HEADER, *(sample(s) for s in range(5))).splitlines(keepends=True)
    lines[3] = lines[3][:20] + "\n"
    found = summarize(parse("".join(lines)), 0, 99 * S)
    assert found["faults"] == ["line 4 is cut off or broken"]
    assert (found["samples"], found["mean_busy_cores"]) == (4, 1.5)
    assert parse('{"cpu_s": 1}\n[1]\n').faults == [
        "line 1 has no time_ns",
        "line 2 is cut off or broken",
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "0 samples in the counted interval"),
        ([sample(3)], "1 samples in the counted interval"),
        ([sample(3), sample(3)], "the same instant"),
        ([sample(3), sample(4, cpu_s=1)], "started again"),
        ([sample(3, cpu_s=None), sample(4, cpu_s=None)], "cpu_s in too few"),
    ],
)
def test_a_mean_that_cannot_be_computed_says_why(lines: list[dict[str, Any]], words: str) -> None:
    found = summarize(parse(written(HEADER, *lines)), 0, 99 * S)
    assert found["mean_busy_cores"] is None
    assert words in found["absent_because"]["mean_busy_cores"]


def test_the_largest_lag_is_kept_and_an_error_told() -> None:
    header = {**HEADER, "fields": {}}
    lags = [sample(s, replica_lag_largest_records=lag) for s, lag in enumerate((0, 70, None, 3))]
    found = summarize(parse(written(header, *lags)), 0, 99 * S)
    assert found["largest_replica_lag_records"] == 70
    lost = [sample(1, replica_lag_error="no broker"), sample(2)]
    found = summarize(parse(written(header, *lost)), 0, 99 * S)
    assert "no broker" in found["absent_because"]["largest_replica_lag_records"]


def test_hosts_without_samples_say_why(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    text = written(HEADER, *(sample(s) for s in range(5)))
    (tmp_path / "metrics/b1.jsonl").write_text(text)
    machines = {"b1": "one", "b2": "one", "w1": "two", "w2": None}
    found = node_metrics(tmp_path, machines, (0, 4 * S))
    assert found["b1"]["mean_busy_cores"] == 1.5
    reasons = {
        host: found[host]["absent_because"]["mean_busy_cores"] for host in ("b2", "w1", "w2")
    }
    assert reasons == {
        "b2": "on the machine of b1",
        "w1": "no samples arrived",
        "w2": "no samples arrived",
    }
    found = node_metrics(tmp_path, machines, None)
    assert found["b1"]["samples"] == 5
    assert all(found["b1"][figure] is None for figure in FIGURES)


def test_a_metrics_file_that_is_no_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/b1.jsonl").write_bytes(b"\xff\xfe")
    found = node_metrics(tmp_path, {}, (0, S))
    assert "cannot be read" in found["b1"]["absent_because"]["peak_memory_mb"]


def test_the_lag_is_what_a_replica_lacks_to_the_furthest_one() -> None:
    assert replica_lag({1: {0: 100, 1: 40}, 2: {0: 90, 1: 50}, 3: {0: 70}}) == (30, 50)
    assert replica_lag({1: {0: 5}}) == (0, 0)
    assert replica_lag({}) == (0, 0)


def test_the_question_for_log_ends_survives_the_wire() -> None:
    request = log_ends_request("t", [0, 3])
    asked = type(request).decode(request.encode(version=7), version=7)
    assert asked.replica_id == -2
    assert [(p.partition_index, p.timestamp) for p in asked.topics[0].partitions] == [
        (0, -1),
        (3, -1),
    ]


@pytest.mark.parametrize("error", [0, 6])
def test_an_answer_without_an_offset_is_an_error(error: int) -> None:
    from kafka.protocol.consumer import ListOffsetsResponse

    topic = ListOffsetsResponse.ListOffsetsTopicResponse
    partition = topic.ListOffsetsPartitionResponse(partition_index=3, error_code=error, offset=42)
    response = ListOffsetsResponse(topics=[topic(name="t", partitions=[partition])])
    if error:
        with pytest.raises(RuntimeError, match="broker 1, partition 3: NotLeader"):
            log_ends(1, response)
    else:
        assert log_ends(1, response) == {3: 42}
