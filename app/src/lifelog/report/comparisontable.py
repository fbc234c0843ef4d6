"""Two experiments side by side, as a table for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lifelog.report.table import MOST_WIDTH, ratio_text, wrapped
from lifelog.results.comparison import SHORT, Comparison, Pair
from lifelog.stats.runs import mean_interval

HEADINGS = ("point", "A (images/s)", "B (images/s)", "B / A (95 % interval)", "shown")
WARNING = "NOT THE SAME: what differs besides the factors is compared as well"


def rate_text(rates: Sequence[float], runs: int, *, interval: bool) -> str:
    """Mean of a point's valid runs, half of its 95 % interval where it has one, their number."""
    if not rates:
        return "no valid run"
    found = mean_interval(rates)
    half = ""
    if found.ci95 is not None and interval:
        half = f" ± {(found.ci95[1] - found.ci95[0]) / 2:,.0f}"
    return f"{found.mean:,.0f}{half} (n={runs})"


def cells(pair: Pair) -> tuple[str, str, str, str, str]:
    """A row: point, both rates, ratio, verdict."""
    # What has no ratio's interval, for being short, has none of its own.
    shown = pair.verdict != SHORT
    rates = [
        rate_text(own, runs, interval=shown)
        for own, runs in zip((pair.first, pair.second), pair.runs, strict=True)
    ]
    ratio = "-" if pair.ratio is None else ratio_text(pair.ratio.ratio, pair.ratio.ci95)
    verdict = {"faster": "B is faster", "slower": "B is slower"}.get(pair.verdict, pair.verdict)
    return pair.point, rates[0], rates[1], ratio, verdict


def remarks(found: Comparison) -> list[str]:
    """What else is to be known: points of one side only, runs left out, how to read the figures."""
    sides = (("A", found.only_first), ("B", found.only_second))
    alone = [f"only in {name}: {', '.join(points)}" for name, points in sides if points]
    left_out = [
        f"not in these figures, of {name}: {text}"
        for name, side in (("A", found.first), ("B", found.second))
        for text in side.left_out
    ]
    return [*alone, *left_out, *found.remarks]


def show(found: Comparison) -> None:
    """Print the comparison; what differs stands before the figures."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    console.width = min(console.width, MOST_WIDTH)
    for name, side in (("A", found.first), ("B", found.second)):
        title = side.summary.get("title") or side.summary.get("experiment") or ""
        console.print(f"{name}: {side.name}  {title}", markup=False, soft_wrap=True)
    if found.differences:
        console.print(f"{WARNING}:", markup=False, style="bold")
        _list(console, found.differences)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("point", "shown") else "right")
    for pair in found.pairs:
        table.add_row(*(escape(cell) for cell in cells(pair)))
    console.print(table)
    _list(console, remarks(found))


def _list(console: Console, texts: Sequence[str]) -> None:
    for text in texts:
        console.print(wrapped(text, console.width), markup=False, soft_wrap=True)
