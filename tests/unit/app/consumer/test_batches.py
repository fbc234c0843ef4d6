"""How large micro-batches and Arrow batches are meant to be."""

from __future__ import annotations

import pytest

from lifelog.consumer.batches import (
    ARROW_BATCH_BYTES,
    EXPECTED_SHARE,
    arrow_batch_records,
    expected_images_per_s,
    most_records,
)


@pytest.mark.parametrize(
    ("partitions", "slots", "busy"), [(4, 2, 1.0), (32, 32, 1.0), (4, 32, 0.125)]
)
def test_slots_without_a_partition_carry_nothing(partitions: int, slots: int, busy: float) -> None:
    found = expected_images_per_s(10_000.0, partitions, slots)
    assert found == pytest.approx(EXPECTED_SHARE * 10_000 * busy)


def test_a_micro_batch_has_a_record_of_each_partition() -> None:
    assert most_records(3.0, 1000.0, 10, 32) == 300
    assert most_records(3.0, 10.0, 10, 32) == 32


@pytest.mark.parametrize("images_per_call", [1, 100, 1000, 20_000])
@pytest.mark.parametrize("images_per_record", [1, 7, 20])
def test_an_arrow_batch_holds_whole_calls(images_per_call: int, images_per_record: int) -> None:
    records = arrow_batch_records(images_per_call, images_per_record, 784)
    assert records > 0
    assert records * images_per_record % images_per_call == 0


def test_large_images_make_small_arrow_batches() -> None:
    frame = 3 * 640 * 480
    assert arrow_batch_records(1, 1, frame) == ARROW_BATCH_BYTES // frame
