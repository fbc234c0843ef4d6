"""The steps to a wished rate as a table, and as a plot of images/s over nodes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from lifelog.capacity.sizing import Nodes, Plan, Step
from lifelog.report.drawing import (
    COLOURS,
    INK,
    SOFT,
    Drawing,
    draw,
    grid,
    legend,
    marker,
    standalone,
)
from lifelog.report.predictions import SHORT
from lifelog.report.table import MOST_WIDTH, wrapped
from lifelog.results.prediction import Known

_MOST_LINES = 24
HEADINGS = ("brokers", "workers", "partitions", "images/s", "95 % interval", "binds")
MANAGERS = "the managers of Kafka and Spark, with the driver, have a machine of their own"


def show(found: Plan, known: Known, nodes: Nodes) -> None:
    """Print the steps, what the wish takes, and what the prediction rests on."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    console.width = min(console.width, MOST_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in HEADINGS:
        words = heading == "binds"
        table.add_column(heading, justify="left" if words else "right", no_wrap=not words)
    for step in _some(found.steps):
        table.add_row(*(_cells(step) if step is not None else ["..."] * len(HEADINGS)))
    console.print(table)
    for text in [*answer(found), *remarks(found, known, nodes)]:
        console.print(wrapped(text, console.width), markup=False, soft_wrap=True)


def _some(steps: tuple[Step, ...]) -> list[Step | None]:
    """All steps, or the first and last of many; each that another resource binds is kept."""
    if len(steps) <= _MOST_LINES:
        return list(steps)
    changed = [
        at
        for at in range(1, len(steps))
        if steps[at].binding.kind != steps[at - 1].binding.kind
    ]  # fmt: skip
    ends = {*range(6), *range(len(steps) - 6, len(steps)), *changed[:_MOST_LINES]}
    kept: list[Step | None] = []
    for at, step in enumerate(steps):
        if at in ends:
            kept.append(step)
        elif kept[-1] is not None:
            kept.append(None)
    return kept


def _cells(step: Step) -> list[str]:
    low, high = step.expected.low, step.expected.high
    return [
        str(step.brokers), str(step.workers), str(step.partitions),
        f"{step.expected.images_per_s:,.0f}", f"{low:,.0f} to {high:,.0f}", step.binding.resource,
    ]  # fmt: skip


def answer(found: Plan) -> list[str]:
    """What the wish takes: on average, and with the interval's lower end."""
    wish, texts = found.target_images_per_s, []
    for words, steps in (
        ("as likely as not", [s for s in found.steps if s.expected.images_per_s >= wish]),
        ("with 97.5 % confidence", [s for s in found.steps if s.expected.low >= wish]),
    ):
        if steps:
            own = steps[0]
            texts.append(
                f"{wish:,.0f} images/s, {words}: {_count(own.brokers, 'broker')}, "
                f"{_count(own.workers, 'worker')}, {own.partitions} partitions"
            )
    return texts


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def remarks(found: Plan, known: Known, nodes: Nodes) -> list[str]:
    """What the prediction rests on, and where it goes beyond that."""
    texts = [
        f"calibration: {known.directory}, {len(known.observations)} runs; predicted by the others, one is "
        f"off by {known.calibration.typical_error:.0%} (median)",
        f"nodes: {nodes.cores} cores of {nodes.speed:g} times the calibrated speed, "
        + (
            "links without limit"
            if nodes.link_bytes_per_s is None
            else f"{nodes.link_bytes_per_s * 8e-6:,.0f} Mbit/s each way"
        )
        + f", {_count(nodes.producers_per_broker, 'producer')} on each broker's; {MANAGERS}",
    ]
    if found.steps and found.steps[-1].extrapolated:
        texts.append(f"extrapolated: {', '.join(found.steps[-1].extrapolated)}")
    return texts


def plot(found: Plan) -> Drawing:
    """Images/s over nodes, with the interval; a marker for each resource that binds."""
    steps = found.steps
    kinds = list(dict.fromkeys(step.binding.kind for step in steps))

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        at = [step.nodes for step in steps]
        axes.fill_between(
            at, [s.expected.low for s in steps], [s.expected.high for s in steps],
            color=COLOURS[0], alpha=0.18, linewidth=0, label="95 % interval",
        )  # fmt: skip
        axes.plot(at, [s.expected.images_per_s for s in steps], color=COLOURS[0], linewidth=1.8)
        for number, kind in enumerate(kinds):
            own = [step for step in steps if step.binding.kind == kind]
            axes.plot(
                [s.nodes for s in own], [s.expected.images_per_s for s in own], marker(number),
                color=COLOURS[number % len(COLOURS)], markersize=7, label=f"{SHORT[kind]} binds",
            )  # fmt: skip
        axes.axhline(found.target_images_per_s, color=SOFT, linestyle="--", linewidth=1.4,
                     label="wish")  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlabel("nodes (brokers and workers)", color=INK)
        axes.set_ylabel("images/s", color=INK)
        legend(figure, axes)

    rows: list[list[Any]] = [
        [step.nodes, step.brokers, step.workers, step.partitions, step.expected.images_per_s,
         step.expected.low, step.expected.high, step.binding.resource] for step in steps
    ]  # fmt: skip
    return draw(
        "nodes", "Images per second over nodes",
        "By the capacity model; a node is added where it binds.", 4.6, paint,
        ("nodes", "brokers", "workers", "partitions", "images_per_s", "low", "high", "binding"),
        rows,
    )  # fmt: skip


def write_plot(path: Path, found: Plan) -> None:
    """Write the plot as an SVG file."""
    path.write_text(standalone(plot(found)), encoding="utf-8")
