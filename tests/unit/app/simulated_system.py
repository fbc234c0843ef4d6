"""A simulated pipeline of known rate: warm-up, correlated noise, and what a run makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from lifelog.stats.rate import required_batches, run_interval
from lifelog.stats.steady import steady_state

RATE = 1000.0
WARM_UP = 20


def series(
    seed: int,
    n: int,
    correlation: float = 0.0,
    ramp: int = 0,
    trend: float = 0.0,
    low: float = 0.3,
) -> NDArray[np.float64]:
    """Rates of n micro-batches: RATE with 10 % noise, AR(1); a ramp up from `low`; a trend."""
    noise = np.random.default_rng(seed).standard_normal(n + 200) * math.sqrt(1 - correlation**2)
    x = RATE * (1 + 0.1 * lfilter([1.0], [1.0, -correlation], noise)[200:])
    x[:ramp] *= np.linspace(low, 1, ramp)
    return np.asarray(x * (1 + trend * np.linspace(-0.5, 0.5, n)))


def demanded_run(seed: int, correlation: float) -> NDArray[np.float64]:
    """A run that warms up and is then as long as the rule demands, with room for a generous cut."""
    n = required_batches(correlation) + 2 * WARM_UP
    return series(seed, n, correlation, WARM_UP)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of trials: steady, of these with an interval, of these with RATE inside it."""

    correlation: float
    batches: int
    trials: int
    steady: float
    printed: float
    covered: float


def coverage(correlation: float, trials: int = 1000) -> Coverage:
    """What verification does with a run, over seeded trials: cut, test, interval of the rest."""
    steady = printed = covered = 0
    for seed in range(trials):
        x = demanded_run(seed, correlation)
        found = steady_state(x)
        if not found.steady:
            continue
        steady += 1
        rest = x[found.cut :]
        interval = run_interval(rest, np.ones(len(rest)))
        if interval.low is None or interval.high is None:
            continue
        printed += 1
        covered += interval.low <= RATE <= interval.high
    batches = required_batches(correlation)
    return Coverage(
        correlation, batches, trials, steady / trials, printed / steady, covered / printed
    )
