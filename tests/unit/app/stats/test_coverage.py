"""Do the intervals of a run hold what they promise?"""

from __future__ import annotations

import numpy as np
import pytest
from simulated_system import coverage, demanded_run, series

from lifelog.stats.rate import required_batches
from lifelog.stats.steady import steady_state


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_a_thousand_intervals_after_the_cut(
    correlation: float, capsys: pytest.CaptureFixture[str]
) -> None:
    found = coverage(correlation)
    with capsys.disabled():
        print(
            f"\nlag-1 correlation {correlation}: {found.batches} micro-batches after warm-up, "
            f"{found.trials} trials: {found.steady:.1%} steady, {found.printed:.1%} of these with "
            f"an interval, {found.covered:.1%} of these cover the rate"
        )
    assert 0.93 <= found.covered <= 0.97
    assert found.steady >= 0.94
    assert found.printed >= 0.9


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_steady_runs_without_a_warm_up_are_kept_whole(correlation: float) -> None:
    n = required_batches(correlation)
    found = [steady_state(series(seed, n, correlation)) for seed in range(400)]
    assert np.mean([state.steady for state in found]) >= 0.95
    assert np.mean([state.cut == 0 for state in found]) >= 0.95


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("what", ["trend up", "trend down", "step", "long ramp"])
def test_what_is_not_steady_is_rejected(correlation: float, what: str) -> None:
    n, rejected = required_batches(correlation), 0
    for seed in range(200):
        trend = {"trend up": 0.5, "trend down": -0.5}.get(what, 0.0)
        ramp = int(0.8 * n) if what == "long ramp" else 0
        x = series(seed, n, correlation, ramp, trend)
        if what == "step":
            x[int(0.6 * n) :] *= 0.6
        rejected += not steady_state(x).steady
    assert rejected / 200 >= 0.8


def test_a_ramp_is_cut_at_its_end() -> None:
    cuts = [steady_state(demanded_run(seed, 0.0)).cut for seed in range(200)]
    assert 20 <= np.median(cuts) <= 30
    assert min(cuts) >= 15
