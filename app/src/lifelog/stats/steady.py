"""Is the series steady, and from where on (rule V8)? Warm-up is tested, not assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelog.stats.rate import block_inflation, corrected_correlation
from lifelog.stats.student import t_quantile

GROUP = 5
# Ours: fewer groups of five than this say nothing about where a warm-up ends.
MIN_GROUPS = 8
LEAST_TESTED = MIN_GROUPS * GROUP
# Ours: how many standard errors the front must differ from the rest to be called a warm-up.
_EVIDENCE = 2.5
# Ours: cut this share more, for the tail of a warm-up that is smaller than the noise.
_MARGIN = 1 / 3
_HALF_BLOCKS = 5
# Degrees of freedom of a variance from the successive differences of ten values, about 2 * 9**2 / 26.
_FREEDOM = 6
# Ours: with the cuts, a sound run is thrown away in less than one case of twenty.
_LEVEL = 0.975
# Ours: what is more correlated than this is a drift, and no noise that could excuse one.
_MOST_CORRELATION = 0.9
# Ours: a pause between two completions this many times the usual one is a stall; one that the end cuts
# off is also held against the longest.
STALL_GAPS = 5.0
_STALL_LONGEST = 2.0


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

    MSER-5: minimise sum((y - mean)**2) / m**2 over the m means of five that are left, at least half
    of all. (White, "An effective truncation heuristic for bias reduction in simulation output",
    1997; White, Cobb, Spratt 2000.) Of cuts that score alike the earliest is taken: a variance of m
    values has a relative standard error of sqrt(2 / m), and the least of many is often late by
    chance. One group more is cut, which may hold the end of the warm-up: more than half in all
    where the least score stands at the half. ValueError where there are fewer than MIN_GROUPS
    groups of five.
    """
    groups = len(series) // GROUP
    if groups < MIN_GROUPS:
        raise ValueError(f"{len(series)} values are fewer than {LEAST_TESTED}")
    # A remainder stands at the front, where a warm-up would be.
    spare = len(series) - groups * GROUP
    y = np.asarray(series, float)[spare:].reshape(groups, GROUP).mean(axis=1)
    y -= y.mean()
    left = np.arange(groups, 0, -1)
    sums, squares = (np.cumsum(values[::-1])[::-1] for values in (y, y**2))
    scores = ((squares - sums**2 / left) / left**2)[: groups - groups // 2 + 1]
    least = int(scores.argmin())
    # Numbers that are equal but for rounding have no best cut: the first will do.
    alike = scores[least] * (1 + math.sqrt(2 / left[least])) + 1e-12 * squares[0] / groups**2
    best = int(np.flatnonzero(scores <= alike)[0])
    return (best + 1) * GROUP + spare if best else 0


def warm_up(series: NDArray[np.float64]) -> int:
    """MSER-5's cut and a third more, where what it cuts differs from the rest beyond noise; else 0.

    The cut that leaves the least variance is often one of a steady series, by chance. Taken as it
    is, it picks the quietest part of such a run, whose interval then covers too little, and throws
    away what the interval needs.
    """
    cut = mser5(series)
    if not cut:
        return 0
    n, rest = len(series), series[cut:]
    rho = min(max(corrected_correlation(rest), 0.0), _MOST_CORRELATION)
    # Variance of a long mean of an AR(1) series, times its length.
    variance = float(rest.var(ddof=1)) * (1 + rho) / (1 - rho)
    spread = math.sqrt(variance * (1 / cut + 1 / (n - cut)))
    difference = abs(float(series[:cut].mean() - rest.mean()))
    if difference <= _EVIDENCE * spread + _tolerance(series):
        return 0
    return cut + int(cut * _MARGIN)


def steady_state(series: Sequence[float] | NDArray[np.float64]) -> Steady:
    """Cut the warm-up, then compare the halves of what is left.

    `series`: one value per micro-batch (its rate, or its mean latency), in order.
    """
    x = np.asarray(series, float)
    if len(x) < LEAST_TESTED:
        return Steady(0, f"{len(x)} micro-batches are too few to test, {LEAST_TESTED} are needed")
    cut = warm_up(x)
    if cut > len(x) / 2:
        return Steady(cut, f"warm-up takes {cut} of {len(x)} micro-batches, more than half")
    rest = x[cut:]
    middle = len(rest) // 2
    halves = [_block_means(rest[:middle]), _block_means(rest[middle:])]
    difference = float(halves[1].mean() - halves[0].mean())
    if abs(difference) > _half_width(rest, np.concatenate(halves)) + _tolerance(rest):
        first = float(halves[0].mean())
        share = difference / first if first else math.inf
        return Steady(cut, f"no steady state: the second half differs by {share:+.1%}")
    return Steady(cut, None)


def _half_width(series: NDArray[np.float64], blocks: NDArray[np.float64]) -> float:
    """Half-width of the interval of the difference of halves, from the means of their blocks.

    A step or a trend must not hide itself by passing for noise. So the variance of blocks comes
    from their successive differences, of which a step concerns one (von Neumann et al., "The mean
    square successive difference", 1941), and the correlation is a mean over parts of the series.
    """
    variance = float(np.mean(np.diff(blocks) ** 2)) / 2
    parts = np.array_split(series, _HALF_BLOCKS)
    rho = float(np.mean([corrected_correlation(part) for part in parts]))
    variance *= block_inflation(min(rho, _MOST_CORRELATION), len(series) / len(blocks))
    return t_quantile(_FREEDOM, _LEVEL) * math.sqrt(variance * 2 / _HALF_BLOCKS)


def _tolerance(series: NDArray[np.float64]) -> float:
    """Equal numbers differ by rounding when averaged."""
    return 1e-9 * abs(float(series.mean()))


def _block_means(series: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([block.mean() for block in np.array_split(series, _HALF_BLOCKS)])


def final_stall(completed_s: Sequence[float] | NDArray[np.float64], end_s: float) -> float | None:
    """Seconds up to the end of the load in which nothing completed, where that is a stall; else None.

    `completed_s`: completions of the micro-batches up to `end_s`, ascending. The micro-batch that is in
    progress at the end completes afterwards, so some time without a completion is normal. That it does
    complete excuses no longer pause: one that stopped and went on while the rest drained does too.
    """
    gaps = np.diff(np.asarray(completed_s, float))
    if not len(gaps):
        return None
    pause = end_s - float(completed_s[-1])
    allowed = min(_STALL_LONGEST * float(gaps.max()), STALL_GAPS * float(np.median(gaps)))
    return pause if pause > allowed else None
