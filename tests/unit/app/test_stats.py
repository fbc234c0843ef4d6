"""The statistics on simulated systems whose rate is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lifelog.stats import latency, rate, runs, steady


def series(
    seed: int, n: int, correlation: float = 0.0, ramp: int = 0, trend: float = 0.0
) -> NDArray[np.float64]:
    """Rates of micro-batches around 1,000 with 10 % noise, AR(1), a linear ramp-up, a trend."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal(n + 50) * math.sqrt(1 - correlation**2)
    for i in range(1, len(noise)):
        noise[i] += correlation * noise[i - 1]
    x = 1000 * (1 + 0.1 * noise[50:])
    x[:ramp] *= np.linspace(0.3, 1, ramp)
    return np.asarray(x * (1 + trend * np.linspace(-0.5, 0.5, n)))


def test_rate_is_images_over_time_between_completions() -> None:
    found = rate.completion_rate([10.0, 11.0, 14.0], [999, 100, 300])
    assert found == rate.Rate(100.0, 4.0, 2)
    assert rate.completion_rate([10.0], [5]) is None
    assert rate.completion_rate([10.0, 10.0], [5, 5]) is None


def test_an_interval_asks_for_more_batches_where_they_are_correlated() -> None:
    lengths = [rate.required_batches(rho) for rho in (-0.5, 0.0, 0.5, 0.8)]
    assert lengths == [60, 60, 90, 300]


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_intervals_cover_the_true_rate(correlation: float) -> None:
    n, hits = rate.required_batches(correlation), 0
    for seed in range(300):
        low, high = rate.batch_means_interval(series(seed, n, correlation), np.ones(n))
        hits += low <= 1000 <= high
    # Three standard errors of 300 trials are 3.8 %.
    assert 0.89 <= hits / 300 <= 0.99


def test_a_short_or_correlated_run_prints_no_interval() -> None:
    few = rate.run_interval([1.0] * 9, [1.0] * 9)
    assert few.low is None
    assert "9 micro-batches" in str(few.absent_because)
    correlated = series(1, 60, 0.9)
    assert rate.run_interval(correlated.tolist(), [1.0] * 60).low is None
    enough = rate.run_interval(series(1, 200).tolist(), [1.0] * 200)
    assert enough.low is not None
    assert enough.low < np.mean(series(1, 200)) < (enough.high or 0)
    assert rate.run_interval([5.0] * 60, [1.0] * 60).low == 5.0
    with pytest.raises(ValueError, match="at least 10"):
        rate.batch_means_interval([1.0] * 20, [1.0] * 20, 9)


def test_a_warm_up_is_cut_and_a_steady_series_passes() -> None:
    cuts = [steady.mser5(series(seed, 120, ramp=20)) for seed in range(50)]
    assert np.median(cuts) >= 15
    passed = [steady.steady_state(series(seed, 120, 0.3)).steady for seed in range(100)]
    assert sum(passed) >= 80
    assert steady.steady_state([7.0] * 60) == steady.Steady(0, None)


def test_a_trend_a_stall_and_an_endless_warm_up_are_no_steady_state() -> None:
    trends, stalls = [], []
    for seed in range(20):
        trends.append(steady.steady_state(series(seed, 200, trend=0.5)).steady)
        stalled = series(seed, 200)
        stalled[120:] *= 0.7
        stalls.append(steady.steady_state(stalled).steady)
    assert sum(trends) <= 2
    assert not any(stalls)
    assert not steady.steady_state(np.linspace(1, 2, 60)).steady
    endless = steady.steady_state(series(0, 100, ramp=90))
    assert "more than half" in str(endless.reason)


def test_too_few_batches_cannot_be_tested() -> None:
    assert "too few" in str(steady.steady_state([1.0] * 39).reason)
    with pytest.raises(ValueError, match="fewer than"):
        steady.mser5([1.0] * 39)


def pack(*pairs: tuple[int, int]) -> bytes:
    return np.array(pairs, "<i4").tobytes()


def test_histograms_are_merged_not_averaged() -> None:
    merged = latency.merge([pack((100, 98)), b"", pack((100, 1), (5000, 1))])
    assert merged.tolist() == [[100, 99], [5000, 1]]
    found = latency.percentiles(merged, 300, (50.0, 99.0, 99.5))
    assert found["p50"].value_ms == found["p99"].value_ms == 100
    assert found["p99.5"].value_ms is None
    with pytest.raises(ValueError, match="between"):
        latency.required_batches(100)


def test_percentiles_have_three_significant_figures() -> None:
    random = np.random.default_rng(0)
    values, counts = np.unique(random.integers(0, 20_000, 50_000), return_counts=True)
    found = latency.percentiles(np.stack([values, counts], 1), 1000)
    exact = np.repeat(values, counts)
    for name, q in (("p50", 50), ("p99", 99)):
        assert found[name].value_ms == pytest.approx(np.percentile(exact, q), rel=2e-3)


def test_a_percentile_needs_enough_micro_batches() -> None:
    assert [latency.required_batches(p) for p in (50, 90, 99)] == [6, 29, 299]
    found = latency.percentiles(latency.merge([pack((100, 10_000))]), 30)
    assert found["p50"].value_ms == 100
    assert found["p99"].value_ms is None
    assert "30 micro-batches" in str(found["p99"].absent_because)
    empty = latency.percentiles(latency.merge([]), 300)
    assert empty["p50"].absent_because == "no latency was recorded"


def test_a_broken_or_impossible_latency_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        latency.merge([b"1234"])
    with pytest.raises(ValueError, match="below 1"):
        latency.merge([pack((5, 0))])
    for value in (-3, latency.HIGHEST_MS + 1):
        with pytest.raises(ValueError, match="impossible"):
            latency.percentiles(latency.merge([pack((value, 1))]), 300)


def test_runs_are_the_unit_across_repetitions() -> None:
    found = runs.mean_interval([9.0, 10.0, 11.0])
    assert found.mean == 10
    assert found.ci95 == pytest.approx((10 - 2.4841, 10 + 2.4841), abs=1e-3)
    assert runs.mean_interval([9.0]).ci95 is None
    with pytest.raises(ValueError, match="no runs"):
        runs.mean_interval([])


def test_two_settings_are_compared_by_the_interval_of_their_ratio() -> None:
    base = [100.0, 101.0, 99.0, 100.5, 99.5]
    assert runs.ratio_interval(base, [2 * x for x in base]).verdict == "faster"
    assert runs.ratio_interval(base, [x / 2 for x in base]).verdict == "slower"
    alike = runs.ratio_interval(base, [100.2, 99.0, 101.5, 99.8, 100.1])
    assert alike.verdict == "no difference shown"
    assert runs.ratio_interval([100.0], base).verdict == "no interval"
    assert runs.ratio_interval([2.0, 2.0], [4.0, 4.0]).ci95 == (2, 2)
    with pytest.raises(ValueError, match="above 0"):
        runs.ratio_interval(base, [0.0])


def test_the_ratio_interval_covers_the_true_ratio() -> None:
    random, hits = np.random.default_rng(5), 0
    for _ in range(300):
        first, second = random.normal(100, 5, 5), random.normal(120, 8, 5)
        low, high = runs.ratio_interval(first.tolist(), second.tolist()).ci95 or (0, 0)
        hits += low <= 1.2 <= high
    assert 0.91 <= hits / 300 <= 0.99
