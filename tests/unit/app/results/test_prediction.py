"""Prediction beside measurement: which calibration fits a run, and what is said where none does."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibration_files import VERSIONS, dump, write_runs
from synthetic_capacity import observed

from lifelog.cli import main
from lifelog.errors import UserError
from lifelog.report import predictions
from lifelog.results.directory import read_results
from lifelog.results.observation import observe, written_images_per_s
from lifelog.results.prediction import MAKE, load_calibration, with_predictions
from lifelog.results.summary import summarise

HELD_OUT: list[dict[str, Any]] = [
    {"images_per_record": 5}, {"partitions": 16}, {"client": "confluent-kafka"}, {"replication": 2},
]  # fmt: skip


def write(results: Path, **other: Any) -> Path:
    """A calibration, and an experiment beside it."""
    random = np.random.default_rng(5)
    write_runs(results, observed(random))
    seen = [replace(own, name=f"p{at}") for at, own in enumerate(observed(random, HELD_OUT))]
    return write_runs(results, seen, "other", **other)


def summary_of(directory: Path) -> dict[str, Any]:
    runs = read_results(directory).runs
    return with_predictions(directory, runs, summarise(runs))


def test_files_say_what_was_observed(tmp_path: Path) -> None:
    (own, *_) = seen = observed(np.random.default_rng(5))
    directory = write_runs(tmp_path, seen)
    run = json.loads((directory / "run_0-r01-a01/run.json").read_text())
    found = observe(directory / "run_0-r01-a01", run)
    assert not isinstance(found, str)
    assert found.load == own.load
    assert found.rates == pytest.approx(own.rates)
    assert found.component_cores == pytest.approx(own.component_cores)
    for name in ("bare_images_per_s", "convert_share", "pause_s", "working_s"):
        assert getattr(found, name) == pytest.approx(getattr(own, name)), name
    assert [machine.name for machine in found.layout.machines] == ["broker-1 and 4 more hosts"]
    assert (found.layout.slots, found.layout.driver, found.layout.workers) == (2, 0, (0, 0))


def test_what_piles_up_was_written_too() -> None:
    lag = [[float(at), 100 * at] for at in range(60)]
    run: dict[str, Any] = {
        "mode": "saturation", "throughput_images_per_s": 1000.0, "measured_s": 40.0,
        "settings": {"duration_s": 60, "images_per_record": 5},
        "series": {"completed_s": [*map(float, range(70))], "lag_records": lag},
    }  # fmt: skip
    assert written_images_per_s(run) == 1500
    assert written_images_per_s({**run, "mode": "drain"}) == 1000
    flat = {**run["series"], "lag_records": [[at, 5] for at, _ in lag]}
    assert written_images_per_s({**run, "series": flat}) == 1000


def test_each_point_has_its_prediction(tmp_path: Path) -> None:
    summary = summary_of(write(tmp_path))
    for point in summary["points"]:
        found = point["prediction"]
        assert found["measured_over_predicted"] == pytest.approx(1, abs=0.15)
        assert found["interval"][0] < found["images_per_s"] < found["interval"][1]
        assert found["binding"]["resource"] == "processor of broker-1 and 4 more hosts"
        assert found["held_out"]
        assert found["extrapolated"] == found["contradictions"] == []
        assert 0.5 < found["speed_factor"] < 2
        assert point["bottleneck"]["kind"] == "processor"
        assert "prediction" not in point["absent_because"]
    (cells, contradicted), *_ = predictions.rows(summary["points"])
    assert len(cells) == len(predictions.HEADINGS)
    assert not contradicted


def test_runs_of_the_calibration_are_predicted_by_the_others(tmp_path: Path) -> None:
    write(tmp_path)
    errors = load_calibration(tmp_path / "calibration").calibration.log_errors
    found = {
        f"calibration/{point['point']}-r01-a01": point["prediction"]
        for point in summary_of(tmp_path / "calibration")["points"]
    }
    assert not any(own["held_out"] for own in found.values())
    for name, error in errors.items():
        assert found[name]["measured_over_predicted"] == pytest.approx(np.exp(error))
    # A paced run, and the only one with text.
    assert found.keys() - errors.keys() == {
        "calibration/run_12-r01-a01",
        "calibration/run_3-r01-a01",
    }


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"cores": 4}, "other hardware (cores of broker-1)"),
        (
            {"versions": VERSIONS | {"java": "21"}},
            "another version of java (17, and 21 in the run)",
        ),
    ],
)
def test_a_calibration_of_something_else_is_refused(
    tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    (point, *_) = summary_of(write(tmp_path, **other))["points"]
    assert point["prediction"] is None
    assert words in point["absent_because"]["prediction"]
    assert MAKE in point["absent_because"]["prediction"]


def test_other_code_is_said(tmp_path: Path) -> None:
    summary = summary_of(write(tmp_path, code="beef"))
    assert summary["points"][0]["prediction"]["extrapolated"] == ["code beef (calibrated: c0de)"]
    (text, _) = predictions.texts(summary["points"])
    assert text == "the prediction extrapolates: code beef (calibrated: c0de)"


def test_without_a_calibration_the_command_that_makes_one_is_said(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    directory = write_runs(tmp_path, observed(random, HELD_OUT), "other")
    summary = summary_of(directory)
    (text,) = predictions.texts(summary["points"])
    assert re.fullmatch(
        rf"no prediction: \S*calibration does not exist: .*: {re.escape(MAKE)}", text
    )
    write_runs(tmp_path, observed(random), components=False)
    with pytest.raises(UserError, match="0 valid runs recorded the processor time"):
        load_calibration(tmp_path / "calibration")


def test_a_contradiction_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = write(tmp_path)
    path = directory / "p0-r01-a01/run.json"
    run = json.loads(path.read_text())
    for own in run["utilisation"]:
        own["share"] = {"processor": 0.4, "driver": 0.97}.get(own["kind"], own["share"])
    dump(path, run)
    assert main(["report", str(directory)]) == 0
    printed = capsys.readouterr().out
    assert "contradicted" in printed
    page = (directory / "report.html").read_text()
    for text in (" ".join(printed.split()), page):
        assert "p0: the model is contradicted: the model says that processor of broker-1" in text
    assert 'class="bad">' in page
    summary = json.loads((directory / "summary.json").read_text())
    assert len(summary["points"][0]["prediction"]["contradictions"]) == 2


def test_a_run_without_its_raw_files_has_no_prediction(tmp_path: Path) -> None:
    directory = write(tmp_path)
    (directory / "p1-r01-a01/consumer/consumer.json").unlink()
    points = summary_of(directory)["points"]
    assert [point["prediction"] is None for point in points] == [False, True, False, False]
    assert "raw files cannot be used" in points[1]["absent_because"]["prediction"]
