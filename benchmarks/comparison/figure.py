"""The figure: every round of every peer as a share of bare Chainer in the same round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure

from comparison.registry import BARE, PEERS
from comparison.summary import Round, ratios
from lifelog.report.drawing import COLOURS, INK, Drawing, draw, grid, legend, marker

FIGURES = {
    "images_per_s": "images/s",
    "images_per_worker_cpu_s": "images per CPU-second of the workers",
}
_APART = 0.18


def shares(rounds: Sequence[Round], names: Sequence[str]) -> Drawing:
    """A row for each peer: its rounds as dots, their median as a line."""
    shown = [name for name in names if name != BARE]
    found = {
        name: {figure: ratios(rounds, name, BARE, figure) for figure in FIGURES} for name in shown
    }

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        for number, (key, label) in enumerate(FIGURES.items()):
            colour = COLOURS[number]
            for place, name in enumerate(shown):
                dots = found[name][key]
                at = place + (number - 0.5) * 2 * _APART
                axes.plot(
                    dots, [at] * len(dots), marker(number), color=colour, alpha=0.45, markersize=7,
                    markeredgewidth=0, label=label if place == 0 else None, linestyle="none",
                )  # fmt: skip
                if dots:
                    median = statistics.median(dots)
                    axes.vlines(median, at - _APART, at + _APART, color=colour, linewidth=2.4)
        axes.axvline(1.0, color=INK, linewidth=1.2, linestyle="--")
        axes.set_yticks(range(len(shown)), [PEERS[name].title for name in shown])
        axes.set_ylim(len(shown) - 0.45, -0.55)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.set_xlabel("share of bare Chainer in the same round", color=INK)
        legend(figure, axes)

    rows = [[name, key, share] for name in shown for key in FIGURES for share in found[name][key]]
    return draw(
        "peers", "The same images and network, by what carries them",
        "Dots are rounds, lines their medians; the dashed line is bare Chainer.",
        1.4 + 0.6 * len(shown), paint, ("peer", "figure", "share_of_bare"), rows,
    )  # fmt: skip
