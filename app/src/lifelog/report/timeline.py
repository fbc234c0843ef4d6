"""Figures over the time of a run: throughput of each micro-batch, and records waiting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifelog.report.drawing import (
    COLOURS,
    GRID,
    INK,
    SOFT,
    Drawing,
    Run,
    draw,
    grid,
    is_narrow,
    legend,
    line,
)

# Time before the agreed start that is shown, as a share of the time after it.
_PRELUDE = 0.4
# One below the other up to here; more stand in a grid.
_MOST_ROWS = 3
TIME_LABEL = "time since the agreed start (s)"
_RATE_LABEL = "throughput (images/s)"


def window(run: Run) -> tuple[float, float] | None:
    """First and last instant (s since the agreed start) of what a run's rate is taken from."""
    times = run["series"]["completed_s"]
    if not times or not run["measured_s"]:
        return None
    duration = run["settings"]["duration_s"]
    timed = run["mode"] in ("saturation", "paced")
    inside = [at for at in times if not timed or at <= duration + 1e-3]
    return (inside[-1] - run["measured_s"], inside[-1]) if inside else None


def throughput(runs: Sequence[Run], warmups: Sequence[list[tuple[float, int]]]) -> Drawing:
    """Images/s of each micro-batch, from completion to completion; a panel for each run."""
    few = len(runs) <= _MOST_ROWS
    shapes = [(len(runs), 1) if few else (math.ceil(len(runs) / n), n) for n in (4, 2)]

    def paint(figure: Figure) -> None:
        rows, columns = shapes[is_narrow(figure)]
        panels = grid(figure, rows, columns, share_y=not few)
        for empty in panels[len(runs) :]:
            empty.set_visible(False)
        panels = panels[: len(runs)]
        lowest, highest, top = 0.0, 1.0, 1.0
        for panel, run, warmup in zip(panels, runs, warmups, strict=True):
            top = max(top, _panel(panel, run, warmup, few))
            lag = [at for at, _ in run["series"]["lag_records"]]
            lowest = min([lowest, *(at for at, _ in warmup)])
            highest = max([highest, *run["series"]["completed_s"], *lag])
        highest *= 1.04
        panels[-1].set_xlim(max(lowest, -_PRELUDE * highest), highest)
        if not few:
            panels[0].set_ylim(0, 1.05 * top)
            # Below an empty place of the last row no axis would have numbers.
            for panel in panels[-columns:]:
                panel.tick_params(labelbottom=True)
        for panel, run in zip(panels, runs, strict=True):
            _shade(panel, window(run), words=few)
        figure.supxlabel(TIME_LABEL, color=INK, fontsize="medium")
        figure.supylabel(_RATE_LABEL, color=INK, fontsize="medium")

    return draw(
        "throughput", "Throughput over time",
        "Each step is a micro-batch: its images over the time since the one before was complete. "
        "Grey: warm-up images, and what is not counted. Dashed: the run's rate, over what is "
        "counted.",
        0.9 + 2.3 * len(runs) if few else (0.9 + 1.5 * shapes[0][0], 0.9 + 1.3 * shapes[1][0]),
        paint,
        ("point", "run", "part", "from_s", "to_s", "throughput_images_per_s"),
        [row for run, warmup in zip(runs, warmups, strict=True) for row in _rows(run, warmup)],
    )  # fmt: skip


def _steps(run: Run, warmup: list[tuple[float, int]]) -> tuple[Any, Any, Any]:
    """Edges (s), rates (images/s, NaN in the gap before the start) and whether each is counted."""
    edges = np.asarray([at for at, _ in warmup] + run["series"]["completed_s"], float)
    images = np.asarray([count for _, count in warmup] + run["series"]["images"], float)
    if len(edges) < 2:
        return edges, np.zeros(0), np.zeros(0, np.bool_)
    rates = images[1:] / np.maximum(np.diff(edges), 1e-9)
    # Between warm-up and the agreed start nothing was sent: that gap is no micro-batch.
    rates[(edges[:-1] < 0) & (edges[1:] > 0)] = np.nan
    inside = np.zeros(len(rates), np.bool_)
    counted = window(run)
    if counted is not None:
        inside = (edges[:-1] >= counted[0] - 1e-3) & (edges[1:] <= counted[1] + 1e-3)
    return edges, rates, inside


