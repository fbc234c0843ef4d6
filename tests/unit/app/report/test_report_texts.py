"""The words of report and notes: for people, true, and said once."""

from __future__ import annotations

import copy
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import SyntheticRun

from lifelog.report import bars, timeline
from lifelog.report.claims import claim_rows
from lifelog.report.headline import checked, headline, main_run, newest_valid
from lifelog.report.html import write_report
from lifelog.report.notes import RULES, SHORT, notes, split_rule
from lifelog.report.provenance import hardware, in_one_column, side_by_side
from lifelog.results.claims import judge_claims
from lifelog.results.summary import summarise
from lifelog.verification import judgement, rules
from lifelog.verification.verify import verify


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A sound saturation run and a sound paced run."""
    results = tmp_path_factory.mktemp("results")
    return [verify(SyntheticRun(mode=m).write(results)) for m in ("saturation", "paced")]


def write(directory: Path, runs: list[dict[str, Any]]) -> str:
    write_report(directory, runs, "")
    return (directory / "report.html").read_text("utf-8")


def test_every_rule_that_a_verdict_names_has_plain_words() -> None:
    source = inspect.getsource(rules) + inspect.getsource(judgement)
    named = set(re.findall(r'"(V\d+|failed): ', source))
    assert named
    assert named <= set(RULES)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("V4: 3 images lost", ("V4", "3 images lost")),
        ("failed: consumer: gone", ("failed", "consumer: gone")),
        ("V99: of a newer version", ("", "V99: of a newer version")),
        ("no rule", ("", "no rule")),
    ],
)
def test_split_rule(text: str, parts: tuple[str, str]) -> None:
    assert split_rule(text) == parts


def test_a_short_run_says_so_once(runs: list[dict[str, Any]]) -> None:
    found = notes(runs)
    short = [note for note in found if note.plain == SHORT]
    assert [note.points for note in short] == [("saturation", "paced")]
    assert not [note for note in found if "declared short" in note.sentence()]
    assert not [note for note in found if note.rule in ("V7", "V8")]


def test_notes_begin_with_plain_words_and_count_what_is_too_much(
    runs: list[dict[str, Any]],
) -> None:
    run = copy.deepcopy(runs[1])
    run["invalid_reasons"] = [f"V3: producer {p} sent 80.0% of its schedule" for p in range(1, 9)]
    (note,) = [note for note in notes([run]) if note.kind == "invalid"]
    assert note.rule == "V3"
    assert note.sentence() == (
        "the load generator fell behind its schedule: producer 1 sent 80.0% of its schedule; "
        "producer 2 sent 80.0% of its schedule; producer 3 sent 80.0% of its schedule; "
        "and 5 more, see run.json"
    )


def test_a_mark_keeps_its_own_words(runs: list[dict[str, Any]]) -> None:
    run = copy.deepcopy(runs[0])
    run["marks"] = ["V6: in 9 of 9 micro-batches the workers took all that there was"]
    (note,) = [note for note in notes([run]) if note.rule == "V6"]
    assert note.sentence() == "in 9 of 9 micro-batches the workers took all that there was"


def test_absent_figures_of_one_reason_are_one_note(runs: list[dict[str, Any]]) -> None:
    absent = [note.sentence() for note in notes(runs[:1]) if note.kind == "absent"]
    assert absent == ["no latency: only paced load has a latency"]


def test_the_headline_is_the_fastest_valid_run(runs: list[dict[str, Any]]) -> None:
    saturation, paced = copy.deepcopy(runs)
    faster = copy.deepcopy(saturation) | {"point": "more", "throughput_images_per_s": 1e6}
    assert main_run([saturation, paced, faster]) is faster
    faster["valid"] = False
    assert main_run([saturation, paced, faster]) is saturation
    saturation["valid"] = False
    assert main_run([saturation, paced, faster]) is paced
    paced["valid"] = False
    assert main_run([saturation, paced, faster]) is None


def test_the_headline_says_what_ran_and_what_became_of_the_images(
    runs: list[dict[str, Any]],
) -> None:
    run = copy.deepcopy(runs[0])
    assert headline(run) == (
        "images per second from 2 Kafka brokers through 2 Spark workers into Chainer"
    )
    assert checked(run) == (
        "All 4,800 images arrived exactly once and undamaged, and each was predicted as the same "
        "network does offline."
    )
    run |= {"lost": 7, "duplicated": 2, "labels": ["short", "emulated"]}
    assert checked(run) == (
        "Of 4,800 images, 7 were lost, 2 repeated and 0 damaged. The engine was emulated: it "
        "predicted nothing."
    )


def test_an_invalid_newest_run_is_an_alarm(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    bad = copy.deepcopy(runs[0]) | {"valid": False, "run": "saturation-r01-a02"}
    bad["invalid_reasons"] = ["V4: 4 images lost (producer 1 sequences 3-6)"]
    page = write(tmp_path, [runs[0], bad])
    assert "No point has a valid newest run" in page
    assert "the images do not add up: 4 images lost (producer 1 sequences 3-6)" in page
    assert "(rule V4)" in page
    # The older one is still there, and so is its rate.
    assert "saturation-r01-a01" in page


def test_a_run_that_left_nothing_still_has_a_page(
    runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    broken = tmp_path / "smoke" / "other-r01-a01"
    broken.mkdir(parents=True)
    page = write(tmp_path, [*runs, verify(broken)])
    assert "spec.json is missing" in page
    assert write(tmp_path, [verify(broken)]).count("No point has a valid newest run") == 1


def test_many_points_have_a_row_each(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    many = [copy.deepcopy(runs[0]) | {"point": f"w{n}", "run": f"w{n}-r01-a01"} for n in range(9)]
    page = write(tmp_path, many)
    assert "Each row is a point" in page
    assert "Throughput over time" in page
    # Of more than that many, a panel each would take minutes to look at.
    assert page.count(">w8</text>") >= 2
    assert "All valid runs" in page


def test_what_a_run_names_cannot_break_the_page(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    run = copy.deepcopy(runs[0]) | {"title": "<b>x</b> & y", "point": "a<b"}
    run["invalid_reasons"], run["valid"] = ["failed: <script>alert(1)</script>"], False
    page = write(tmp_path, [run])
    assert "<script" not in page
    assert "<b>x" not in page
    assert "a<b" not in page


@pytest.mark.parametrize("mode", ["fixed_size", "drain"])
def test_runs_without_an_agreed_end_have_a_window(mode: str, tmp_path: Path) -> None:
    run = verify(SyntheticRun(mode=mode).write(tmp_path))
    window = timeline.window(run)
    assert window is not None
    assert window[1] == run["series"]["completed_s"][-1]
    assert window[1] - window[0] == pytest.approx(run["measured_s"])
    assert "Throughput over time" in write(tmp_path / "smoke", [run])


def test_the_counted_window_is_the_one_of_the_rate(runs: list[dict[str, Any]]) -> None:
    run = runs[0]
    window = timeline.window(run)
    assert window is not None
    times, images = run["series"]["completed_s"], run["series"]["images"]
    inside = [n for at, n in zip(times, images, strict=True) if window[0] + 1e-3 < at <= window[1]]
    rate = sum(inside) / (window[1] - window[0])
    assert rate == pytest.approx(run["throughput_images_per_s"], rel=1e-3)


def test_parts_of_a_micro_batch_add_up(runs: list[dict[str, Any]]) -> None:
    run = copy.deepcopy(runs[0])
    run["batch_breakdown_ms"] = {"addBatch": 700.0, "walCommit": 200.0, "triggerExecution": 1000.0}
    drawing = bars.micro_batch([run])
    for text in ("700", "200", "100"):
        assert f">{text}</text>" in drawing.wide


def test_side_by_side_marks_differences() -> None:
    assert side_by_side([{"a": 1, "b": None}, {"a": 2.5, "c": [1]}]) == [
        ("a", ["1", "2.5"], True),
        ("b", ["-", "-"], False),
        ("c", ["-", "[1]"], True),
    ]


def test_hardware_names_each_machine_once() -> None:
    facts = {"machine_id": "x", "cpu_model": "A", "cores": 2, "memory_mb": 8192, "os": {}}
    hosts = {"worker-1": facts, "broker-1": facts, "odd": None}
    _, rows = hardware([{"provenance": {"hosts": hosts}}, {"provenance": {}}])
    assert rows == [
        ["broker-1", "machine 1", "A", "2", "8.0 GiB", "-", "-"],
        ["worker-1", "machine 1", "A", "2", "8.0 GiB", "-", "-"],
    ]


def test_the_headline_of_repetitions_is_their_mean(
    runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    rates = (100.0, 110.0, 120.0, 130.0, 140.0)
    own = [
        copy.deepcopy(runs[0])
        | {"labels": [], "repetition": n, "run": f"saturation-r{n:02d}-a01",
           "throughput_images_per_s": rate}
        for n, rate in enumerate(rates, start=1)
    ]  # fmt: skip
    page = write(tmp_path, own)
    assert '<p class="rate">120</p>' in page
    assert "5 valid runs: 120 ± 20 (95 % interval) images/s." in page
    # Of short runs it is the newest one, and no interval.
    short = [run | {"labels": ["short"]} for run in own]
    page = write(tmp_path, short)
    assert '<p class="rate">140</p>' in page
    assert "5 valid runs: 120 images/s." in page
    assert "±" not in page


def test_the_fastest_point_is_the_one_of_the_largest_mean(runs: list[dict[str, Any]]) -> None:
    slow = copy.deepcopy(runs[0]) | {"throughput_images_per_s": 900.0}
    fast = copy.deepcopy(runs[0]) | {"point": "fast", "throughput_images_per_s": 500.0}
    bad = copy.deepcopy(fast) | {"valid": False}
    found = newest_valid([slow, fast, bad], {"saturation": 300.0, "fast": 600.0})
    assert [(run["point"], run["throughput_images_per_s"]) for run in found] == [
        ("saturation", 300.0), ("fast", 600.0),
    ]  # fmt: skip
    assert (main_run(found) or {})["point"] == "fast"


def test_alarms_name_the_repetition(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    own = [
        copy.deepcopy(runs[0]) | {"repetition": n, "run": f"saturation-r{n:02d}-a01"}
        for n in range(1, 9)
    ]
    for number, run in enumerate(own[:6]):
        run |= {"valid": False, "invalid_reasons": [f"V4: {number} images lost"]}
    page = write(tmp_path, own)
    assert "saturation-r01-a01: invalid.</span> the images do not add up: 0 images lost" in page
    assert "2 more faults are listed under" in page
    assert page.count("5 images lost") == 1
    # Points of one repetition are named as such, and a failure is no rule.
    (run,) = own[:1]
    run["invalid_reasons"] = ["failed: gone"]
    page = write(tmp_path, [run])
    assert "saturation: invalid.</span> the run failed: gone" in page
    assert "rule failed" not in page


def test_many_points_share_a_column(runs: list[dict[str, Any]]) -> None:
    values = [{"a": n % 2, "b": n, "c": 5} for n in range(9)]
    assert in_one_column(values) == [
        ("a", ["0 (5 points); 1 (4 points)"], True),
        ("b", ["9 values: see run.json of each run"], True),
        ("c", ["5"], False),
    ]
    assert in_one_column(values[:3])[0] == ("a", ["0 (2 points); 1 (1 point)"], True)


@pytest.mark.parametrize("claims", [None, [], {}, "x", ["x", None]])
def test_what_is_no_claim_is_left_out(claims: Any) -> None:
    assert claim_rows(claims) == []


def test_claims_have_verdicts_and_numbers(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    rates = {"fast": 1500.0, "slow": 1000.0}
    own = [
        copy.deepcopy(runs[0])
        | {"point": point, "run": f"{point}-r{n:02d}-a01", "repetition": n, "labels": [],
           "throughput_images_per_s": rate + n}
        for n in range(1, 6)
        for point, rate in rates.items()
    ]  # fmt: skip
    compared = {"of": "fast", "over": "slow", "what": "fast <b>", "at_least": 1.1, "at_most": None}
    turned = compared | {"of": "slow", "over": "fast", "what": ""}
    claims = [
        {"id": name, "text": "t", "comparisons": comparisons}
        for name, comparisons in (("Q1", [compared]), ("Q2", [turned]), ("Q3", []))
    ]
    judged = judge_claims(claims, own)
    rows = claim_rows([*judged, {"id": "Q4"}])
    marks = [(row["mark"], row["tone"]) for row in rows]
    assert marks == [("✓", "good"), ("✗", "bad"), ("?", "soft"), ("?", "soft")]
    (shown,) = rows[0]["comparisons"]
    assert (shown["label"], shown["claimed"], shown["n"]) == ("fast <b>", "at least 1.1", "5 and 5")
    assert re.fullmatch(r"1\.499 \(1\.49\d to 1\.50\d\)", shown["ratio"])
    assert shown["found"] == "holds: the interval lies above 1.1"
    (shown,) = rows[1]["comparisons"]
    assert shown["label"] == "slow / fast"
    assert shown["found"] == "does not hold: the interval lies below 1.1"
    write_report(tmp_path, own, "", summarise(own) | {"claims": [*judged, {"id": "Q4"}]})
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<b>1 of 4</b><span>1 not reproduced, 2 undecided</span>" in page
    assert "does not hold: the interval lies below 1.1" in page
    assert "fast &lt;b&gt;" in page


def test_a_comparison_without_runs_decides_nothing() -> None:
    compared = {"of": "a", "over": "b", "what": "a", "at_least": 1.0, "at_most": 2}
    (row,) = claim_rows(judge_claims([{"id": "Q", "text": "t", "comparisons": [compared]}], []))
    (shown,) = row["comparisons"]
    assert (shown["ratio"], shown["claimed"]) == ("-", "at least 1, at most 2")
    assert shown["found"].startswith("undecided: 0 valid runs of a")


def test_runs_of_other_settings_are_counted(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    write_report(tmp_path, runs, "", left_out=3)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "3 older runs of other settings, versions, data or weights are kept" in page
    assert "older runs" not in write(tmp_path, runs)
