"""Record format: keys there and back, and the images that calls touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelog.record import (
    KEY_BYTES,
    KEY_DTYPE,
    expand_calls,
    expand_keys,
    pack_key,
    parse_keys,
    start_index,
)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
)
def test_a_key_survives_packing(producer: int, index: int, sequence: int) -> None:
    raw = pack_key(producer, index, sequence)
    assert len(raw) == KEY_BYTES == 16
    assert parse_keys(raw)[0].tolist() == (producer, index, sequence)


def test_keys_that_are_cut_off_are_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        parse_keys(b"x" * 17)


def test_producers_start_at_different_images() -> None:
    assert len({start_index(producer, 2000) for producer in range(1, 17)}) == 16


@given(st.integers(1, 7), st.integers(1, 30), st.integers(1, 11), st.integers(2, 50))
def test_calls_of_any_size_give_back_every_image_once(
    per_record: int, records: int, per_call: int, count: int
) -> None:
    keys = np.zeros(records, KEY_DTYPE)
    keys["producer"] = 3
    keys["sequence"] = np.arange(records) * per_record
    keys["index"] = (start_index(3, count) + keys["sequence"].astype(int)) % count
    total = records * per_record
    parts, sizes, skips, images = [], [], [], []
    for at in range(0, total, per_call):
        end = min(at + per_call, total)
        parts.append(keys[at // per_record : -(-end // per_record)])
        sizes.append(len(parts[-1]))
        skips.append(at % per_record)
        images.append(end - at)
    own, call = expand_calls(
        np.concatenate(parts),
        np.array(sizes),
        np.full(len(sizes), per_record),
        np.array(skips),
        np.array(images),
        count,
    )
    assert own["sequence"].tolist() == list(range(total))
    assert own["index"].tolist() == [(start_index(3, count) + i) % count for i in range(total)]
    assert np.bincount(call).tolist() == images
    assert own.tolist() == expand_keys(keys, per_record, count).tolist()


@pytest.mark.parametrize(
    ("records", "skip", "images"),
    [(1, 0, 4), (1, 3, 1), (2, 0, 3), (1, 0, -1), (1, 0, 0), (0, 0, 1)],
)
def test_a_call_that_contradicts_its_keys_is_refused(records: int, skip: int, images: int) -> None:
    with pytest.raises(ValueError, match="call 0"):
        expand_calls(
            np.zeros(records, KEY_DTYPE),
            np.array([records]),
            np.array([3]),
            np.array([skip]),
            np.array([images]),
            10,
        )
