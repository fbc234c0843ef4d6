"""Encodings give the same pixels to the engine, and any damage changes the checksum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelog.encodings import ENCODINGS, checksums, encoding
from lifelog.errors import UserError
from lifelog.experiment.settings import Settings


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_decodes_to_the_same_pixels(name: str) -> None:
    pixels = np.arange(2 * 256, dtype=np.uint8).reshape(2, 256)
    raw = encoding(name).encode(pixels)
    assert raw.dtype == np.uint8
    assert raw.shape == (2, 256 * encoding(name).bytes_per_value)
    out = np.empty((2, 256), np.float32)
    # As it comes from Kafka: one read-only buffer, at any address.
    buffer = np.frombuffer(b"x" + raw.tobytes(), np.uint8)[1:].reshape(raw.shape)
    encoding(name).decode_into(buffer, out)
    np.testing.assert_array_equal(out, pixels * np.float32(1 / 255))


def test_text_is_text_of_fixed_width() -> None:
    assert encoding("text").encode(np.array([[7, 255]], np.uint8)).tobytes() == b"007,255,"


def test_the_schema_knows_every_encoding() -> None:
    assert all(Settings.model_validate({"encoding": name}).encoding == name for name in ENCODINGS)


def test_an_unknown_encoding_is_the_users_fault() -> None:
    with pytest.raises(UserError, match="choose one of uint8"):
        encoding("uint9")


@given(st.integers(1, 40), st.data())
def test_any_change_of_a_few_bytes_changes_the_checksum(size: int, data: st.DataObject) -> None:
    original = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), np.uint8)
    changed = original.copy()
    for place in data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4, unique=True)):
        changed[place] ^= data.draw(st.integers(1, 255))
    sums = checksums(np.stack([original, changed, original]))
    assert sums.dtype == np.uint64
    assert sums[0] == sums[2] != sums[1]


def test_flipping_the_top_bits_of_two_words_is_seen() -> None:
    original = np.zeros((1, 784), np.uint8)
    changed = original.copy()
    changed[0, [7, 15]] = 0x80
    assert checksums(original) != checksums(changed)
