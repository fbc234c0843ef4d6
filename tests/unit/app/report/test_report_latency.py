"""Percentiles of latencies: those of the histogram, and none that the micro-batches do not support."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelog.report.latency import curve, latency, supported
from lifelog.stats.latency import required_batches


def run(batches: int, **latencies: float | None) -> dict[str, Any]:
    """A paced run: 1,000 images of 1, 2, ... 1,000 ms."""
    return {
        "point": "paced", "run": "paced-r01-a01", "micro_batches": batches,
        "latency_ms": {"p50": None, "p99": None, **latencies},
        "latency_histogram": [[ms, 1] for ms in range(1, 1001)],
    }  # fmt: skip


@pytest.mark.parametrize("batches", [1, 6, 60, 299, 3000])
def test_no_percentile_goes_beyond_its_micro_batches(batches: int) -> None:
    found = supported(run(batches))
    assert all(required_batches(percentile) <= batches for percentile in found)
    assert len(found) == 0 or found.max() < 100 - 100 / (batches + 2)


def test_the_tail_is_withheld_and_comes_with_the_micro_batches() -> None:
    assert len(supported(run(3))) == 0
    highest = [supported(run(batches)).max() for batches in (6, 60, 299, 3000)]
    assert highest == sorted(highest)
    assert highest[1] < 99 <= highest[2] < 99.9 <= highest[3]


def test_a_percentile_that_run_json_prints_is_on_the_curve() -> None:
    # Latencies may come from more micro-batches than the rate counts.
    assert supported(run(290)).max() < 99
    assert supported(run(290, p50=500.0, p99=990.0)).max() == 99


def test_values_are_those_of_the_histogram() -> None:
    percentiles, values = curve(run(3000))
    for percentile in (10, 50, 90, 99):
        (at,) = np.flatnonzero(percentiles == percentile)
        assert values[at] == 10 * percentile
    assert (np.diff(values) >= 0).all()
    weighted = run(3000) | {"latency_histogram": [[5, 90], [700, 10]]}
    percentiles, values = curve(weighted)
    assert values[percentiles <= 90].tolist() == [5] * int((percentiles <= 90).sum())
    assert set(values[percentiles > 90]) == {700}


def test_a_run_without_latencies_has_no_curve() -> None:
    empty = run(3000) | {"latency_histogram": []}
    assert [len(part) for part in curve(empty)] == [0, 0]


def test_the_figure_says_where_a_curve_ends() -> None:
    drawing = latency([run(60, p50=500.0)])
    assert "too few micro-batches to support its tail" in drawing.caption
    assert ">paced: median 500 ms</text>" in drawing.wide
    assert ">99</text>" not in drawing.wide
    assert drawing.columns == ("point", "run", "percentile", "latency_ms")
    assert float(drawing.rows[-1][2]) < 99
    assert ">99</text>" in latency([run(3000, p50=500.0)]).wide
