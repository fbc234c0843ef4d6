"""The rate of one run, and its interval.

Rate = images / time between micro-batch completions, never the mean of per-second rates, nor
Spark's `processedRowsPerSecond` (which leaves out idle time).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog.stats.student import t_quantile

BLOCKS = 10
# Ours: micro-batches that an interval needs where these are independent, and more where they are
# correlated: 60, 75 and 300 at lag-1 correlations of 0, 0.5 and 0.8. Chosen by simulation.
_LEAST_BATCHES = 60
_BATCHES_PER_ODDS = 15
_MOST_CORRELATION = 0.99
# One-sided 95 % quantile of the normal distribution.
_Z_95 = 1.645


@dataclass(frozen=True, slots=True)
class Rate:
    """Images per second over `seconds`, from `batches` micro-batches."""

    images_per_s: float
    seconds: float
    batches: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval, or why there is none (`low` and `high` are then None)."""

    low: float | None
    high: float | None
    absent_because: str | None = None


def completion_rate(completed_s: Sequence[float], images: Sequence[int]) -> Rate | None:
    """Rate from micro-batch completion times (s, ascending) and images, one of each per batch.

    The first batch only starts the clock: its images were under way before. None where fewer than
    two batches completed, or at one instant.
    """
    if len(completed_s) < 2 or completed_s[-1] <= completed_s[0]:
        return None
    seconds = float(completed_s[-1] - completed_s[0])
    return Rate(float(sum(images[1:])) / seconds, seconds, len(completed_s) - 1)


def lag1_correlation(series: Sequence[float] | NDArray[Any]) -> float:
    """Correlation of a series with itself one step later; 0 where the series is constant."""
    x = np.asarray(series, float)
    if len(x) < 3:
        return 0.0
    x = x - x.mean()
    power = float(x @ x)
    # A constant series leaves rounding errors; these must not count as correlation.
    if power <= 1e-18 * len(x):
        return 0.0
    return float(x[1:] @ x[:-1]) / power


def corrected_correlation(series: Sequence[float] | NDArray[Any]) -> float:
    """Lag-1 correlation without the bias of a short series, at most 0.99.

    The plain estimate expects rho - (1 + 4 rho) / n in an AR(1) series of n values (Marriott and
    Pope, Biometrika 41, 1954): taken as it is, it makes intervals too narrow.
    """
    n = len(series)
    if n <= 4:
        return 0.0
    raw = lag1_correlation(series)
    return min((n * raw + 1) / (n - 4), _MOST_CORRELATION) if raw else 0.0


def required_batches(correlation: float) -> int:
    """Micro-batches that an interval needs at a lag-1 correlation (of a series like AR(1))."""
    rho = min(max(correlation, 0.0), _MOST_CORRELATION)
    return math.ceil(_LEAST_BATCHES + _BATCHES_PER_ODDS * (rho / (1 - rho)) ** 2 - 1e-9)


def block_inflation(correlation: float, length: float) -> float:
    """By what to multiply the variance of block means so that blocks count as independent.

    Neighbouring blocks of an AR(1) series share noise, and more so the shorter they are: the mean
    of `length` values varies by v / length * (1 - 2 rho (1 - rho**length) / (length (1 - rho**2))),
    where v / length is what it would add to the variance of a long mean. (Law, Simulation Modeling
    and Analysis, 4.4.) 1 for no or negative correlation; ValueError for 1 or more.
    """
    if correlation >= 1:
        raise ValueError(f"a correlation is below 1, not {correlation}")
    rho = max(correlation, 0.0)
    return float(1 / (1 - 2 * rho * (1 - rho**length) / (length * (1 - rho**2))))


def batch_means_interval(
    images: Sequence[float] | NDArray[Any],
    seconds: Sequence[float] | NDArray[Any],
    blocks: int = BLOCKS,
) -> tuple[float, float]:
    """95 % interval of sum(images) / sum(seconds) by the method of batch means.

    `images`, `seconds`: one entry per micro-batch, in order. The series is cut into `blocks` (10 or
    more) contiguous blocks, each a rate of its own; t(blocks - 1). (Law, Simulation Modeling and
    Analysis, 9.5.3.) The noise that neighbouring blocks share is allowed for by block_inflation.
    ValueError where there are fewer than 10 blocks, or batches than blocks.
    """
    if blocks < BLOCKS or len(images) < blocks:
        raise ValueError(f"{len(images)} batches in {blocks} blocks: at least {BLOCKS} are needed")
    rates = block_rates(images, seconds, blocks)
    center = float(np.sum(images) / np.sum(seconds))
    variance = float(rates.var(ddof=1)) / blocks
    variance *= block_inflation(_correlation(images, seconds), len(images) / blocks)
    half = t_quantile(blocks - 1) * math.sqrt(variance)
    return center - half, center + half


def block_rates(
    images: Sequence[float] | NDArray[Any], seconds: Sequence[float] | NDArray[Any], blocks: int
) -> NDArray[np.float64]:
    """Rates of contiguous blocks of nearly equal numbers of micro-batches, float64 (blocks,)."""
    edges = np.linspace(0, len(images), blocks + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.asarray(images, float), edges)
    return np.asarray(sums / np.add.reduceat(np.asarray(seconds, float), edges), np.float64)


def _correlation(
    images: Sequence[float] | NDArray[Any], seconds: Sequence[float] | NDArray[Any]
) -> float:
    each = np.asarray(images, float) / np.asarray(seconds, float)
    # Relative, so that "constant" means the same for any rate.
    return corrected_correlation(each / each.mean() if each.mean() else each)


def run_interval(
    images: Sequence[float] | NDArray[Any], seconds: Sequence[float] | NDArray[Any]
) -> Interval:
    """The interval of one run, or the reason why the run is too short for one.

    A run is too short where its correlation is shown to ask for more, by the lower 95 % bound of
    the estimate. The estimate itself would refuse half of the runs of just the right length, and
    keep those whose correlation came out low by chance: their intervals are too narrow.
    """
    n = len(images)
    if n < BLOCKS:
        return Interval(None, None, f"{n} micro-batches make no {BLOCKS} blocks")
    rho = _correlation(images, seconds)
    needed = required_batches(rho - _Z_95 * math.sqrt(max(1 - rho**2, 0.0) / n))
    if n < needed:
        return Interval(
            None, None, f"{n} micro-batches are fewer than the {needed} that their correlation asks"
        )
    return Interval(*batch_means_interval(images, seconds))
