"""Two experiments side by side, as a page in the look of the report."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from lifelog.errors import UserError
from lifelog.report.comparisontable import HEADINGS, WARNING, cells, remarks
from lifelog.report.drawing import COLOURS, INK, Drawing, draw, grid
from lifelog.report.html import environment, write_page
from lifelog.results.comparison import Comparison


def ratios(found: Comparison) -> Drawing | None:
    """The ratio of each point with its interval; None where no point has one."""
    shown = [pair for pair in found.pairs if pair.ratio is not None]
    if not shown:
        return None

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        for place, pair in enumerate(shown):
            assert pair.ratio is not None
            if pair.ratio.ci95 is not None:
                axes.hlines(place, *pair.ratio.ci95, color=COLOURS[0], linewidth=2.4)
            axes.plot(pair.ratio.ratio, place, "o", color=COLOURS[0], markersize=8)
        axes.axvline(1, color=INK, linestyle="--", linewidth=1.2)
        axes.set_yticks(range(len(shown)), [pair.point for pair in shown])
        axes.set_ylim(len(shown) - 0.45, -0.55)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("throughput of B / throughput of A", color=INK)

    return draw(
        "ratios", "How many times faster B is",
        "Ratio of the geometric means of the valid runs, and its 95 % interval; where it covers 1, "
        "no difference is shown.",
        1.2 + 0.4 * len(shown), paint,
    )  # fmt: skip


def write_comparison(path: Path, found: Comparison) -> None:
    """Write the page to `path`; UserError where that cannot be written."""
    page = (
        environment()
        .get_template("compare.html.j2")
        .render(
            first=found.first,
            second=found.second,
            warning=WARNING,
            differences=found.differences,
            headings=HEADINGS,
            rows=[cells(pair) for pair in found.pairs],
            remarks=remarks(found),
            drawing=ratios(found),
        )
    )
    try:
        write_page(path, page)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}): give --html a file that you may write"
        ) from None
