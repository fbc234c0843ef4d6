"""The experiment's own figure, in the form of the paper: images/s over one factor, one series for
each level of another, a panel for each level of a third."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from lifelog.report.drawing import (
    COLOURS,
    INK,
    Drawing,
    draw,
    grid,
    is_narrow,
    legend,
    line,
    marker,
)

_LABELS = {
    "images_per_record": "images per Kafka message",
    "images_per_call": "images per call of the engine",
    "images_per_producer": "images per producer",
    "replication": "replication factor",
    "producer_batch_bytes": "producer's record batch (bytes)",
    "linger_ms": "producer's linger (ms)",
    "trigger_ms": "trigger interval (ms)",
    "target_rate": "target rate (images/s)",
    "emulated_call_ms": "emulated call (ms)",
    "emulated_image_us": "emulated image (us)",
    "emulated_record_us": "emulated record (us)",
    "time_dilation": "time dilation",
    "duration_s": "duration (s)",
    "batch_cap_s": "batch cap (s)",
    "client": "producer's client",
    "acks": "acks",
}


@dataclass(frozen=True, slots=True)
class Axes:
    """Factors of the figure; `series` and `panel` may be absent."""

    x: str
    series: str | None
    panel: str | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One point in the figure: its levels, mean with interval, and the rate of each valid run."""

    point: str
    x: Any
    series: Any
    panel: Any
    mean: float | None
    ci95: tuple[float, float] | None
    runs: tuple[tuple[str, float], ...]


def axes_of(figure: Any) -> Axes | None:
    """The `figure` key of a spec.json; None where it is absent or not understood."""
    if not isinstance(figure, Mapping) or not isinstance(figure.get("x"), str):
        return None
    others = [figure.get(name) for name in ("series", "panel")]
    if any(own is not None and not isinstance(own, str) for own in others):
        return None
    return Axes(figure["x"], *others)


def label(factor: str) -> str:
    """A factor as an axis names it, with its unit."""
    return _LABELS.get(factor, factor.replace("_", " "))


def cells(
    axes: Axes,
    points: Sequence[Mapping[str, Any]],
    rates: Mapping[str, Sequence[tuple[str, float]]],
) -> list[Cell] | str:
    """The points of a summary as cells of the figure; a sentence where they do not fit into it.

    `rates`: run and images/s of each valid run, by point.
    """
    found: list[Cell] = []
    for point in points:
        settings = {**(point.get("settings") or {}), **point["factors"]}
        if axes.x not in settings:
            return f"point {point['point']} has no {axes.x}, the figure's x axis"
        series, panel = (settings.get(own) if own else None for own in (axes.series, axes.panel))
        throughput = point["throughput_images_per_s"] or {}
        interval = throughput.get("ci95")
        found.append(
            Cell(
                point=point["point"],
                x=settings[axes.x],
                series=series,
                panel=panel,
                mean=throughput.get("mean"),
                ci95=tuple(interval) if interval else None,
                runs=tuple(rates.get(point["point"], ())),
            )
        )
    places = [json.dumps([own.x, own.series, own.panel], sort_keys=True) for own in found]
    for place in places:
        same = [own.point for own, at in zip(found, places, strict=True) if at == place]
        if len(same) > 1:
            return f"points {same[0]} and {same[1]} differ in a factor that it does not show"
    return found


def _levels(values: Sequence[Any]) -> list[Any]:
    """Distinct levels: numbers ascending, other values in their order."""
    distinct = list({json.dumps(value): value for value in values}.values())
    return sorted(distinct) if all(_is_number(value) for value in distinct) else distinct


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _name(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,g}" if _is_number(value) and abs(value) < 1e6 else str(value)