def _rows(run: Run, warmup: list[tuple[float, int]]) -> list[list[Any]]:
    edges, rates, inside = _steps(run, warmup)
    return [
        [run["point"], run["run"], "counted" if own else "not counted", *spell, round(rate, 1)]
        for spell, rate, own in zip(itertools.pairwise(edges.tolist()), rates, inside, strict=False)
        if np.isfinite(rate)
    ]


def _panel(panel: Any, run: Run, warmup: list[tuple[float, int]], wide: bool) -> float:
    rate, counted = run["throughput_images_per_s"], window(run)
    size = "medium" if wide else "small"
    name = run["point"] if run["valid"] else f"{run['point']} (invalid)"
    panel.set_title(name, loc="left", color=INK, fontweight="bold", fontsize=size)
    if rate is not None and wide:
        panel.set_title(f"{rate:,.0f} images/s", loc="right", color=INK, fontsize=size)
    edges, rates, inside = _steps(run, warmup)
    top = rate or 0.0
    if len(rates):
        for part, colour in ((~inside, SOFT), (inside, COLOURS[0])):
            shown = np.where(part, rates, np.nan)
            panel.stairs(shown, edges, baseline=0, fill=True, color=colour, alpha=0.18)
            panel.stairs(shown, edges, baseline=None, color=colour, linewidth=1.8 if wide else 1.2)
        top = max(top, float(np.nanmax(rates)) if np.isfinite(rates).any() else 1.0, 1.0)
        if wide:
            # The strip above the data holds the words on the shading.
            panel.set_ylim(0, 1.22 * top)
    if rate is not None and counted is not None:
        panel.hlines(rate, *counted, color=INK, linestyle="--", linewidth=1.2)
    return float(top)


def _shade(panel: Any, counted: tuple[float, float] | None, *, words: bool) -> None:
    if counted is None:
        return
    left, right = panel.get_xlim()
    for start, end, name in ((left, counted[0], "warm-up"), (counted[1], right, "drain")):
        if end <= start:
            continue
        panel.axvspan(start, end, color=GRID, alpha=0.55, linewidth=0)
        if words:
            _word(panel, (max(start, left) + min(end, right)) / 2, name)
    if words:
        _word(panel, sum(counted) / 2, "counted")


def _word(panel: Any, at: float, word: str) -> None:
    panel.text(
        at, 0.96, word, transform=panel.get_xaxis_transform(), ha="center", va="top",
        color=SOFT, fontsize="small",
    )  # fmt: skip


def lag(runs: Sequence[Run]) -> Drawing:
    """Records in the topic that no finished micro-batch holds, over time."""

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        latest = highest = 1.0
        for number, run in enumerate(runs):
            series = np.asarray(run["series"]["lag_records"], float).reshape(-1, 2)
            axes.plot(*series.T, label=run["point"], **line(number))
            latest = max([latest, *series[:, 0]])
            highest = max([highest, *series[series[:, 0] >= 0, 1]])
        # What is left of it belongs to the warm-up, whose peak would press the rest down.
        axes.set_xlim(0, 1.04 * latest)
        axes.set_ylim(0, 1.05 * highest)
        axes.set_xlabel(TIME_LABEL, color=INK)
        axes.set_ylabel("lag (records)", color=INK)
        legend(figure, axes)

    rows = len(runs) / 5
    return draw(
        "lag", "Records waiting",
        "Records in Kafka that no finished micro-batch holds. A line that keeps rising means "
        "that the workers cannot follow.",
        (3.2 + 0.22 * rows, 3.2 + 0.5 * rows), paint,
        ("point", "run", "time_s", "lag_records"),
        [
            [run["point"], run["run"], at, count]
            for run in runs
            for at, count in run["series"]["lag_records"]
        ],
    )  # fmt: skip
