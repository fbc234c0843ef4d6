"""The statistics on simulated systems whose rate is known."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_system import series

from lifelog.stats import latency, rate, runs, steady


def test_rate_is_images_over_time_between_completions() -> None:
    found = rate.completion_rate([10.0, 11.0, 14.0], [999, 100, 300])
    assert found == rate.Rate(100.0, 4.0, 2)
    assert rate.completion_rate([10.0], [5]) is None
    assert rate.completion_rate([10.0, 10.0], [5, 5]) is None


def test_an_interval_asks_for_more_batches_where_they_are_correlated() -> None:
    lengths = [rate.required_batches(rho) for rho in (-0.5, 0.0, 0.5, 0.8)]
    assert lengths == [60, 60, 75, 300]


def test_the_correlation_of_a_short_series_is_not_biased() -> None:
    found = [rate.corrected_correlation(series(seed, 60, 0.5)) for seed in range(400)]
    raw = [rate.lag1_correlation(series(seed, 60, 0.5)) for seed in range(400)]
    assert abs(np.mean(found) - 0.5) < 0.02 < 0.5 - np.mean(raw)
    assert rate.corrected_correlation([3.0] * 60) == rate.corrected_correlation([1, 2, 3, 4]) == 0


def test_blocks_that_share_noise_are_worth_less() -> None:
    assert rate.block_inflation(-0.4, 6) == rate.block_inflation(0, 6) == 1
    # Two values of correlation 0.5: a mean of them varies by 0.75, a long mean by 3 / 2.
    assert rate.block_inflation(0.5, 2) == pytest.approx(1.5 / 0.75)
    assert rate.block_inflation(0.8, 1000) == pytest.approx(1, abs=0.01)
    with pytest.raises(ValueError, match="below 1"):
        rate.block_inflation(1.0, 6)


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


def test_a_series_without_noise_is_judged_by_its_shape() -> None:
    assert steady.steady_state([7.0] * 60) == steady.Steady(0, None)
    assert steady.steady_state([0.0] * 60) == steady.Steady(0, None)
    step = steady.steady_state([7.0] * 75 + [5.0] * 25)
    assert step == steady.Steady(0, "no steady state: the second half differs by -14.3%")
    warm = steady.steady_state([3.0] * 10 + [7.0] * 90)
    assert warm == steady.Steady(20, None)
    endless = np.concatenate([np.linspace(3, 7, 60), np.full(40, 7.0)])
    assert "more than half" in str(steady.steady_state(endless).reason)
    assert not steady.steady_state(np.linspace(1, 2, 60)).steady


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


@pytest.mark.parametrize(
    ("gaps", "pause", "stalled"),
    [
        ([1.0] * 20, 2.0, False),
        ([1.0] * 20, 2.1, True),
        # One was longer than the others: the last may be, too.
        ([1.0] * 19 + [2.0], 4.0, False),
        # Half a minute was a stall already, and excuses none.
        ([1.0] * 19 + [30.0], 5.5, True),
        ([4.0, 5.0, 6.2, 7.8], 9.7, False),
        ([], 100.0, False),
    ],
)
def test_a_pause_at_the_end_is_held_against_those_before(
    gaps: list[float], pause: float, stalled: bool
) -> None:
    completed = np.cumsum([10.0, *gaps])
    found = steady.final_stall(completed, completed[-1] + pause)
    assert found == (pytest.approx(pause) if stalled else None)
