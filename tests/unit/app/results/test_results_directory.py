"""Results that cannot be used are named on page and table, and enter no figure."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import SyntheticResults, dump, edit

from lifelog.cli import main
from lifelog.errors import UserError
from lifelog.results.directory import read_results

RUN = "b1-r02-a01"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two points of three runs."""
    results = SyntheticResults(
        "sweep", "A sweep", {"brokers": [1, 2]}, {"x": "brokers"},
        lambda own: 1000.0 * own["brokers"], repetitions=3,
    )  # fmt: skip
    return results.write(tmp_path_factory.mktemp("results"))


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(made, tmp_path / "sweep"))


def cut_off(run: Path) -> None:
    path = run / "run.json"
    path.write_text(path.read_text("utf-8")[:300], "utf-8")


def other_format(run: Path) -> None:
    edit(run, format=2)


def no_object(run: Path) -> None:
    dump(run / "run.json", [1])


def incomplete(run: Path) -> None:
    content = json.loads((run / "run.json").read_text("utf-8"))
    del content["settings"], content["lost"]
    dump(run / "run.json", content)


def interrupted(run: Path) -> None:
    (run / "run.json").unlink()


FAULTS = [
    (cut_off, "run.json is cut off or cannot be read"),
    (other_format, "run.json has format 2 and this version reads format 1"),
    (no_object, "run.json has format None and this version reads format 1"),
    (incomplete, "run.json lacks settings, lost"),
    (interrupted, "it was interrupted before it was verified"),
    (shutil.rmtree, "its directory is missing"),
]


@pytest.mark.parametrize(("breaks", "words"), FAULTS)
def test_a_run_of_no_use_is_named_everywhere_and_counted_nowhere(
    breaks: Any, words: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(directory / RUN)
    assert main(["report", str(directory)]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    # Paths are never broken.
    assert max(len(line) for line in lines if str(directory) not in line) <= 100
    told = " ".join(line.strip() for line in lines)
    assert f"{RUN} is not in these figures: {words}" in told
    assert f"{RUN}: {words}" in err
    assert "4 of" not in out
    page = (directory / "report.html").read_text("utf-8")
    assert f"{RUN} is not in these figures:</span> {words}" in page
    summary = json.loads((directory / "summary.json").read_text("utf-8"))
    (unusable,) = summary["unusable_runs"]
    assert unusable["run"] == RUN
    assert unusable["reason"].startswith(words)
    one, two = summary["points"]
    assert (one["runs"], two["runs"]) == (2, 3)
    assert len(one["valid_runs_images_per_s"]) == 2


def test_a_run_that_was_made_again_is_no_fault_of_the_sweep(directory: Path) -> None:
    again = Path(shutil.copytree(directory / RUN, directory / "b1-r02-a02"))
    edit(again, run="b1-r02-a02")
    interrupted(directory / RUN)
    (unusable,) = read_results(directory).unusable
    assert unusable.replaced
    assert main(["report", str(directory)]) == 0
    page = (directory / "report.html").read_text("utf-8")
    assert "is not in these figures" not in page
    assert "it was interrupted before it was verified" in page


def test_an_invalid_repetition_fails_and_one_that_was_repeated_does_not(directory: Path) -> None:
    edit(directory / RUN, valid=False, invalid_reasons=["V8: no steady state"])
    assert main(["report", str(directory)]) == 1
    again = Path(shutil.copytree(directory / RUN, directory / "b1-r02-a02"))
    edit(again, run="b1-r02-a02", valid=True, invalid_reasons=[])
    assert main(["report", str(directory)]) == 0


def test_a_sound_directory_has_nothing_unusable(directory: Path) -> None:
    found = read_results(directory)
    assert (len(found.runs), found.unusable) == (6, [])
    assert found.runs[0]["run"] == "b1-r01-a01"
    assert found.runs[-1]["run"] == "b2-r03-a01"
    assert main(["report", str(directory)]) == 0


def test_gaps_of_repetitions_and_attempts(directory: Path) -> None:
    again = Path(shutil.copytree(directory / RUN, directory / "b1-r02-a03"))
    edit(again, run="b1-r02-a03")
    shutil.rmtree(directory / "b2-r01-a01")
    told = {own.run: own.replaced for own in read_results(directory).unusable}
    assert told == {"b1-r02-a02": True, "b2-r01-a01": False}


def test_nothing_of_use_is_one_sentence(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist: run the experiment first"):
        read_results(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no finished run: run the experiment first"):
        read_results(tmp_path / "empty")
    for run in directory.iterdir():
        other_format(run)
    with pytest.raises(UserError, match="no run that can be used: b2-r03-a01: run"):
        read_results(directory)


def test_labels_and_axes_come_from_the_spec(directory: Path) -> None:
    path = directory / RUN / "spec.json"
    spec = json.loads(path.read_text("utf-8"))
    for key, value in (("labels", ["reduced"]), ("reduced", True), ("labels", None)):
        dump(path, spec | {key: value})
        run = next(own for own in read_results(directory).runs if own["run"] == RUN)
        assert run["figure"] == {"x": "brokers"}
        assert run["labels"] == (["reduced"] if value else [])
    path.write_text("{", "utf-8")
    run = next(own for own in read_results(directory).runs if own["run"] == RUN)
    assert "figure" not in run


def test_a_copy_with_other_file_times_has_the_same_newest_run(directory: Path) -> None:
    names = [run["run"] for run in read_results(directory).runs]
    for second, name in enumerate(names):
        consumer = directory / name / "consumer/consumer.json"
        recorded = json.loads(consumer.read_text("utf-8"))
        dump(consumer, recorded | {"start_ns": recorded["start_ns"] + second * 10**9})
    for second, name in enumerate(reversed(names)):
        os.utime(directory / name / "spec.json", (second, second))
    assert [run["run"] for run in read_results(directory).runs] == names
