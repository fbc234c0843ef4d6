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
# Ours: blocks this long, in micro-batches, when these are independent, and how much longer where
# they are correlated. Chosen by simulation so that intervals cover 93-97 % (about 60 batches
# without correlation, 300 at a lag-1 correlation of 0.8).
_BLOCK_BATCHES = 6.0
_BLOCK_BATCHES_PER_INFLATION = 1.2


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


def required_batches(correlation: float) -> int:
    """Micro-batches that an interval needs at a lag-1 correlation (of a series like AR(1))."""
    rho = min(max(correlation, 0.0), 0.99)
    inflation = rho / (1 - rho) ** 2
    return BLOCKS * math.ceil(_BLOCK_BATCHES + _BLOCK_BATCHES_PER_INFLATION * inflation - 1e-9)


def batch_means_interval(
    images: Sequence[float] | NDArray[Any],
    seconds: Sequence[float] | NDArray[Any],
    blocks: int = BLOCKS,
) -> tuple[float, float]:
    """95 % interval of sum(images) / sum(seconds) by the method of batch means.

    `images`, `seconds`: one entry per micro-batch, in order. The series is cut into `blocks` (10 or
    more) contiguous blocks, each a rate of its own; t(blocks - 1). (Law, Simulation Modeling and
    Analysis, 9.5.3.) ValueError where there are fewer than 10 blocks, or batches than blocks.
    """
    if blocks < BLOCKS or len(images) < blocks:
        raise ValueError(f"{len(images)} batches in {blocks} blocks: at least {BLOCKS} are needed")
    rates = block_rates(images, seconds, blocks)
    center = float(np.sum(images) / np.sum(seconds))
    half = t_quantile(blocks - 1) * float(rates.std(ddof=1)) / math.sqrt(blocks)
    return center - half, center + half


def block_rates(
    images: Sequence[float] | NDArray[Any], seconds: Sequence[float] | NDArray[Any], blocks: int
) -> NDArray[np.float64]:
    """Rates of contiguous blocks of nearly equal numbers of micro-batches, float64 (blocks,)."""
    edges = np.linspace(0, len(images), blocks + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.asarray(images, float), edges)
    return np.asarray(sums / np.add.reduceat(np.asarray(seconds, float), edges), np.float64)


def run_interval(images: Sequence[float], seconds: Sequence[float]) -> Interval:
    """The interval of one run, or the reason why the run is too short for one."""
    if len(images) < BLOCKS:
        return Interval(None, None, f"{len(images)} micro-batches make no {BLOCKS} blocks")
    each = np.asarray(images, float) / np.asarray(seconds, float)
    needed = required_batches(lag1_correlation(each / each.mean() if each.mean() else each))
    if len(images) < needed:
        return Interval(
            None,
            None,
            f"{len(images)} micro-batches are fewer than the {needed} that their correlation asks",
        )
    return Interval(*batch_means_interval(images, seconds))
