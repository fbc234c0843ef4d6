"""Is the series steady, and from where on (METHOD V8)? Warm-up is tested, not assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelog.stats.student import t_quantile

GROUP = 5
# Ours: fewer groups of five than this say nothing about where a warm-up ends.
MIN_GROUPS = 8
# The last groups are never the whole of what is left: few values agree by chance.
_KEPT_GROUPS = 4
# Ours: scores this much above the least count as alike.
_ALIKE = 0.2
_HALF_BLOCKS = 5
# Ours: a sound run is not thrown away once in twenty times.
_LEVEL = 0.99


@dataclass(frozen=True, slots=True)
class Steady:
    """`cut`: micro-batches of warm-up at the front; `reason`: why it is not steady, else None."""

    cut: int
    reason: str | None

    @property
    def steady(self) -> bool:
        """Whether what is left after the cut is in a steady state."""
        return self.reason is None


def mser5(series: Sequence[float] | NDArray[np.float64]) -> int:
    """Values to cut at the front so that the mean of the rest is known best.

    MSER-5: minimise sum((y - mean)**2) / m**2 over the m means of five that are left. (White, "An
    effective truncation heuristic for bias reduction in simulation output", 1997; White, Cobb,
    Spratt 2000.) Of cuts that score nearly alike the earliest is taken: the least score alone often
    cuts steady series late, by chance, and their intervals then cover too little. ValueError where
    there are fewer than MIN_GROUPS groups of five.
    """
    groups = len(series) // GROUP
    if groups < MIN_GROUPS:
        raise ValueError(f"{len(series)} values are fewer than {MIN_GROUPS * GROUP}")
    # A remainder stands at the front, where a warm-up would be.
    spare = len(series) - groups * GROUP
    y = np.asarray(series, float)[spare:].reshape(groups, GROUP).mean(axis=1)
    scores = np.array(
        [
            float(np.sum((y[cut:] - y[cut:].mean()) ** 2)) / (groups - cut) ** 2
            for cut in range(groups - _KEPT_GROUPS + 1)
        ]
    )
    best = int(np.flatnonzero(scores <= scores.min() * (1 + _ALIKE))[0])
    if not best:
        return 0
    # The group after the cut may still hold the end of the warm-up.
    return (best + 1) * GROUP + spare


def steady_state(series: Sequence[float] | NDArray[np.float64]) -> Steady:
    """Cut the warm-up, then compare the halves of what is left.

    `series`: one value per micro-batch (its rate, or its mean latency), in order.
    """
    x = np.asarray(series, float)
    if len(x) < MIN_GROUPS * GROUP:
        return Steady(
            0, f"{len(x)} micro-batches are too few to test, {MIN_GROUPS * GROUP} are needed"
        )
    cut = mser5(x)
    if cut > len(x) / 2:
        return Steady(cut, f"warm-up takes {cut} of {len(x)} micro-batches, more than half")
    rest = x[cut:]
    middle = len(rest) // 2
    first, second = _block_means(rest[:middle]), _block_means(rest[middle:])
    difference = float(second.mean() - first.mean())
    spread = math.sqrt(_noise_variance(first, second) * 2 / _HALF_BLOCKS)
    half_width = t_quantile(2 * (_HALF_BLOCKS - 1), _LEVEL) * spread
    # Equal numbers differ by rounding when averaged.
    tolerance = 1e-9 * abs(float(rest.mean()))
    if abs(difference) > half_width + tolerance:
        share = difference / float(first.mean()) if first.mean() else math.inf
        return Steady(cut, f"no steady state: the second half differs by {share:+.1%}")
    return Steady(cut, None)


def _noise_variance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Variance of a block's mean, without what sets the halves apart.

    A step between the halves is no noise, and neither is a trend through both, which would hide
    itself by spreading the blocks of each half: the smaller of the two estimates is taken.
    """
    within_halves = float(first.var(ddof=1) + second.var(ddof=1)) / 2
    blocks = np.concatenate([first, second])
    place = np.arange(len(blocks), dtype=float)
    residuals = blocks - np.polyval(np.polyfit(place, blocks, 1), place)
    around_a_line = float(residuals @ residuals) / (len(blocks) - 2)
    return min(within_halves, around_a_line)


def _block_means(series: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([block.mean() for block in np.array_split(series, _HALF_BLOCKS)])
