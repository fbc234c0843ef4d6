"""Latency percentiles of one run, from one full histogram (rule V9)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIGHEST_MS = 3_600_000
_SIGNIFICANT_FIGURES = 3
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile in milliseconds, or why there is none."""

    value_ms: float | None
    absent_because: str | None = None


def merge(parts: Iterable[bytes]) -> NDArray[np.int64]:
    """One histogram from many: int32 little-endian pairs (ms, count) -> int64 (n, 2), ascending.

    ValueError where a part is cut off or a count is below 1.
    """
    raw = b"".join(parts)
    if len(raw) % 8:
        raise ValueError("a latency histogram is cut off")
    pairs = np.frombuffer(raw, "<i4").reshape(-1, 2).astype(np.int64)
    if (pairs[:, 1] < 1).any():
        raise ValueError("a latency histogram has a count below 1")
    values, place = np.unique(pairs[:, 0], return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, place, pairs[:, 1])
    return np.stack([values, counts], 1)


def required_batches(percentile: float) -> int:
    """Micro-batches below which a percentile (0 to 100) is not supported: 6 for p50, 299 for p99.

    Images of one micro-batch share its fate, so the batch is what is independent, not the image.
    With n independent values, the widest interval that order statistics give for the quantile q,
    from the smallest to the largest, covers it with probability 1 - q**n - (1 - q)**n (Hahn and
    Meeker, Statistical Intervals, 5.2). Where even this is under 95 %, the data do not bound the
    percentile at all, and printing it would be a guess. ValueError for 0 and 100: extremes have no bound.
    """
    if not 0 < percentile < 100:
        raise ValueError(f"a percentile is between 0 and 100, not {percentile}")
    q = percentile / 100
    n = max(1, math.ceil(math.log(1 - _CONFIDENCE) / math.log(max(q, 1 - q))) - 1)
    while 1 - q**n - (1 - q) ** n < _CONFIDENCE:
        n += 1
    return n


def percentiles(
    histogram: NDArray[np.int64], micro_batches: int, wanted: Iterable[float] = (50.0, 99.0)
) -> dict[str, Percentile]:
    """Percentiles of a merged histogram int64 (n, 2) of (ms, count), named `p50`, `p99`, ...

    ValueError where a latency is negative (the clocks differ) or above an hour.
    """
    from hdrh.histogram import HdrHistogram

    full = HdrHistogram(1, HIGHEST_MS, _SIGNIFICANT_FIGURES)
    for value, count in histogram.tolist():
        if not 0 <= value <= HIGHEST_MS or not full.record_value(value, count):
            raise ValueError(f"a latency of {value} ms is impossible")
    found: dict[str, Percentile] = {}
    for percentile in wanted:
        needed = required_batches(percentile)
        if not len(histogram):
            result = Percentile(None, "no latency was recorded")
        elif micro_batches < needed:
            result = Percentile(
                None, f"V9: {micro_batches} micro-batches do not support it, {needed} are needed"
            )
        else:
            result = Percentile(float(full.get_value_at_percentile(percentile)))
        found[f"p{percentile:g}"] = result
    return found
