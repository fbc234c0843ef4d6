"""Figures with a row for each point: all valid runs, parts of a micro-batch, stages of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifelog.report.drawing import COLOURS, INK, ON, Drawing, Run, draw, grid, legend

MICRO_BATCH = {
    "fetch, convert, infer": ("addBatch",),
    "look for new records": ("latestOffset", "getBatch"),
    "plan": ("queryPlanning",),
    "write the progress log": ("walCommit", "commitOffsets"),
}
_WHOLE = "triggerExecution"
ALL_RUNS = "runs"
# More rows than this stand closer.
_MOST_LOOSE_ROWS = 12


def _height(rows: int) -> float:
    return 1.4 + (0.5 if rows <= _MOST_LOOSE_ROWS else 0.28) * rows


def all_runs(rates: Mapping[str, Sequence[float]]) -> Drawing:
    """The rate of every valid run (point -> images/s, newest last), and their mean."""

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        for place, of_point in enumerate(rates.values()):
            mean = float(np.mean(of_point))
            first = place == 0
            axes.plot(
                of_point, [place] * len(of_point), "o", color=COLOURS[0], alpha=0.45,
                markersize=9, markeredgewidth=0, label="valid run" if first else None,
            )  # fmt: skip
            axes.plot(
                of_point[-1:], [place], "o", color=COLOURS[1], markersize=9, markerfacecolor="none",
                markeredgewidth=2, label="newest of them" if first else None,
            )  # fmt: skip
            axes.vlines(
                mean, place - 0.3, place + 0.3, color=INK, linewidth=2,
                label="mean" if first else None,
            )  # fmt: skip
        _names(axes, list(rates))
        axes.set_xlim(left=0)
        axes.set_xlabel("throughput (images/s)", color=INK)
        legend(figure, axes)

    return draw(
        ALL_RUNS, "All valid runs",
        "Runs with the same settings, versions and data, none of which broke a rule.",
        _height(len(rates)), paint,
        ("point", "throughput_images_per_s"),
        [[point, rate] for point, of_point in rates.items() for rate in of_point],
    )  # fmt: skip


def _names(axes: Any, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")


def stacked(
    name: str,
    title: str,
    caption: str,
    label: str,
    unit: str,
    rows: Sequence[Sequence[str]],
    parts: Mapping[str, Sequence[float]],
    keys: Sequence[str] = ("point", "run"),
    colours: Sequence[tuple[str, str]] = tuple(zip(COLOURS, ON, strict=True)),
) -> Drawing:
    """A bar for each row, of parts whose sizes are written into them where there is room.

    `rows`: the values of `keys` in the CSV file, of which the first stands beside the bar.
    `colours`: of the parts, and of what is written on them.
    """
    points = [row[0] for row in rows]
    longest = float(np.sum([*parts.values()], axis=0).max())
    # Two digits of the longest bar, and whole numbers where they are long.
    digits = max(0, 1 - math.floor(math.log10(longest))) if longest > 0 else 0

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        left = np.zeros(len(points))
        for number, (part, sizes) in enumerate(parts.items()):
            colour, ink = colours[number % len(colours)]
            axes.barh(range(len(points)), sizes, 0.62, left=left, color=colour, label=part)
            for place, size in enumerate(sizes):
                if size >= 0.09 * longest:
                    axes.text(
                        left[place] + size / 2, place, f"{size:,.{digits}f}", ha="center",
                        va="center", color=ink, fontsize="small",
                    )  # fmt: skip
            left = left + np.asarray(sizes)
        _names(axes, points)
        axes.set_xlabel(f"{label} ({unit})", color=INK)
        legend(figure, axes)

    columns = [f"{part.replace(',', '').replace(' ', '_')}_{unit}" for part in parts]
    if unit == "µs":
        columns = [f"{part}_us" for part in parts]
    return draw(
        name, title, caption, _height(len(points)), paint,
        (*keys, *columns),
        [
            [*row, *(round(float(size), 4) for size in sizes)]
            for row, *sizes in zip(rows, *parts.values(), strict=True)
        ],
    )  # fmt: skip


def _named(runs: Sequence[Run]) -> list[tuple[str, str]]:
    return [(run["point"], run["run"]) for run in runs]


def micro_batch(runs: Sequence[Run]) -> Drawing:
    """Mean duration of the parts of a micro-batch, as Spark reports them."""
    parts = {
        words: [sum(run["batch_breakdown_ms"].get(name, 0.0) for name in names) for run in runs]
        for words, names in MICRO_BATCH.items()
    }
    known = np.sum([*parts.values()], axis=0)
    whole = np.asarray([run["batch_breakdown_ms"].get(_WHOLE, 0.0) for run in runs])
    parts["other"] = np.maximum(whole - known, 0.0).tolist()
    return stacked(
        "micro-batch", "Where a micro-batch spends its time",
        "Newest run of each point: mean over the counted micro-batches, from Spark's progress "
        "events.",
        "time per micro-batch", "ms", _named(runs), parts,
    )  # fmt: skip


def calls(runs: Sequence[Run]) -> Drawing:
    """Time that a worker spends on one image, in the two parts of a call."""
    words = {"convert": "convert bytes to arrays", "infer": "infer"}
    parts = {
        name: [run["call_breakdown_us_per_image"].get(key, 0.0) for run in runs]
        for key, name in words.items()
    }
    return stacked(
        "calls", "What a worker does with an image",
        "Newest run of each point: mean over all calls of the engine, one worker's wall-clock time.",
        "time per image", "µs", _named(runs), parts,
    )  # fmt: skip


def stages(runs: Sequence[Run], words: Mapping[str, str]) -> Drawing:
    """Wall-clock time of each stage of a run; `words`: the stages in order, and their names."""
    parts = {name: [run["stages_s"].get(key, 0.0) for run in runs] for key, name in words.items()}
    return stacked(
        "stages", "Where a run spends its time",
        "Newest run of each point. Measuring includes the wait for the agreed start. A later run "
        "may find Spark started and warm.",
        "wall-clock time", "s", _named(runs), parts,
    )  # fmt: skip
