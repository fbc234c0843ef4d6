"""The short table: one screen, the newest run of each point, nothing that the summary denies."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import SyntheticRun

from lifelog.report.table import mean_of_runs, ratio_text, show, wrapped
from lifelog.results.summary import summarise
from lifelog.verification.verify import verify


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A sound saturation run and a sound paced run."""
    results = tmp_path_factory.mktemp("results")
    return [verify(SyntheticRun(mode=m).write(results)) for m in ("saturation", "paced")]


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain terminal."""
    monkeypatch.setenv("COLUMNS", "80")


def later(run: dict[str, Any], attempt: int, **changes: Any) -> dict[str, Any]:
    """A later attempt of a run."""
    return copy.deepcopy(run) | {"run": f"{run['point']}-r01-a{attempt:02d}"} | changes


def printed(runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    show(runs, Path("results/smoke"))
    return capsys.readouterr().out.splitlines()


def row(lines: list[str], label: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(f"{label} ")]
    return line.removeprefix(label).split()


def test_it_is_one_screen_without_rule_names(
    runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(runs, capsys)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for jargon in ("V1", "V7", "V8", "V9", "within_run_ci95", "latency_ms", "declared short"):
        assert jargon not in text
    assert text.count("Short run") == 1
    assert row(lines, "newest run") == ["r01-a01", "r01-a01"]
    assert row(lines, "valid") == ["yes", "yes"]
    assert row(lines, "processed") == ["4,800", "4,800"]
    assert row(lines, "lost") == row(lines, "wrong predictions") == ["0", "0"]
    assert row(lines, "median latency") == ["-", "700", "ms"]
    assert row(lines, "accuracy offline") == ["95.00%", "95.00%"]
    assert "mean of all valid runs" not in text
    assert lines[-2] == "report: results/smoke/report.html"


def test_all_values_of_a_column_end_in_one_place(
    runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(runs, capsys)
    head = lines[1]
    for label in ("valid", "images/s", "lost", "start Spark"):
        (line,) = [line for line in lines if line.startswith(f"{label} ")]
        assert len(line.rstrip()) == len(head.rstrip())


def test_the_mean_is_the_summarys(
    runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    saturation, paced = runs
    second = later(saturation, 2, throughput_images_per_s=600.0)
    third = later(saturation, 3, throughput_images_per_s=9.0, valid=False, invalid_reasons=["x"])
    everything = [saturation, paced, second, third]
    lines = printed(everything, capsys)
    point = summarise(everything)["points"][0]
    mean = point["throughput_images_per_s"]["mean"]
    assert mean == pytest.approx((saturation["throughput_images_per_s"] + 600) / 2)
    assert row(lines, "mean of all valid runs") == [f"{mean:,.0f}", "(n=2)", "-"]
    # The newest is shown, and its fault is the first note.
    assert row(lines, "newest run") == ["r01-a03", "r01-a01"]
    assert row(lines, "valid") == ["INVALID", "yes"]
    assert next(line for line in lines if line.startswith("- ")) == "- saturation: INVALID: x"


def test_only_runs_that_are_not_short_have_an_interval(runs: list[dict[str, Any]]) -> None:
    long = [
        later(runs[0], n, labels=[], throughput_images_per_s=rate)
        for n, rate in enumerate((100.0, 110.0, 120.0, 130.0, 140.0), start=1)
    ]
    # t(4) = 2.776 times 15.81 / sqrt(5).
    assert mean_of_runs(summarise(long)["points"][0]) == "120 ± 20 (n=5)"
    short = [run | {"labels": ["short"]} for run in long]
    assert mean_of_runs(summarise(short)["points"][0]) == "120 (n=5)"


def test_many_points_have_a_row_each(
    runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    many = [later(runs[0], 1, point=f"b{b}-w{w}") for b in (1, 2, 4) for w in (1, 2, 4)]
    lines = printed(many, capsys)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert row(lines, "b2-w4")[0] == "yes"
    # Nine times three zeros are one sentence.
    assert "lost" not in lines[1]
    assert "No image was lost, repeated or predicted wrongly." in lines
    many[4]["lost"] = 3
    lines = printed(many, capsys)
    assert "lost" in lines[1]
    assert not any("No image was lost" in text for text in lines)


def repeated(run: dict[str, Any], point: str, rates: list[float]) -> list[dict[str, Any]]:
    """A run of each repetition of a point, not short."""
    found = []
    for repetition, rate in enumerate(rates, start=1):
        own = later(run, 1, point=point, labels=[], repetition=repetition)
        own |= {"run": f"{point}-r{repetition:02d}-a01", "throughput_images_per_s": rate}
        found.append(own)
    return found


def test_repetitions_have_mean_interval_and_number(
    runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    one = repeated(runs[0], "b1-w1", [100.0, 110.0, 120.0, 130.0, 140.0])
    two = repeated(runs[0], "b1-w2", [200.0, 200.0, 9e9])
    two[2] |= {"valid": False, "invalid_reasons": ["V8: no steady state"]}
    three = repeated(runs[0], "b1-w3", [7.0, 8.0])
    for run in three:
        run |= {"valid": False, "invalid_reasons": ["failed: gone"]}
    lines = printed([*one, *two, *three], capsys)
    assert max(map(len, lines)) <= 100
    # t(4) = 2.776 times 15.81 / sqrt(5).
    assert row(lines, "b1-w1")[:6] == ["5", "of", "5", "120", "±", "20"]
    assert row(lines, "b1-w2")[:6] == ["2", "of", "3", "200", "±", "0"]
    assert row(lines, "b1-w3")[:3] == ["INVALID", "-", "-"]
    # The newest run of two points is told by a note of its own; one more is not.
    text = " ".join(line.strip() for line in lines)
    assert "b1-w2: INVALID: the figures had not settled" in text
    assert "b1-w3: INVALID: the run failed: gone" in text
    assert "1 of 10 runs is invalid and enters no mean" in text


def test_a_sweep_has_few_notes_and_claims(
    runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    many = []
    for number in range(30):
        (run,) = repeated(runs[0], f"w{number:02d}", [100.0 + number])
        run["marks"] = [f"V12: {number + 3}.5 % of the time was stolen", f"V{number}: mark"]
        many.append(run)
    summary = summarise(many) | {
        "claims": [{"id": "Q1", "verdict": "undecided", "why": "few runs"}]
    }
    show(many, Path("results/smoke"), summary)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("- ") for line in lines) <= 14
    text = " ".join(line.strip() for line in lines)
    assert "3.5 % of the time was stolen: so at w00, and alike at the others" in text
    assert "more notes are in the report" in text
    assert "- Q1 undecided: few runs" in lines


def test_names_of_runs_and_commands_stay_whole() -> None:
    command = "`lifelog verify " + "x" * 90 + "-y`"
    assert wrapped(f"a run: {command}", 40).splitlines()[-1].strip() == "x" * 90 + "-y`"


@pytest.mark.parametrize(
    ("ratio", "ci95", "text"),
    [
        (1.5, (1.25, 1.75), "1.500 (1.250 to 1.750)"),
        (1.5, [1.25, 1.75], "1.500 (1.250 to 1.750)"),
        (1.5, None, "1.500"),
        (1.5, [None, 2], "1.500"),
        (None, None, "-"),
        ("x", None, "-"),
    ],
)
def test_a_ratio_without_an_interval_has_none(ratio: Any, ci95: Any, text: str) -> None:
    assert ratio_text(ratio, ci95) == text


def test_a_run_that_left_nothing_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "smoke" / "saturation-r01-a01"
    broken.mkdir(parents=True)
    lines = printed([verify(broken)], capsys)
    assert lines[0] == "smoke"
    assert row(lines, "valid") == ["INVALID"]
    notes = " ".join(line.strip() for line in lines if "INVALID:" in line)
    assert "the records are incomplete: spec.json is missing" in notes
