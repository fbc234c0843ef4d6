"""The report's figures: runs in, inline SVG out. Colours are set by the page, for light and dark."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("svg")
from matplotlib.figure import Figure

# Okabe and Ito's palette, readable with every colour vision, in light and dark.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Replaced by CSS variables in the SVG's text, so that the page's theme reaches the figures.
_INK = "#010203"
_GRID = "#040506"
SIZE_INCHES = (7.2, 3.4)


def _figure(xlabel: str, ylabel: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(xlabel, color=_INK)
    axes.set_ylabel(ylabel, color=_INK)
    axes.grid(color=_GRID, linewidth=0.6)
    axes.tick_params(colors=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(_INK)
    axes.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    return figure, axes


def _svg(figure: Figure, axes: Any, name: str, title: str) -> str:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=_INK)
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # Several figures share one page: their ids must not.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace(_INK, "var(--ink)").replace(_GRID, "var(--grid)")
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)


def throughput(runs: list[dict[str, Any]]) -> str:
    """Images/s of each micro-batch, from completion to completion, over the time since the start."""
    figure, axes = _figure("time since the agreed start (s)", "throughput (images/s)")
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        times = np.asarray(run["series"]["completed_s"], float)
        images = np.asarray(run["series"]["images"], float)
        if len(times) < 2:
            continue
        rates = images[1:] / np.maximum(np.diff(times), 1e-9)
        axes.step(times[1:], rates, where="pre", color=colour, label=run["run"])
        if run["throughput_images_per_s"] is not None:
            axes.axhline(run["throughput_images_per_s"], color=colour, linestyle=":", linewidth=1)
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_ylim(bottom=0)
    return _svg(figure, axes, "throughput", "Throughput over time")


def lag(runs: list[dict[str, Any]]) -> str:
    """Records in the topic that no finished micro-batch holds, over time."""
    figure, axes = _figure("time since the agreed start (s)", "lag (records)")
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        series = np.asarray(run["series"]["lag_records"], float).reshape(-1, 2)
        axes.plot(series[:, 0], series[:, 1], color=colour, label=run["run"])
    axes.set_ylim(bottom=0)
    return _svg(figure, axes, "lag", "Consumer lag over time")


def latency(runs: list[dict[str, Any]]) -> str:
    """Share of images processed within a latency; paced runs only."""
    figure, axes = _figure("latency from the scheduled send time (ms)", "images within it (%)")
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        histogram = np.asarray(run["latency_histogram"], float).reshape(-1, 2)
        if len(histogram):
            share = 100 * np.cumsum(histogram[:, 1]) / histogram[:, 1].sum()
            axes.step(histogram[:, 0], share, where="post", color=colour, label=run["run"])
    axes.set_ylim(0, 101)
    return _svg(figure, axes, "latency", "Latency distribution")


def breakdown(runs: list[dict[str, Any]]) -> str:
    """Mean duration of the parts of a micro-batch, as Spark reports them."""
    figure, axes = _figure("mean time per micro-batch (ms)", "")
    parts = sorted({part for run in runs for part in run["batch_breakdown_ms"]})
    height = 0.8 / max(1, len(runs))
    for number, (run, colour) in enumerate(zip(runs, COLOURS * len(runs), strict=False)):
        values = [run["batch_breakdown_ms"].get(part, 0.0) for part in parts]
        axes.barh(
            np.arange(len(parts)) + number * height, values, height, color=colour, label=run["run"]
        )
    axes.set_yticks(np.arange(len(parts)) + height * (len(runs) - 1) / 2, parts)
    axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    return _svg(figure, axes, "breakdown", "Parts of a micro-batch")
