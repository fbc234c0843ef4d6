"""Several runs of one point, and two points compared: here the run is the unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lifelog.stats.student import t_quantile

# Fewer valid runs than this support no claim.
MIN_RUNS_FOR_CLAIM = 5


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """Mean of n runs with its 95 % interval; `ci95` is None where one run gives none."""

    mean: float
    n: int
    ci95: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Ratio:
    """How much faster one setting is than another: second / first."""

    ratio: float
    ci95: tuple[float, float] | None

    @property
    def differs(self) -> bool | None:
        """Whether the interval leaves out 1; None where there is no interval."""
        return None if self.ci95 is None else not self.ci95[0] <= 1 <= self.ci95[1]

    @property
    def verdict(self) -> str:
        """The comparison in words."""
        if self.ci95 is None:
            return "no interval"
        if not self.differs:
            return "no difference shown"
        return "faster" if self.ratio > 1 else "slower"


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """mean +- t(n-1) s / sqrt(n) of the runs' results; ValueError where there are none."""
    if not values:
        raise ValueError("no runs")
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return MeanInterval(mean, 1, None)
    half = t_quantile(n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return MeanInterval(mean, n, (mean - half, mean + half))


def ratio_interval(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Ratio of the geometric means of two settings' runs, second / first, with a 95 % interval.

    Welch's interval of the difference of the logarithms (degrees of freedom after Satterthwaite),
    taken back by exp(): rates are positive, and their errors relative. ValueError where a setting
    has no run or a rate is not positive.
    """
    if not first or not second or min(*first, *second) <= 0:
        raise ValueError("a ratio needs runs of both settings, all with a rate above 0")
    logs = [np.log(np.asarray(values, float)) for values in (first, second)]
    difference = float(logs[1].mean() - logs[0].mean())
    if min(len(first), len(second)) < 2:
        return Ratio(math.exp(difference), None)
    parts = [float(x.var(ddof=1)) / len(x) for x in logs]
    variance = sum(parts)
    if variance == 0:
        return Ratio(math.exp(difference), (math.exp(difference), math.exp(difference)))
    freedom = variance**2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, logs, strict=True))
    half = t_quantile(freedom) * math.sqrt(variance)
    return Ratio(math.exp(difference), (math.exp(difference - half), math.exp(difference + half)))
