"""How pixels become bytes in a record, and how damage to these bytes is found."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog.errors import UserError

_TEXT_WIDTH = 4
# What is looked at at once stays in a core's cache from one step to the next.
CHECKED_BYTES = 128 << 10


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way of writing pixels.

    `encode`: uint8 (n, values) -> uint8 (n, values * bytes_per_value).
    `decode_into`: that, and float32 (n, values) which it fills with pixels scaled to [0, 1].
    """

    name: str
    bytes_per_value: int
    encode: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    decode_into: Callable[[NDArray[np.uint8], NDArray[np.float32]], Any]


def _decode_uint8(raw: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    np.multiply(raw, np.float32(1 / 255), out=out)


def _encode_float(dtype: str, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Scaled as `_decode_uint8` does it, so that the network sees the same numbers.
    scaled = (pixels * np.float32(1 / 255)).astype(dtype)
    return scaled.view(np.uint8).reshape(len(pixels), -1)


def _decode_float(dtype: str, raw: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    out[...] = raw.view(dtype)


def _encode_text(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    digits = np.stack([pixels // 100, pixels // 10 % 10, pixels % 10], axis=2) + ord("0")
    comma = np.full((*pixels.shape, 1), ord(","), np.uint8)
    return np.concatenate([digits, comma], axis=2).astype(np.uint8).reshape(len(pixels), -1)


def _decode_text(raw: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    digits = raw.reshape(len(raw), -1, _TEXT_WIDTH)[:, :, :3].astype(np.float32) - ord("0")
    np.multiply(digits @ np.array([100, 10, 1], np.float32), np.float32(1 / 255), out=out)


ENCODINGS = {
    "uint8": Encoding("uint8", 1, lambda pixels: pixels, _decode_uint8),
    "float32": Encoding(
        "float32",
        4,
        functools.partial(_encode_float, "<f4"),
        functools.partial(_decode_float, "<f4"),
    ),
    "float64": Encoding(
        "float64",
        8,
        functools.partial(_encode_float, "<f8"),
        functools.partial(_decode_float, "<f8"),
    ),
    # Fixed width ("007,"), so that every image takes the same number of bytes.
    "text": Encoding("text", _TEXT_WIDTH, _encode_text, _decode_text),
}


def encoding(name: str) -> Encoding:
    """The encoding of that name; UserError where there is none."""
    try:
        return ENCODINGS[name]
    except KeyError:
        raise UserError(
            f"encoding {name!r} is unknown: choose one of {', '.join(ENCODINGS)}"
        ) from None


@functools.lru_cache(maxsize=8)
def _weights(words: int) -> NDArray[np.uint64]:
    random = np.random.default_rng(20260901)
    return random.integers(0, 2**64, words, np.uint64, endpoint=False) | np.uint64(1)


def checksums(raw: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Checksum of each image: uint8 (n, bytes) -> uint64 (n,).

    Multilinear hashing modulo 2**64 (Lemire, Kaser: "Strongly universal string hashing is fast")
    over 8-byte words with odd weights, so that a change within one word always changes the sum.
    The upper half of each word is first folded into its lower half, reversibly: without that, the
    topmost bits of two words could flip and cancel out.
    """
    n, size = raw.shape
    part = max(1, CHECKED_BYTES // max(1, size))
    if n <= part:
        return _checksums(raw)
    return np.concatenate([_checksums(raw[at : at + part]) for at in range(0, n, part)])


def _checksums(raw: NDArray[np.uint8]) -> NDArray[np.uint64]:
    n, size = raw.shape
    words = size // 8
    weights = _weights(words + 8)
    total = np.zeros(n, np.uint64)
    if words:
        body = np.ascontiguousarray(raw[:, : words * 8]).view("<u8")
        folded = body >> np.uint64(32)
        folded ^= body
        total += np.einsum("ij,j->i", folded, weights[:words])
    if size % 8:
        total += np.einsum(
            "ij,j->i", raw[:, words * 8 :].astype(np.uint64), weights[words : words + size % 8]
        )
    return total
