"""How large micro-batches are meant to be."""

from __future__ import annotations

import pytest

from lifelog.consumer.driver import EXPECTED_SHARE, expected_images_per_s


@pytest.mark.parametrize(
    ("partitions", "slots", "busy"), [(4, 2, 1.0), (32, 32, 1.0), (4, 32, 0.125)]
)
def test_slots_without_a_partition_carry_nothing(partitions: int, slots: int, busy: float) -> None:
    spec = {"slots": slots, "settings": {"partitions": partitions}}
    assert expected_images_per_s(spec, 10_000.0) == pytest.approx(EXPECTED_SHARE * 10_000 * busy)
