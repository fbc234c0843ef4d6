"""The sampler's fixed piece of work."""

from __future__ import annotations

from lifelog.node.reference import UNITS, reference_source, work


def test_the_work_is_the_same_each_time_and_small() -> None:
    assert work() == work()
    source = reference_source()
    samples = [source.sample()["reference_ms"] for _ in range(20)]
    assert source.units == UNITS
    assert 0.01 < min(samples) < 20
