"""Tables and corner plot of what the paper's statements leave of its unknowns."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelog.capacity.unknowns import UNKNOWNS, Region, region
from lifelog.experiment.load import load_experiment
from lifelog.report.marked import fill
from lifelog.report.unknowns import corner, page

PROJECT = Path(__file__).resolve().parents[4]
FIGURES = [
    load_experiment(PROJECT / f"experiments/{name}.yml") for name in ("fig2", "fig3", "fig4")
]


@pytest.fixture(scope="module")
def regions() -> list[Region]:
    return [region(FIGURES, 60_000, 5, visible) for visible in (0.02, 0.05)]


def test_the_page_has_a_place_for_each_table(regions: list[Region]) -> None:
    tables = page(regions, FIGURES)
    text = (PROJECT / "docs/paper.md").read_text("utf-8")
    for name, table in tables.items():
        text = fill(text, name, table)
        widths = {line.count("|") for line in table.split("\n") if line.startswith("|")}
        assert len(widths) == 1, name
    assert len(regions[0].kept) > len(regions[1].kept)
    assert f"| 2% | 60,000 | {len(regions[0].kept):,} |" in tables["margins"]
    assert all(f"| Q{n} |" in tables["claims"] for n in range(1, 8))
    assert all(own.words in tables["ranges"] for own in UNKNOWNS)
    # Every point of the three figures is in one line.
    assert tables["binding"].count("2: B") == tables["binding"].count("3: B") == 9
    assert tables["binding"].count("4: R") == 12
    assert "| Q2 and Q4 | 0." in tables["pulls"]


def test_the_corner_plot_has_axes_with_units_and_its_data(regions: list[Region]) -> None:
    drawing = corner(regions[0])
    assert "size of an image (bytes)" in drawing.columns
    assert "slot, for an image (us)" in drawing.columns
    assert len(drawing.rows) == min(2000, len(regions[0].kept))
    assert all(784 <= row[0] <= 16_000 for row in drawing.rows)