def paper_figure(axes: Axes, found: Sequence[Cell]) -> Drawing:
    """Means with 95 % intervals over the runs (where there are any), and each valid run as a dot."""
    xs, series, panels = (
        _levels([getattr(cell, name) for cell in found]) for name in ("x", "series", "panel")
    )
    wide = min(len(panels), 3)
    rows = math.ceil(len(panels) / wide)
    top = max([1.0, *(rate for cell in found for rate in _heights(cell))])

    def paint(figure: Figure) -> None:
        columns = 1 if is_narrow(figure) else wide
        places = grid(figure, math.ceil(len(panels) / columns), columns, share_y=True)
        for empty in places[len(panels) :]:
            empty.set_visible(False)
        for place, panel in zip(places, panels, strict=False):
            own = [cell for cell in found if cell.panel == panel]
            for number, level in enumerate(series):
                step = min(0.16, 0.7 / len(series))
                shift = (number - (len(series) - 1) / 2) * step
                cells_here = [cell for cell in own if cell.series == level]
                _series(place, cells_here, xs, number, level, (shift, 0.35 * step))
            if axes.panel:
                title = f"{label(axes.panel)}: {_name(panel)}"
                place.set_title(title, loc="left", color=INK, fontsize="medium", fontweight="bold")
            place.set_xticks(range(len(xs)), [_name(x) for x in xs])
            place.set_xlim(-0.5, len(xs) - 0.5)
            place.grid(visible=False, axis="x")
            place.set_ylim(0, 1.06 * top)
            place.tick_params(labelbottom=True)
        figure.supxlabel(label(axes.x), color=INK, fontsize="medium")
        figure.supylabel("throughput (images/s)", color=INK, fontsize="medium")
        if axes.series:
            legend(figure, places[0], title=label(axes.series))

    over = label(axes.x).split(" (")[0]
    return draw(
        "figure", f"Throughput over {over}", _caption(found),
        (1.2 + 3.6 * rows, 1.3 + 2.8 * len(panels)), paint,
        (
            "point", *(own for own in (axes.x, axes.series, axes.panel) if own), "valid_runs",
            "mean_images_per_s", "ci95_low_images_per_s", "ci95_high_images_per_s", "run",
            "throughput_images_per_s",
        ),
        [row for cell in found for row in _rows(axes, cell)],
    )  # fmt: skip


def _heights(cell: Cell) -> list[float]:
    """Everything of a cell that must be inside the axes (images/s)."""
    upper = [] if cell.ci95 is None else [cell.ci95[1]]
    return [*(rate for _, rate in cell.runs), *upper, *([] if cell.mean is None else [cell.mean])]


def _series(
    place: Any,
    own: list[Cell],
    xs: list[Any],
    number: int,
    level: Any,
    shifts: tuple[float, float],
) -> None:
    shift, beside = shifts
    at = {cell.point: xs.index(cell.x) + shift for cell in own}
    colour = COLOURS[number % len(COLOURS)]
    shown = sorted((cell for cell in own if cell.mean is not None), key=lambda c: at[c.point])
    # Between levels that are no numbers there is nothing to join.
    joined = line(number) if all(_is_number(x) for x in xs) else {"linestyle": "none"}
    place.plot(
        [at[cell.point] for cell in shown], [cell.mean for cell in shown],
        **{**joined, "color": colour, "linewidth": 1.5}, marker=marker(number), markersize=7,
        label=_name(level), zorder=3,
    )  # fmt: skip
    for cell in own:
        if cell.ci95 is not None and cell.mean is not None:
            below, above = cell.mean - cell.ci95[0], cell.ci95[1] - cell.mean
            place.errorbar(
                at[cell.point], cell.mean, [[below], [above]], color=colour, capsize=5,
                elinewidth=1.8, capthick=1.8, zorder=2,
            )  # fmt: skip
        # Beside the mean, which would hide them.
        place.plot(
            [at[cell.point] + beside] * len(cell.runs), [rate for _, rate in cell.runs], "o",
            color=colour, alpha=0.55, markersize=4.5, markeredgewidth=0, zorder=4,
        )  # fmt: skip
        if cell.mean is None:
            place.plot(
                at[cell.point], 0, "x", color=colour, markersize=9, markeredgewidth=2,
                clip_on=False, zorder=5,
            )  # fmt: skip


def _caption(found: Sequence[Cell]) -> str:
    counts = sorted({len(cell.runs) for cell in found if cell.runs})
    parts = ["Large: mean of the valid runs. Small: each valid run."]
    if any(cell.ci95 for cell in found):
        many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        parts.append(f"Bars: 95 % interval over runs ({many} a point), Student's t.")
    else:
        parts.append("No interval: short runs, or one run a point.")
    if any(cell.mean is None for cell in found):
        parts.append("Cross on the axis: no valid run.")
    return " ".join(parts)


def _rows(axes: Axes, cell: Cell) -> list[list[Any]]:
    levels = [
        _name(value).replace(",", "")
        for factor, value in (
            (axes.x, cell.x), (axes.series, cell.series), (axes.panel, cell.panel),
        )
        if factor
    ]  # fmt: skip
    interval = cell.ci95 or (None, None)
    head = [cell.point, *levels, len(cell.runs), cell.mean, *interval]
    return [[*head, run, rate] for run, rate in cell.runs] or [[*head, None, None]]
