"""How every figure is drawn: inline SVG for the page, SVG and CSV files beside it.

Each figure is drawn twice, for wide and for narrow screens, and the page shows one of them: text
keeps its size, and nothing is scrolled. Colours are variables, which the page sets for its theme.
"""

from __future__ import annotations

import csv
import html
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lifelog.report.colours import LIGHT, LINES, MARKERS, SERIES, theme

# Placeholders, replaced by CSS variables in the SVG's text: the page's theme reaches the figures.
INK, GRID, SOFT, CARD = "#010203", "#040506", "#070809", "#070810"
COLOURS = tuple(f"#0a0b{number:02x}" for number in range(len(SERIES)))
# What is written on a bar of that colour.
ON = tuple(f"#0c0d{number:02x}" for number in range(len(SERIES)))
_VARIABLES = {
    **{INK: "ink", GRID: "grid", SOFT: "soft", CARD: "card"},
    **dict(zip(COLOURS, SERIES, strict=True)),
    **{ink: f"on-{name}" for ink, name in zip(ON, SERIES, strict=True)},
}
# Width in inches at 72 units each, and font size in units. A unit is about a pixel on the screen.
_SIZES = {"wide": (12.4, 13.0), "narrow": (4.9, 11.5)}
_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

Run = dict[str, Any]
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure of the page: file name, title, both SVG texts, what it shows in words, its data.

    `columns` are the headings of the CSV file, with units; `rows` its lines.
    """

    name: str
    title: str
    wide: str
    narrow: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def draw(
    name: str,
    title: str,
    caption: str,
    height_inches: float | tuple[float, float],
    paint: Callable[[Figure], None],
    columns: Sequence[str] = (),
    rows: Sequence[Row] = (),
) -> Drawing:
    """Call `paint` on an empty figure of each size; `name` keeps the ids on a page apart.

    `height_inches`: of both sizes, or of the wide and the narrow one.
    """
    heights = height_inches if isinstance(height_inches, tuple) else (height_inches,) * 2
    svgs = {}
    for (size, (width, font)), height in zip(_SIZES.items(), heights, strict=True):
        settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": font}
        with matplotlib.rc_context(settings):
            figure = Figure(figsize=(width, height), layout="constrained")
            paint(figure)
            text = io.StringIO()
            # `savefig` would draw everything once more, into nothing.
            figure.patch.set_visible(False)
            canvas: Any = FigureCanvasSVG(figure)
            canvas.print_svg(text, metadata={"Date": None})
        svgs[size] = _inline(text.getvalue(), f"{name}-{size}", title)
    return Drawing(
        name, title, svgs["wide"], svgs["narrow"], caption, tuple(columns), tuple(rows)
    )  # fmt: skip


def _inline(svg: str, name: str, title: str) -> str:
    svg = svg[svg.index("<svg") :]
    # Inside HTML neither is needed, and the page names no address at all.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    # Several figures share one page: their ids must not.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, f"var(--{variable})")
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)


def standalone(drawing: Drawing) -> str:
    """The wide drawing as an SVG file of its own: light colours on a white ground."""
    svg = drawing.wide.replace("<svg ", f"<svg {_NAMESPACES} ", 1)
    for name, value in theme(LIGHT).items():
        svg = svg.replace(f"var(--{name})", value)
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    style = "<style>text { font-family: 'DejaVu Sans', sans-serif !important }</style>"
    return re.sub(r"(<svg [^>]*>)", rf"\1{ground}{style}", svg, count=1)


def table_text(drawing: Drawing) -> str:
    """The data of a figure as CSV; an empty cell where there is no figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(drawing.columns)
    writer.writerows(drawing.rows)
    return text.getvalue()


def write_figures(directory: Path, drawings: Sequence[Drawing]) -> None:
    """Write NAME.svg and NAME.csv of each figure, and remove those that are no longer drawn."""
    directory.mkdir(exist_ok=True)
    wanted = {f"{own.name}.{kind}" for own in drawings for kind in ("svg", "csv")}
    for old in directory.iterdir():
        if old.suffix in (".svg", ".csv") and old.name not in wanted:
            old.unlink()
    for drawing in drawings:
        for name, text in (
            (f"{drawing.name}.svg", standalone(drawing)),
            (f"{drawing.name}.csv", table_text(drawing)),
        ):
            temporary = directory / f".{name}.{os.getpid()}"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(directory / name)


def is_narrow(figure: Figure) -> bool:
    """Whether this is the drawing for narrow screens."""
    return bool(figure.get_size_inches()[0] < _SIZES["wide"][0])


def tick(value: float, place: object = None) -> str:
    """A number on an axis: no digits that say nothing, none that are needed left out."""
    del place
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 else f"{value:g}"


def grid(figure: Figure, rows: int = 1, columns: int = 1, *, share_y: bool = False) -> list[Any]:
    """Empty axes in the look of the page, row by row; all share the x axis."""
    found = figure.subplots(rows, columns, sharex=True, sharey=share_y, squeeze=False).ravel()
    for axes in found:
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.patch.set_visible(False)
        axes.tick_params(colors=INK, length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(SOFT)
        axes.yaxis.set_major_formatter(FuncFormatter(tick))
        axes.xaxis.set_major_formatter(FuncFormatter(tick))
        axes.xaxis.set_major_locator(MaxNLocator("auto", min_n_ticks=3, steps=[1, 2, 5, 10]))
    return list(found)


def legend(figure: Figure, axes: Any, title: str = "") -> None:
    """The legend above the axes, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    longest = max(map(len, labels))
    # Some seven units a letter, and the line beside it.
    fitting = int(figure.get_size_inches()[0] * 72 / (7.5 * longest + 50))
    shown = figure.legend(
        handles, labels, loc="outside upper left", frameon=False, labelcolor=INK,
        ncols=max(1, min(len(handles), fitting)), handlelength=1.6, title=title or None,
        alignment="left",
    )  # fmt: skip
    shown.get_title().set_color(INK)


def line(number: int) -> dict[str, Any]:
    """Colour and style of the line of a series; no two of the first 24 look the same."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": LINES[number // len(COLOURS) % len(LINES)],
        "linewidth": 1.8,
    }


def marker(number: int) -> str:
    """Marker of a series: tells it apart where colour does not."""
    return MARKERS[number % len(MARKERS)]
