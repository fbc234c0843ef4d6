"""Verification: a sound run is valid; a fault put into it is named and changes no figure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_run import START_NS, SyntheticRun, image_keys, warmup_keys

from lifelog.errors import UserError
from lifelog.jsonfiles import write_json
from lifelog.report.headline import checked
from lifelog.verification.verify import verify

Change = Callable[[SyntheticRun], None]


def result(run: SyntheticRun, results: Path) -> dict[str, Any]:
    return verify(run.write(results))


def reasons(run: SyntheticRun, results: Path) -> str:
    judged = result(run, results)
    assert not judged["valid"]
    return "\n".join(judged["invalid_reasons"])


@pytest.mark.parametrize("mode", ["saturation", "paced", "fixed_size", "drain"])
def test_a_sound_run_is_valid(tmp_path: Path, mode: str) -> None:
    run = SyntheticRun(mode)
    directory = run.write(tmp_path)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    judged = verify(directory)
    assert judged["invalid_reasons"] == []
    assert judged["valid"]
    assert json.loads((directory / "run.json").read_text()) == judged
    assert all(path.read_bytes() == content for path, content in before.items())
    assert judged["processed"] == judged["produced"] == judged["acknowledged"] == 4800
    assert judged["lost"] == judged["duplicated"] == judged["never_sent"] == judged["damaged"] == 0
    assert judged["accuracy"] == pytest.approx(0.95)
    assert judged["throughput_images_per_s"] == pytest.approx(400, rel=0.05)
    assert judged["labels"] == ["short"]
    assert judged["within_run_ci95"] is None
    assert judged["batch_breakdown_ms"] == {"addBatch": 900}
    assert judged["call_breakdown_us_per_image"] == {"convert": 0.01, "infer": 0.02}
    assert len(judged["series"]["images"]) == 12
    paced = mode == "paced"
    assert judged["latency_ms"] == {"p50": 700 if paced else None, "p99": None}
    assert sum(count for _, count in judged["latency_histogram"]) == (4800 if paced else 0)
    for field, value in judged.items():
        if value is None:
            assert field in judged["absent_because"]
    why = judged["absent_because"]["latency_ms.p99"]
    assert why.startswith("V9: 12 micro-batches" if paced else "V1: only paced")


def test_the_rate_is_that_between_completions(tmp_path: Path) -> None:
    run = SyntheticRun()
    for number, line in enumerate(run.lines):
        line["completed_ns"] = START_NS + int(number * 0.5e9) if number else START_NS - 1
    assert result(run, tmp_path / "a")["throughput_images_per_s"] == pytest.approx(800)
    # Batches that complete after the end of the load are no part of the measurement.
    run.lines[-1]["completed_ns"] = START_NS + 60 * 10**9
    judged = result(run, tmp_path / "b")
    assert judged["throughput_images_per_s"] == pytest.approx(800)
    assert judged["measured_s"] == pytest.approx(5.0)
    assert judged["processed"] == 4800


def test_fixed_size_counts_from_the_first_send(tmp_path: Path) -> None:
    run = SyntheticRun("fixed_size")
    judged = result(run, tmp_path)
    seconds = (run.lines[-1]["completed_ns"] - START_NS) / 1e9
    assert judged["throughput_images_per_s"] == pytest.approx(4800 / seconds)


def test_a_long_steady_run_has_an_interval(tmp_path: Path) -> None:
    run = SyntheticRun(batches=120, images_per_batch=100, short=False, seed=3)
    judged = result(run, tmp_path)
    assert judged["valid"], judged["invalid_reasons"]
    low, high = judged["within_run_ci95"]
    assert low < judged["throughput_images_per_s"] < high
    assert judged["labels"] == []


def _report(producer: int, /, **fields: Any) -> Change:
    def change(run: SyntheticRun) -> None:
        report = run.reports[producer]
        assert report is not None
        report.update(fields)

    return change


def _consumer(**fields: Any) -> Change:
    return lambda run: run.consumer.update(fields)


def _row(number: int, **fields: Any) -> Change:
    return lambda run: run.rows[number].update(fields)


def _drop_row(number: int) -> Change:
    def change(run: SyntheticRun) -> None:
        row = run.rows.pop(number)
        for line in run.lines:
            if line["batch"] == row["batch"]:
                line["images"] -= row["images"]

    return change


def _lose_image(run: SyntheticRun) -> None:
    row = run.rows[-1]
    row["keys"] = row["keys"][:-16]
    row["images"] -= 1
    run.lines[-1]["images"] -= 1


def _repeat_image(run: SyntheticRun) -> None:
    run.rows[-1]["keys"] = run.rows[-1]["keys"][:-16] + image_keys(1, [7]).tobytes()


def _stranger(run: SyntheticRun) -> None:
    run.rows[-1]["keys"] = run.rows[-1]["keys"][:-16] + image_keys(77, [0]).tobytes()


KEY = image_keys(2, [17]).tobytes()
FAULTS: list[tuple[str, Change, str]] = [
    ("saturation", _consumer(start_ns=None), "V1: the consumer was told no start"),
    ("saturation", _consumer(end_ns=None), "V1: the consumer was told no start or end"),
    ("saturation", _report(1, end_ns=None), "V1: producer 1 has an end that does not fit"),
    ("saturation", _report(1, end_ns=5), "V1: producer 1 has another end"),
    ("saturation", _report(2, start_ns=START_NS + 10**6), "V1: producer 2 started 1 ms off"),
    ("saturation", _row(5, latency_ms=np.array([1, 100], "<i4").tobytes()), "V1: latencies"),
    ("saturation", lambda run: run.spec["settings"].update(mode="fast"), "V1: 'fast'"),
    ("paced", lambda run: run.spec["producers"][0].update(rate=None), "V1: a paced producer"),
    ("paced", _row(5, latency_ms=b""), "V2: 4700 latencies were recorded for 4800 images"),
    ("paced", _report(2, sent_by_end=2300), "V3: producer 2 sent 95.8% of its schedule"),
    ("paced", _report(2, scheduled_by_end=0), "V3: producer 2 had nothing"),
    ("saturation", _report(1, failed=1), "V4: producer 1 scheduled 2400 images"),
    ("saturation", _lose_image, "V4: 1 images lost (producer 2 sequence 2399)"),
    ("saturation", _repeat_image, "V4: 1 images duplicated (producer 1 sequence 7)"),
    ("saturation", _stranger, "V4: 1 images processed that were never sent (producer 77"),
    ("saturation", _drop_row(10), "V4: 100 images lost (producer 1 sequences"),
    ("saturation", _drop_row(10), "V4: inferred twice: 1 engine calls"),
    ("saturation", _row(10, damaged=1, damaged_keys=KEY), "V4: 1 images damaged (producer 2 seq"),
    ("saturation", _row(10, malformed=2, malformed_note="key ab"), "2 records malformed (key ab)"),
    ("saturation", lambda run: run.lines[3].update(images=5), "V4: micro-batch 3 has 5 images"),
    (
        "saturation",
        lambda run: run.spec["settings"].update(source_options={"failondataloss": False}),
        "V4: source_options sets failondataloss to False",
    ),
    ("saturation", _row(10, wrong=1, wrong_keys=KEY), "V5: 1 predictions differ"),
    ("saturation", _consumer(max_offsets_per_trigger=403), "V6: 4"),
    ("drain", _consumer(max_offsets_per_trigger=403), "V6: 4"),
    ("saturation", _consumer(max_offsets_per_trigger=None), "V6: maxOffsetsPerTrigger is not"),
    ("saturation", lambda run: run.progress[3].update(runId="s"), "V10: the streaming query was"),
    ("saturation", lambda run: run.progress.pop(0), "V10: the first micro-batch is number 1"),
    ("saturation", _consumer(versions={}), "V13: versions are not recorded"),
    ("saturation", _consumer(app_id=None), "V13: the application's id is not recorded"),
    ("saturation", lambda run: run.progress.clear(), "V13: progress events are not recorded"),
    ("saturation", lambda run: run.spec["model"].update(sha256=""), "V13: the model's hash"),
    ("saturation", _consumer(leaders_observed=[1, 1, 1, 1]), "placement: the partitions were led"),
    ("saturation", _consumer(executors=["127.0.1.5"]), "placement: 1 workers ran executors"),
    ("saturation", _consumer(executors=["127.0.1.5", "127.0.9.9"]), "no worker of ours"),
    ("saturation", _consumer(error="boom"), "failed: consumer: boom"),
    ("saturation", _report(1, error="no broker"), "failed: producer 1: no broker"),
    ("saturation", lambda run: run.reports.update({1: None}), "producer-1.json is missing"),
    ("saturation", _report(1, scheduled="many"), "producer-1.json: scheduled"),
    ("saturation", _report(1, producer=2), "is the report of producer 2"),
    ("saturation", _row(5, skip=1), "calls.arrow cannot be used: call"),
    ("saturation", _row(5, keys=b"x" * 15), "calls.arrow cannot be used: a row's keys"),
    ("saturation", _row(5, images=None), "calls.arrow cannot be used: column images"),
    ("paced", _row(5, latency_ms=b"abc"), "calls.arrow cannot be used: a row's latency"),
    ("saturation", lambda run: run.lines.append(run.lines[-1]), "names a micro-batch twice"),
    ("saturation", lambda run: run.progress[2].update(batchId=None), "without a batchId"),
    ("saturation", _report(1, scheduled=10**15, acknowledged=10**15), "producer-1.json: scheduled"),
    ("saturation", lambda run: run.spec["settings"].update(trigger_ms=0), "trigger_ms must be"),
    ("saturation", lambda run: run.spec["dataset"].update(images=0), "images must be above 0"),
]


@pytest.mark.parametrize(("mode", "change", "words"), FAULTS)
def test_each_fault_makes_the_run_invalid(
    tmp_path: Path, mode: str, change: Change, words: str
) -> None:
    run = SyntheticRun(mode)
    change(run)
    assert words in reasons(run, tmp_path)


@pytest.mark.parametrize(
    "name",
    ["batches.jsonl", "progress.jsonl", "lag.jsonl", "calls.arrow", "consumer.json"],
)
@pytest.mark.parametrize("how", ["missing", "cut", "empty", "garbage"])
def test_a_raw_file_that_is_not_whole_makes_the_run_invalid(
    tmp_path: Path, name: str, how: str
) -> None:
    directory = SyntheticRun("paced").write(tmp_path)
    path = directory / "consumer" / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[: len(content) - 9], "empty": b""}.get(how, b"\x00\xff{"))
    judged = verify(directory)
    if how == "empty" and name == "lag.jsonl":
        # A run shorter than a second has no line; the file is there and whole.
        assert judged["valid"]
        return
    assert not judged["valid"]
    if name in ("calls.arrow", "batches.jsonl") and how != "empty":
        assert judged["throughput_images_per_s"] is None
    if name == "calls.arrow":
        assert judged["processed"] is None
        assert judged["lost"] is None
        assert judged["latency_ms"] == {"p50": None, "p99": None}


def test_every_cut_of_the_calls_is_noticed(tmp_path: Path) -> None:
    directory = SyntheticRun(batches=3, images_per_batch=200).write(tmp_path)
    path = directory / "consumer/calls.arrow"
    content = path.read_bytes()
    for end in range(0, len(content), 997):
        path.write_bytes(content[:end])
        judged = verify(directory)
        assert judged["processed"] is None
        assert any("calls.arrow" in reason for reason in judged["invalid_reasons"])


@pytest.mark.parametrize("content", [None, "", "{}", '{"format": 2}', "[]"])
def test_a_run_without_a_usable_spec(tmp_path: Path, content: str | None) -> None:
    directory = tmp_path / "smoke" / "paced-r02-a01"
    directory.mkdir(parents=True)
    if content is not None:
        (directory / "spec.json").write_text(content)
    judged = verify(directory)
    assert not judged["valid"]
    assert (judged["experiment"], judged["point"], judged["repetition"]) == ("smoke", "paced", 2)


def test_a_directory_that_is_not_there_or_of_no_run(tmp_path: Path) -> None:
    for directory in (tmp_path / "x", tmp_path):
        with pytest.raises(UserError, match="not a run directory"):
            verify(directory)
    assert not list(tmp_path.iterdir())


def test_a_playbook_that_failed_says_why(tmp_path: Path) -> None:
    directory = SyntheticRun().write(tmp_path)
    (directory / "failure.json").write_text('{"reason": "the driver did not start"}')
    assert "failed: the driver did not start" in verify(directory)["invalid_reasons"]


def test_length_and_steadiness_bind_unless_declared_short(tmp_path: Path) -> None:
    long = SyntheticRun(short=False)
    long.spec["min_batches"] = 50
    text = reasons(long, tmp_path / "long")
    assert "V7: 1" in text
    assert re.search(
        r"V8: 11 micro-batches are too few to test, 40 are needed; they took 1\.\d s each: "
        r"set duration_s to [56]0 or more",
        text,
    )
    short = SyntheticRun()
    short.spec["min_batches"] = 50
    judged = result(short, tmp_path / "short")
    assert judged["valid"]
    assert not any("set duration_s" in mark for mark in judged["marks"])
    assert any(mark.startswith("V7") and "short" in mark for mark in judged["marks"])


def test_a_trend_is_no_steady_state(tmp_path: Path) -> None:
    run = SyntheticRun(batches=80, images_per_batch=200, short=False)
    at = START_NS
    for number, line in enumerate(run.lines[1:]):
        at += int((0.5 + number / 80) * 1e9)
        line["completed_ns"] = at
    assert reasons(run, tmp_path).startswith("V8: ")


@pytest.mark.parametrize("mode", ["saturation", "paced"])
@pytest.mark.parametrize(
    ("shift_s", "stalled"),
    [(0.0, False), (1.2, False), (20.0, True)],
    ids=["in time", "the last one was in progress", "a stall"],
)
def test_a_stall_to_the_end_of_the_load_is_no_steady_state(
    tmp_path: Path, mode: str, shift_s: float, stalled: bool
) -> None:
    run = SyntheticRun(mode, batches=80, short=False)
    # Those at the end complete when the load has ended: the rate, up to the last completion, is as before.
    late = run.lines[-12:] if stalled else run.lines[-1:]
    for line in late:
        line["completed_ns"] += int(shift_s * 1e9)
    judged = result(run, tmp_path)
    told = [text for text in judged["invalid_reasons"] if text.startswith("V8: a stall: ")]
    assert bool(told) == stalled == (not judged["valid"]), judged["invalid_reasons"]
    if stalled:
        assert "no micro-batch completed in the last 12." in told[0]
        assert judged["throughput_images_per_s"] == pytest.approx(400, rel=0.05)


def test_a_sized_load_has_no_end_to_stall_to(tmp_path: Path) -> None:
    assert result(SyntheticRun("drain", batches=80, short=False), tmp_path)["valid"]


def test_growing_latency_is_no_steady_state(tmp_path: Path) -> None:
    run = SyntheticRun("paced", batches=80, images_per_batch=200, short=False)
    for row in run.rows:
        row["latency_ms"] = np.array([500 + 20 * row["batch"], row["images"]], "<i4").tobytes()
    assert reasons(run, tmp_path).startswith("V8: ")


def test_warm_up_is_never_counted(tmp_path: Path) -> None:
    run = SyntheticRun()
    mixed = run.rows[3]
    mixed["keys"] = warmup_keys(1).tobytes() + mixed["keys"]
    mixed["images"] += 1
    judged = result(run, tmp_path)
    assert judged["valid"]
    assert judged["processed"] == 4800
    assert any("100 images shared a call with warm-up" in mark for mark in judged["marks"])


def _leave(run: SyntheticRun, batches: int = 2) -> SyntheticRun:
    """The last micro-batches complete after the end of the load, and are only checked."""
    first = run.batches - batches + 1
    run.consumer |= {"backlog_from_batch": first, "end_ns": run.consumer["end_ns"]}
    for line in run.lines[first:]:
        line["completed_ns"] = run.consumer["end_ns"] + (line["batch"] - first + 2) * 10**8
        line["started_ns"] = line["completed_ns"] - 10**8 + 1
        line |= {"backlog_images": line["images"], "images": 0}
    # The last one that is inferred completes after the end of the load.
    run.lines[first - 1]["completed_ns"] = run.consumer["end_ns"] + 10**7
    for row in run.rows:
        if row["batch"] >= first:
            row |= {"call": 0, "correct": 0, "convert_ns": 0, "infer_ns": 0}
    for event in run.progress[first:]:
        event["runId"] = "another query"
    return run


def test_what_is_left_of_a_saturated_load_is_checked_and_not_inferred(tmp_path: Path) -> None:
    whole = result(SyntheticRun(), tmp_path / "whole")
    judged = result(_leave(SyntheticRun()), tmp_path)
    assert judged["valid"], judged["invalid_reasons"]
    assert (judged["processed"], judged["backlog"], judged["produced"]) == (4000, 800, 4800)
    assert (judged["lost"], judged["duplicated"], whole["backlog"]) == (0, 0, 0)
    assert judged["accuracy"] == pytest.approx(0.95)
    assert judged["call_breakdown_us_per_image"] == whole["call_breakdown_us_per_image"]
    assert len(judged["series"]["images"]) == 10
    assert checked(judged) == (
        "All 4,800 images arrived exactly once and undamaged, and 4,000 of them were predicted as the "
        "same network does offline."
    )
    assert judged["throughput_images_per_s"] == pytest.approx(400, rel=0.05)


def _backlog_is_lost(run: SyntheticRun) -> None:
    _leave(run)
    run.lines[-1]["backlog_images"] -= run.rows.pop()["images"]


def _backlog_came_twice(run: SyntheticRun) -> None:
    _leave(run)
    run.rows.append(dict(run.rows[-1]))
    run.lines[-1]["backlog_images"] += run.rows[-1]["images"]


def _backlog_is_damaged(run: SyntheticRun) -> None:
    _leave(run)
    run.rows[-1] |= {"damaged": 1, "damaged_keys": run.rows[-1]["keys"][:16]}


def _not_inferred_early(run: SyntheticRun) -> None:
    _leave(run)
    run.consumer["backlog_from_batch"] += 1


def _not_inferred_in_time(run: SyntheticRun) -> None:
    _leave(run)
    run.lines[11]["started_ns"] = run.consumer["end_ns"] - 1


def _inferred_too_short(run: SyntheticRun) -> None:
    _leave(run)
    run.lines[10]["completed_ns"] = run.consumer["end_ns"] - 1


def _half_of_a_micro_batch_not_inferred(run: SyntheticRun) -> None:
    for row in run.rows:
        if row["batch"] == 7:
            row["call"] = 0


def _no_backlog_in_this_mode(run: SyntheticRun) -> None:
    run.consumer["backlog_from_batch"] = 11
    run.spec["settings"]["mode"] = "drain"


def _inferred_late(run: SyntheticRun) -> None:
    _leave(run)
    run.rows[-1]["call"] = 1000
    run.lines[-1] |= {"images": 100, "backlog_images": 300}


def _backlog_without_a_word(run: SyntheticRun) -> None:
    _leave(run)
    run.consumer["backlog_from_batch"] = None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_backlog_is_lost, "V4: 100 images lost"),
        (_backlog_came_twice, "V4: 100 images duplicated"),
        (_backlog_is_damaged, "V4: 1 images damaged"),
        (_not_inferred_early, "V4: micro-batch 11 holds images that were not inferred, before the backlog"),
        (_not_inferred_in_time, "V4: micro-batch 11 holds images that were not inferred, before the end"),
        (_inferred_too_short, "V4: micro-batch 11 begins the backlog, and none was inferred to the end"),
        (_half_of_a_micro_batch_not_inferred, "V4: micro-batch 7 has 400 images in batches.jsonl and 0 in"),
        (_no_backlog_in_this_mode, "V4: 0 images were not inferred, and this load leaves none"),
        (_inferred_late, "V4: micro-batch 12 holds images that were inferred, in the backlog"),
        (_backlog_without_a_word, "V4: 800 images were not inferred, and this load leaves none"),
    ],
)  # fmt: skip
def test_a_backlog_that_is_not_one_is_no_result(
    tmp_path: Path, change: Change, reason: str
) -> None:
    run = SyntheticRun()
    change(run)
    assert reason in reasons(run, tmp_path)


def test_acks_that_allow_loss_mark_it(tmp_path: Path) -> None:
    run = SyntheticRun(settings={"acks": "0"})
    _lose_image(run)
    judged = result(run, tmp_path)
    assert judged["valid"]
    assert judged["lost"] == 1
    assert judged["examples"]["lost"] == ["producer 2 sequence 2399"]
    assert any("acks = 0 allows this" in mark for mark in judged["marks"])


def test_unacknowledged_images_that_came_are_noted(tmp_path: Path) -> None:
    run = SyntheticRun()
    _report(1, acknowledged=2397, failed=3, failed_ranges=[[5, 6], [9, 9]])(run)
    judged = result(run, tmp_path)
    assert judged["valid"]
    assert judged["failed"] == 3
    assert judged["examples"]["unacknowledged_arrived"][0] == "producer 1 sequences 5-6"


def test_a_reduced_experiment_is_labelled(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.spec["reduced"] = True
    assert result(run, tmp_path)["labels"] == ["short", "reduced"]


def test_the_emulated_engine_has_no_accuracy(tmp_path: Path) -> None:
    run = SyntheticRun(settings={"engine": "emulated"})
    judged = result(run, tmp_path)
    assert judged["valid"]
    assert judged["labels"] == ["short", "emulated"]
    run = SyntheticRun(settings={"engine": "emulated", "time_dilation": 5.0})
    assert "scale-model" in result(run, tmp_path / "scale")["labels"]
    assert judged["accuracy"] is None
    assert "predicts nothing" in judged["absent_because"]["accuracy"]


def test_latency_across_clocks_is_withheld(tmp_path: Path) -> None:
    run = SyntheticRun("paced")
    for own in run.spec["producers"]:
        own["address"] = "10.0.0.2"
    judged = result(run, tmp_path / "a")
    assert judged["valid"]
    assert judged["latency_ms"]["p50"] is None
    assert "V11" in judged["absent_because"]["latency_ms.p50"]
    directory = run.write(tmp_path / "b")
    cluster = json.loads((directory / "cluster.json").read_text())
    cluster["kernels"] = {"b": "k", "w1": "k", "w2": "k"}
    (directory / "cluster.json").write_text(json.dumps(cluster))
    assert verify(directory)["latency_ms"]["p50"] == 700
    (directory / "nodes").mkdir(exist_ok=True)
    # Other kernels, whose clocks are known: 30 ms and 20 ms off at most are too much for 700 ms, 15 ms and 10 ms are not.
    cluster["kernels"] = {"b": "k", "w1": "l", "w2": "l"}
    (directory / "cluster.json").write_text(json.dumps(cluster))
    for factor, given in ((2, None), (1, 700)):
        for host, bound_s in (("b", 0.015), ("w1", 0.010), ("w2", 0.010)):
            write_json(
                directory / "nodes" / f"{host}.json", {"clock": {"bound_s": factor * bound_s}}
            )
        judged = verify(directory)
        assert judged["latency_ms"]["p50"] == given
    write_json(
        directory / "nodes/w2.json", {"clock": {"bound_s": None, "absent_because": "chrony rests"}}
    )
    assert "chrony rests" in verify(directory)["absent_because"]["latency_ms.p50"]


def test_a_negative_latency_withholds_all(tmp_path: Path) -> None:
    run = SyntheticRun("paced")
    run.rows[5]["latency_ms"] = np.array([-4, 100], "<i4").tobytes()
    judged = result(run, tmp_path)
    assert judged["latency_ms"] == {"p50": None, "p99": None}
    assert "-4 ms is impossible" in judged["absent_because"]["latency_ms.p50"]


def test_an_application_of_another_repetition_is_found(tmp_path: Path) -> None:
    SyntheticRun().write(tmp_path)
    second = SyntheticRun()
    second.spec.update(repetition=2, run="saturation-r02-a01")
    assert "V10: run saturation-r01-a01" in reasons(second, tmp_path)


def test_workers_that_waited_for_images_are_noted(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.consumer["max_offsets_per_trigger"] = 420
    assert any("V6: in 12 of 12" in mark for mark in result(run, tmp_path / "a")["marks"])
    full = SyntheticRun()
    full.consumer["max_offsets_per_trigger"] = full.images_per_batch
    full.settings["trigger_ms"] = 100
    full.spec["settings"]["trigger_ms"] = 100
    assert not any("V6" in mark for mark in result(full, tmp_path / "b")["marks"])


def test_producers_that_yield_the_processor_are_noted(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.spec["producers"][0]["yields_cpu"] = True
    assert any("low priority" in mark for mark in result(run, tmp_path)["marks"])


@pytest.mark.parametrize(
    ("field", "per_s", "words"),
    [
        ("steal_s", 0.14, "V12: b: 7.0% of the processor time was taken by the hypervisor"),
        ("throttled_s", 0.07, "V12: b: 7.0% of the time the processor was slowed for its heat"),
        ("foreign_s", 0.14, "V12: b: 7.0% of the processor time was used by other programs"),
    ],
)
def test_a_disturbed_machine_marks_the_run(
    tmp_path: Path, field: str, per_s: float, words: str
) -> None:
    for name, factor in (("disturbed", 1.0), ("quiet", 0.7)):
        directory = SyntheticRun().write(tmp_path / name)
        (directory / "metrics").mkdir()
        lines: list[dict[str, Any]] = [{"format": 1, "fields": {}, "cores": 2}]
        lines += [{"time_ns": START_NS + s * 10**9, field: s * per_s * factor} for s in range(12)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (directory / "metrics/b.jsonl").write_text(text)
        judged = verify(directory)
        assert judged["valid"]
        found = [mark for mark in judged["marks"] if mark.startswith("V12")]
        assert found == ([f"{words}, 5% are harmless"] if name == "disturbed" else [])


def test_a_timed_run_without_a_rate_is_invalid_though_short(tmp_path: Path) -> None:
    run = SyntheticRun(batches=1)
    assert "V7: no rate" in reasons(run, tmp_path)


@pytest.mark.parametrize("mode", ["saturation", "fixed_size"])
def test_machines_are_shown_over_the_counted_time(tmp_path: Path, mode: str) -> None:
    run = SyntheticRun(mode)
    directory = run.write(tmp_path)
    for name in ("nodes", "metrics"):
        (directory / name).mkdir()
    facts = {"machine_id": "m", "cpu_model": "x", "kernel": "6"}
    for host in ("b", "w1"):
        (directory / f"nodes/{host}.json").write_text(json.dumps(facts))
    last_ns = max(line["completed_ns"] for line in run.lines)
    lines: list[dict[str, Any]] = [{"format": 1, "fields": {}, "cores": 2}]
    for second in range(-20, 40):
        at_ns = START_NS + second * 10**9
        # Idle but in the run itself; what it has besides is of the time before and after.
        inside = START_NS <= at_ns <= last_ns
        busy_s = min(max(second, 0), (last_ns - START_NS) // 10**9)
        line = {"time_ns": at_ns, "cpu_s": busy_s, "memory_used_bytes": (1 + (not inside)) << 20}
        lines.append(line)
    (directory / "metrics/b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged = verify(directory)
    assert judged["valid"], judged["invalid_reasons"]
    own = judged["node_metrics"]["b"]
    assert (own["mean_busy_cores"], own["peak_memory_mb"]) == (1.0, 1.0)
    assert 8 <= own["samples"] <= 14
    assert own["mean_network_in_mbit_per_s"] is None
    assert "on the machine of b" in str(judged["node_metrics"]["w1"]["absent_because"])
    assert judged["provenance"]["hosts"]["b"] == facts
