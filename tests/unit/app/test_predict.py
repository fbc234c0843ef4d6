"""The commands predict and residuals: what they print, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from calibration_files import write_runs
from synthetic_capacity import observed

from lifelog.cli import main


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("results")
    random = np.random.default_rng(5)
    write_runs(directory, observed(random))
    write_runs(directory, observed(random, [{"images_per_record": 5}, {"partitions": 16}]), "other")
    return directory


def predict(results: Path, *options: str) -> int:
    return main(["predict", *options, "--calibration", str(results / "calibration")])


def test_a_wish_is_answered(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "nodes.svg"
    assert predict(results, "200000", "--set", "images_per_record=10", "--svg", str(plot)) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "200,000 images/s, as likely as not: " in printed
    assert "200,000 images/s, with 97.5 % confidence: " in printed
    assert "task slots" in printed
    assert "extrapolated: " in printed
    assert "producers 12 (calibrated: 4)" in printed
    assert plot.read_text().startswith("<svg ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["1e6", "--max-nodes", "3"], "1,000,000 images/s cannot be had: "),
        (["1e7", "--set", "images_per_call=1", "--cores", "64", "--link-mbit", "0",
          "--max-nodes", "2000"], "the driver, which plans and collects alone stands in the way"),
        (["1000", "--image-bytes", "500000", "--link-mbit", "10", "--max-nodes", "5"],
         "link out of broker 1 stands in the way"),
        (["1000", "--image-bytes", "2000000"], "the image is too large"),
        (["1000", "--set", "images_per_record=2000"], "set images_per_record to 1337 or less"),
        (["1000", "--set", "partition=4"], "did you mean partitions"),
        (["1000", "--set", "partitions=4"], "partitions: is what predict finds"),
        (["1000", "--set", "model=cnn"], "chainer cnn was not calibrated"),
        (["1000", "--set", "compression=zstd"], "needs client confluent-kafka"),
        (["0"], "images-per-s: give a number above 0"),
        (["1000", "--cores", "0"], "cores: give a number above 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(
    results: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert predict(results, *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_without_a_calibration_there_is_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tmp_path, "1000") == 2
    assert "-e experiment=calibration" in capsys.readouterr().err


def test_residuals_of_held_out_points(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- residuals -->\nold\n<!-- /residuals -->\nafter\n")
    directories = [str(results / name) for name in ("calibration", "other")]
    options = ["--calibration", directories[0]]
    assert main(["residuals", *directories, *options, "--page", str(page)]) == 0
    assert "2 of 2 held-out points are within 15%" in capsys.readouterr().out
    text = page.read_text()
    assert "| `other` | run_0 | 1 |" in text
    assert "old" not in text
    assert main(["residuals", directories[0], *options]) == 2
    assert main(["residuals", *directories, *options, "--page", str(tmp_path / "no.md")]) == 2
