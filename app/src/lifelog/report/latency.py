"""How late images are: percentiles of each paced run, as far as its micro-batches support them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator
from numpy.typing import NDArray

from lifelog.report.drawing import INK, SOFT, Drawing, Run, draw, grid, legend, line
from lifelog.stats.latency import required_batches

# Beyond 99 % each decade takes as much room as the one before: tails are what matters.
PERCENTILES = (
    *range(1, 90), *(90 + n / 4 for n in range(36)), *(99 + n / 40 for n in range(36)),
    *(99.9 + n / 400 for n in range(36)), 99.99,
)  # fmt: skip
_TICKS = (0, 50, 90, 99, 99.9, 99.99)


def supported(run: Run) -> NDArray[np.float64]:
    """The percentiles of PERCENTILES that a run's micro-batches support (rule V9), (n,).

    run.json says how many micro-batches its rate counts; latencies may come from a few more, so
    that this errs on the side of withholding.
    """
    batches = run["micro_batches"]
    kept = [own for own in PERCENTILES if required_batches(own) <= batches]
    printed = [float(name[1:]) for name, ms in run["latency_ms"].items() if ms is not None]
    highest = max(printed, default=0.0)
    known = {own for own in PERCENTILES if 50 <= own <= highest}
    return np.asarray(sorted({*kept, *known}), float)


def curve(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentiles (0 to 100) that are supported, and the latency (ms) of each, both (n,)."""
    histogram = np.asarray(run["latency_histogram"], float).reshape(-1, 2)
    wanted = supported(run)
    if not len(histogram) or not len(wanted):
        return np.zeros(0), np.zeros(0)
    share = 100 * np.cumsum(histogram[:, 1]) / histogram[:, 1].sum()
    place = np.searchsorted(share, wanted - 1e-9)
    return wanted, histogram[np.minimum(place, len(share) - 1), 0]


def _place(percentile: Any) -> Any:
    return -np.log10(1 - np.asarray(percentile, float) / 100)


def latency(runs: Sequence[Run]) -> Drawing:
    """Latency against percentile, for runs that have one."""
    curves = [curve(run) for run in runs]

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        highest, slowest = 90.0, 1.0
        for number, (run, (percentiles, values)) in enumerate(zip(runs, curves, strict=True)):
            if not len(percentiles):
                continue
            highest, slowest = max(highest, percentiles[-1]), max(slowest, values[-1])
            median = run["latency_ms"]["p50"]
            label = run["point"] if median is None else f"{run['point']}: median {median:,.0f} ms"
            style = line(number)
            axes.plot(_place(percentiles), values, label=label, **style)
            # Where the data end, not where the latencies do.
            axes.plot(
                _place(percentiles[-1:]), values[-1:], "|", color=style["color"], ms=14, mew=2
            )
        axes.axvline(_place(50), color=SOFT, linestyle="--", linewidth=1)
        ticks = [own for own in _TICKS if own <= highest * 1.001]
        axes.xaxis.set_major_locator(FixedLocator(_place(ticks).tolist()))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{own:g}" for own in ticks]))
        axes.set_xlim(0, max(1.05, float(_place(highest)) * 1.06))
        axes.set_ylim(0, 1.08 * slowest)
        axes.set_xlabel("share of the images (%)", color=INK)
        axes.set_ylabel("latency (ms)", color=INK)
        legend(figure, axes)

    return draw(
        "latency", "How late images are",
        "Latency from the scheduled send time to the prediction, within which a share of the "
        "images stayed; load on a schedule only. A curve ends (upright stroke) where a run has too "
        "few micro-batches to support its tail.",
        (3.6 + 0.05 * len(runs), 3.6 + 0.2 * len(runs)), paint,
        ("point", "run", "percentile", "latency_ms"),
        [
            [run["point"], run["run"], f"{percentile:g}", value]
            for run, (percentiles, values) in zip(runs, curves, strict=True)
            for percentile, value in zip(percentiles.tolist(), values.tolist(), strict=True)
        ],
    )  # fmt: skip
