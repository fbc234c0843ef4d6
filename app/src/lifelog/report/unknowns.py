"""What the paper's statements tell about its cluster: tables and corner plot (see `capacity.unknowns`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lifelog.capacity.unknowns import (
    CHOICES,
    KINDS,
    UNKNOWNS,
    Region,
    Unknown,
    Values,
    informed_bits,
    typical,
)
from lifelog.experiment.definition import Experiment
from lifelog.report.drawing import COLOURS, GRID, INK, SOFT, Drawing, draw

_QUANTILES = (0.1, 0.5, 0.9)
# Beyond these two claims favour, or stand against, each other.
_AGAINST, _FOR = 0.8, 1.25
# Of the unknowns, those that the corner plot shows beside the image and the slot.
_MOST_INFORMED = 4
# The statements tell nothing of an unknown that they narrow by less than this.
_TOLD_BITS = 0.015
_BINS = 20
# Shares of the region inside of each contour.
_INSIDE = (0.9, 0.5)
_SIXTEEN_SLOTS = "fig2/brokers-4_workers-4"


def slot_us(found: Region) -> Values:
    """Microseconds of a slot for an image, all in all, where 16 slots work; float64 (n,)."""
    return np.asarray(16e6 / found.rates[_SIXTEEN_SLOTS].images_per_s)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _three(values: Values) -> str:
    low, middle, high = np.quantile(values, _QUANTILES)
    return f"{_number(low)} | **{_number(middle)}** | {_number(high)}"


def _table(heads: str, lines: Sequence[str]) -> str:
    columns = heads.count("|") + 1
    return "\n".join([f"| {heads} |", "|" + "---|" * columns, *lines])


def claims_table(found: Region, experiments: Sequence[Experiment]) -> str:
    """How often each claim holds by itself, and how much of the region it costs."""
    lines = []
    for experiment in experiments:
        for claim in experiment.claims:
            without = found.others[claim.id] / max(1, len(found.kept))
            lines.append(
                f"| {claim.id} | {claim.text} | {found.alone[claim.id] / found.drawn:.0%} | "
                f"{without:.1f} |"
            )
    return _table("statement | | holds by itself | left without it, times what is left", lines)


def pulls(found: Region) -> str:
    """Pairs of claims that stand against each other or go together, strongest first."""
    pairs = sorted(found.together, key=lambda pair: found.pull(*pair))
    lines = [
        f"| {one} and {other} | {found.pull(one, other):.2f} |"
        for one, other in pairs
        if not _AGAINST < found.pull(one, other) < _FOR
    ]
    return _table("statements | how often both hold, over independence", lines)


def choices_table(found: Region) -> str:
    """Which reading of what the paper leaves open is left."""
    words = {
        "meaning": '"Kafka batch"',
        "acks": "acknowledgements waited for",
        "fig4_partitions": "partitions of Fig. 4",
    }
    lines = []
    for name, (first, second) in CHOICES.items():
        share = float(found.kept.chosen[name].mean())
        lines.append(f"| {words[name]} | {first}: {1 - share:.1%} | {second}: {share:.1%} |")
    return _table("not said | | ", lines)


def ranges_table(found: Region) -> str:
    """Of each unknown its range before, and the middle of what is left; most informed first.

    Those of which the statements tell nothing follow in one sentence.
    """
    lines, open_ones = [], []
    for own in _by_information(found):
        if informed_bits(own, found.kept.values[own.name]) < _TOLD_BITS:
            open_ones.append(
                f"{own.words} ({own.low:g} to {own.high:,g}{f' {own.unit}' * bool(own.unit)})"
            )
            continue
        values = found.kept.values[own.name]
        unit = f", {own.unit}" if own.unit else ""
        lines.append(
            f"| {own.words}{unit} | {own.low:g} to {own.high:,g} | {_three(values / own.scale)} | "
            f"{informed_bits(own, values):.2f} | {own.why} |"
        )
    table = _table("unknown | drawn from | 10 % | median | 90 % | bits | the ends stand for", lines)
    return f"{table}\n\nAs open as before: {'; '.join(open_ones)}."


def _by_information(found: Region) -> list[Unknown]:
    return sorted(UNKNOWNS, key=lambda own: -informed_bits(own, found.kept.values[own.name]))


def derived_table(found: Region) -> str:
    """What the region says of the cluster as a whole."""
    image = found.kept.values["image_bytes"]
    megabit = image * 8e-6
    rows: list[tuple[str, Values]] = [
        ("a slot's time for an image, us (16 slots at work)", slot_us(found)),
        ("images that 16 slots take, Mbit/s", found.rates[_SIXTEEN_SLOTS].images_per_s * megabit),
        ("images that 32 slots take, Mbit/s",
         found.rates["fig3/brokers-4_workers-4"].images_per_s * megabit),
        ("images/s of 32 slots, 4 brokers (Fig. 3)",
         found.rates["fig3/brokers-4_workers-4"].images_per_s),
        ("32 partitions, 4 workers: 4 brokers over 2 (Q4)",
         found.rates["fig3/brokers-4_workers-4"].images_per_s
         / found.rates["fig3/brokers-2_workers-4"].images_per_s),
        ("1 replica: 20 images a batch over 1 (Q5)", _over(found, (1, 20), (1, 1))),
        ("1 image a batch: 3 replicas over 1 (Q7)", _over(found, (3, 1), (1, 1))),
    ]  # fmt: skip
    lines = [f"| {words} | {_three(values)} |" for words, values in rows]
    return _table("| 10 % | median | 90 %", lines)


def _over(found: Region, of: tuple[int, int], over: tuple[int, int]) -> Values:
    one, other = (
        found.rates[f"fig4/replication-{copies}_images_per_record-{batch}"].images_per_s
        for copies, batch in (of, over)
    )
    return np.asarray(one / other)


def binding_table(found: Region) -> str:
    """What binds in the region at each point, by its share; points that bind alike in one line."""
    alike: dict[str, list[str]] = {}
    for name, own in found.rates.items():
        shares = np.bincount(own.binding, minlength=len(KINDS)) / max(1, len(own.binding))
        order = [int(at) for at in np.argsort(-shares) if shares[at] >= 0.05]
        text = ", ".join(f"{KINDS[at]} {shares[at]:.0%}" for at in order)
        alike.setdefault(text, []).append(_short(name))
    lines = [f"| {', '.join(points)} | {text} |" for text, points in alike.items()]
    return _table(
        "point | what binds, in which share of the region (shares under 5 % omitted)", lines
    )


def _short(name: str) -> str:
    """`fig2/brokers-1_workers-4` as `Fig. 2: 1 broker, 4 workers` in few letters."""
    figure, _, point = name.partition("/")
    one, other = (part.rpartition("-") for part in point.split("_", 1))
    letters = {"brokers": "B", "workers": "W", "replication": "R", "images_per_record": "batch "}
    return f"{figure[3:]}: {letters[one[0]]}{one[2]} {letters[other[0]]}{other[2]}"


def margins_table(regions: Sequence[Region]) -> str:
    """How much of what was drawn is left, for each share that counts as visible."""
    lines = [
        f"| {own.visible:.0%} | {own.drawn:,} | {len(own.kept):,} | {len(own.kept) / own.drawn:.2%} | "
        f"{1 - float(own.kept.chosen['meaning'].mean()):.1%} | "
        f"{float(own.kept.chosen['fig4_partitions'].mean()):.1%} | "
        f"{_binds(own, 'fig3/brokers-2_workers-4', 'link out of a broker'):.0%} |"
        for own in regions
    ]
    return _table(
        "visible from | drawn | left | share | bundled | 32 partitions in Fig. 4 | "
        "link out of a broker binds at 2 brokers, 4 workers (Fig. 3)",
        lines,
    )  # fmt: skip


def _binds(found: Region, point: str, kind: str) -> float:
    return float((found.rates[point].binding == KINDS.index(kind)).mean())


def typical_table(found: Region) -> str:
    """The cluster in the middle of the region, which a scale model can take."""
    at = typical(found.kept)
    lines = [
        f"| {own.words} | {_number(float(found.kept.values[own.name][at]) / own.scale)} {own.unit} |"
        for own in UNKNOWNS
    ]
    lines += [
        f"| {name.replace('_', ' ')} | {words[int(found.kept.chosen[name][at])]} |"
        for name, words in CHOICES.items()
    ]
    lines.append(f"| a slot's time for an image | {_number(float(slot_us(found)[at]))} us |")
    for name, own in found.rates.items():
        if name.endswith(("brokers-2_workers-4", "brokers-4_workers-4")):
            lines.append(f"| images/s, Fig. {_short(name)} | {own.images_per_s[at]:,.0f} |")
    return _table("unknown | this cluster", lines)


def page(regions: Sequence[Region], experiments: Sequence[Experiment]) -> dict[str, str]:
    """The tables by their marks; the first region is the one that is shown, the others vary the margin."""
    found = regions[0]
    return {
        "margins": margins_table(regions),
        "choices": choices_table(found),
        "derived": derived_table(found),
        "binding": binding_table(found),
        "claims": claims_table(found, experiments),
        "pulls": pulls(found),
        "ranges": ranges_table(found),
        "typical": typical_table(found),
    }


def _axes_of(found: Region) -> Iterator[tuple[str, Values, float, float]]:
    """Words, values and ends of each axis of the corner plot."""
    informed = [own for own in _by_information(found) if own.name != "image_bytes"]
    shown = [next(own for own in UNKNOWNS if own.name == "image_bytes"), *informed]
    for own in shown[: 1 + _MOST_INFORMED]:
        unit = f" ({own.unit})" if own.unit else ""
        yield f"{own.words}{unit}", found.kept.values[own.name] / own.scale, own.low, own.high
    values = slot_us(found)
    yield "slot, for an image (us)", values, float(values.min()), float(values.max())


def corner(found: Region) -> Drawing:
    """Each unknown by itself and against each other one; inside the contours 50 and 90 % of the region."""
    shown = list(_axes_of(found))

    def paint(figure: Figure) -> None:
        size = len(shown)
        table = figure.subplots(size, size, squeeze=False)
        for row, (words, values, low, high) in enumerate(shown):
            for column, (under, others, left, right) in enumerate(shown):
                axes = table[row][column]
                if column > row:
                    axes.set_axis_off()
                    continue
                axes.patch.set_visible(False)
                axes.set_xscale("log")
                axes.set_xlim(left, right)
                if column == row:
                    _alone(axes, values, low, high)
                else:
                    _pair(axes, (others, left, right), (values, low, high))
                _labels(axes, under if row == size - 1 else "", words if column == 0 < row else "")

    rows = np.stack([values for _, values, _, _ in shown], axis=1)
    return draw(
        "paper_unknowns", "What the paper's statements leave of its unknowns",
        f"{len(found.kept):,} of {found.drawn:,} clusters; contours hold 50 and 90 % of them, the "
        "dashed line is what was drawn.", 12.4, paint, [words for words, *_ in shown],
        [[float(f"{value:.4g}") for value in row] for row in rows[:2000]],
    )  # fmt: skip


def _labels(axes: Any, under: str, beside: str) -> None:
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.tick_params(colors=SOFT, which="both", labelsize=9)
    axes.tick_params(which="minor", labelbottom=False, labelleft=False)
    if under:
        axes.set_xlabel(under.replace(", ", ",\n"), color=INK, fontsize=9)
    else:
        axes.tick_params(labelbottom=False)
    if beside:
        axes.set_ylabel(beside.replace(", ", ",\n"), color=INK, fontsize=9)
    else:
        axes.tick_params(labelleft=False)


def _alone(axes: Any, values: Values, low: float, high: float) -> None:
    edges = np.geomspace(low, high, _BINS + 1)
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts, edges, fill=True, color=COLOURS[0], alpha=0.35)
    axes.axhline(len(values) / _BINS, color=SOFT, linestyle="--", linewidth=1)
    axes.set_yticks([])


def _pair(
    axes: Any, under: tuple[Values, float, float], beside: tuple[Values, float, float]
) -> None:
    # Imported late: it takes a second.
    from scipy.ndimage import gaussian_filter

    edges = [np.geomspace(low, high, _BINS + 1) for _, low, high in (under, beside)]
    counts, _, _ = np.histogram2d(under[0], beside[0], edges)
    smooth: NDArray[np.float64] = gaussian_filter(counts, 1.0)
    heights = np.sort(smooth.ravel())[::-1]
    inside = np.cumsum(heights) / heights.sum()
    centres = [np.sqrt(own[1:] * own[:-1]) for own in edges]
    axes.set_yscale("log")
    axes.set_ylim(beside[1], beside[2])
    for share in _INSIDE:
        level = float(heights[np.searchsorted(inside, share)])
        if level < heights[0]:
            axes.contourf(*centres, smooth.T, [level, heights[0]], colors=[COLOURS[0]], alpha=0.35)
