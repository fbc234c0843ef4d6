"""The experiment's own figure: the declared axes, the summary's numbers, every valid run."""

from __future__ import annotations

import copy
import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import SyntheticResults, edit

from lifelog.report import paper
from lifelog.report.drawing import standalone, table_text
from lifelog.report.html import valid_rates, write_report
from lifelog.report.paper import Axes, axes_of, cells, paper_figure
from lifelog.results.directory import read_results
from lifelog.results.summary import summarise
from lifelog.verification.verify import verify

FIGURE = {"x": "brokers", "series": "workers", "panel": "partitions"}
AXES = Axes("brokers", "workers", "partitions")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two levels of three factors, three runs each; the second panel is much faster."""
    made = SyntheticResults(
        "fig2", "Figure 2", {"brokers": [4, 1], "workers": [1, 2], "partitions": [16, 32]}, FIGURE,
        lambda own: 1000.0 * own["workers"] * own["partitions"] / 16, repetitions=3,
    )  # fmt: skip
    directory = made.write(tmp_path_factory.mktemp("results"))
    for repetition in (1, 2, 3):
        run = directory / f"b4-w2-p16-r{repetition:02d}-a01"
        edit(run, valid=False, invalid_reasons=["failed: gone"])
    return directory


@pytest.fixture
def runs(directory: Path) -> list[dict[str, Any]]:
    """All runs."""
    return read_results(directory).runs


def found(runs: list[dict[str, Any]], axes: Axes = AXES) -> list[paper.Cell]:
    own = cells(axes, summarise(runs)["points"], valid_rates(runs))
    assert isinstance(own, list)
    return own


@pytest.mark.parametrize(
    ("figure", "axes"),
    [
        (FIGURE, AXES),
        ({"x": "brokers"}, Axes("brokers", None, None)),
        ({"x": "acks", "series": None, "panel": None}, Axes("acks", None, None)),
        (None, None),
        ({}, None),
        ("brokers", None),
        ({"x": 3}, None),
        ({"x": "brokers", "series": ["workers"]}, None),
    ],
)
def test_what_is_not_understood_is_no_figure(figure: Any, axes: Axes | None) -> None:
    assert axes_of(figure) == axes


def test_cells_have_the_summarys_numbers_and_all_valid_runs(runs: list[dict[str, Any]]) -> None:
    points = {own["point"]: own for own in summarise(runs)["points"]}
    for cell in found(runs):
        throughput = points[cell.point]["throughput_images_per_s"]
        if cell.point == "b4-w2-p16":
            assert (cell.mean, cell.ci95, cell.runs) == (None, None, ())
            continue
        assert cell.mean == throughput["mean"]
        assert list(cell.ci95 or ()) == list(throughput["ci95"])
        rates = [run["throughput_images_per_s"] for run in runs if run["point"] == cell.point]
        assert [rate for _, rate in cell.runs] == rates
        assert len(rates) == 3


def test_short_runs_have_no_interval_and_every_dot(runs: list[dict[str, Any]]) -> None:
    short = [run | {"labels": ["short"]} for run in runs]
    assert all(cell.ci95 is None for cell in found(short))
    drawing = paper_figure(AXES, found(short))
    assert "No interval: short runs, or one run a point." in drawing.caption
    assert "95 %" not in drawing.caption
    assert "95 % interval over runs (3 a point)" in paper_figure(AXES, found(runs)).caption


def test_a_factor_that_the_figure_does_not_show_forbids_it(
    runs: list[dict[str, Any]], directory: Path, tmp_path: Path
) -> None:
    flat = Axes("brokers", "workers", None)
    told = cells(flat, summarise(runs)["points"], valid_rates(runs))
    assert told == "points b1-w1-p16 and b1-w1-p32 differ in a factor that it does not show"
    lost = cells(Axes("color", None, None), summarise(runs)["points"], {})
    assert lost == "point b1-w1-p16 has no color, the figure's x axis"
    hidden = [run | {"figure": {"x": "brokers"}} for run in copy.deepcopy(runs)]
    write_report(tmp_path, hidden, "")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "The declared figure is not drawn: points b1-w1-p16 and b1-w1-p32 differ" in page
    assert "All valid runs" in page


def test_runs_that_left_nothing_do_not_take_the_figure_away(
    runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    lost = verify_nothing(tmp_path / "fig2" / "b9-w9-p9-r01-a01")
    write_report(tmp_path, [*runs, lost], "")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Throughput over brokers" in page
    assert "b9-w9-p9-r01-a01: invalid." in page
    assert "is not drawn" not in page


def verify_nothing(directory: Path) -> dict[str, Any]:
    """A run whose directory is empty."""
    directory.mkdir(parents=True)
    return verify(directory)


def test_a_factor_that_is_fixed_may_be_an_axis(runs: list[dict[str, Any]]) -> None:
    point = copy.deepcopy(summarise(runs)["points"][0])
    (cell,) = cells(Axes("acks", None, None), [point], {})
    assert isinstance(cell, paper.Cell)
    assert cell.x == "all"


def test_levels_are_in_order_and_the_axes_have_their_names(runs: list[dict[str, Any]]) -> None:
    svg = paper_figure(AXES, found(runs)[::-1]).wide
    texts = re.findall(r">([^<>]+)</text>", svg)
    for text in ("partitions: 16", "partitions: 32", "workers", "brokers", "throughput (images/s)"):
        assert text in texts
    # Two panels, and in each one broker before four.
    assert [text for text in texts if text in ("1", "4")][:2] == ["1", "4"]


def test_nothing_is_outside_the_axes(runs: list[dict[str, Any]]) -> None:
    svg = paper_figure(AXES, found(runs)).wide
    # 4,000 images/s in the second panel, 1,000 and 2,000 in the first.
    ticks = {int(text.replace(",", "")) for text in re.findall(r">([\d,]+)</text>", svg)}
    assert max(ticks) >= 4000


def test_a_level_may_be_a_word(runs: list[dict[str, Any]]) -> None:
    words = [
        run | {"point": text, "factors": {"encoding": text}, "settings": {}}
        for run, text in zip(runs, ("uint8", "float32", "text"), strict=False)
    ]
    own = found(words, Axes("encoding", None, None))
    texts = re.findall(r">([^<>]+)</text>", paper_figure(Axes("encoding", None, None), own).wide)
    assert [text for text in texts if text in ("uint8", "float32", "text")] == [
        "uint8", "float32", "text",
    ]  # fmt: skip


def test_the_data_file_has_units_and_a_line_for_each_run(runs: list[dict[str, Any]]) -> None:
    lines = list(csv.DictReader(io.StringIO(table_text(paper_figure(AXES, found(runs))))))
    assert list(lines[0]) == [
        "point", "brokers", "workers", "partitions", "valid_runs", "mean_images_per_s",
        "ci95_low_images_per_s", "ci95_high_images_per_s", "run", "throughput_images_per_s",
    ]  # fmt: skip
    assert len(lines) == 7 * 3 + 1
    (empty,) = [line for line in lines if line["point"] == "b4-w2-p16"]
    assert empty["valid_runs"] == "0"
    assert empty["mean_images_per_s"] == empty["throughput_images_per_s"] == ""
    first = next(line for line in lines if line["point"] == "b1-w2-p32")
    assert (first["brokers"], first["workers"], first["valid_runs"]) == ("1", "2", "3")
    own = next(run for run in runs if run["run"] == first["run"])
    assert float(first["throughput_images_per_s"]) == own["throughput_images_per_s"]


def test_a_file_of_its_own_needs_no_page(runs: list[dict[str, Any]]) -> None:
    svg = standalone(paper_figure(AXES, found(runs)))
    assert "var(" not in svg
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert 'fill="#ffffff"' in svg


def test_files_of_figures_that_are_gone_go(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    write_report(tmp_path, runs, "")
    files = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"figure.svg", "figure.csv", "stages.svg", "stages.csv"} <= files
    (tmp_path / "figures/notes.txt").write_text("mine")
    write_report(tmp_path, [run | {"figure": None, "stages_s": {}} for run in runs], "")
    files = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"runs.svg", "runs.csv", "notes.txt"} <= files
    assert not files & {"figure.svg", "figure.csv", "stages.svg", "stages.csv"}
