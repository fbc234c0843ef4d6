"""The record: what a Kafka message's key says about the images in its value.

Image j of a record has sequence `sequence + j` and dataset index `(index + j) % N`, where N is the
number of images in the stream. A producer numbers its images 0, 1, 2, ... and walks through the
stream from an index of its own, so sequence and index check each other.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY_DTYPE = np.dtype([("producer", "<u4"), ("index", "<u4"), ("sequence", "<u8")])
KEY_BYTES = KEY_DTYPE.itemsize
WARMUP_PRODUCER = 0

_KEY = struct.Struct("<IIQ")
# Producers start far apart in the stream, so that they do not send the same images in step.
_START_STRIDE = 9973


def pack_key(producer: int, index: int, sequence: int) -> bytes:
    """Key of a record (16 bytes) from its producer and its first image's index and sequence."""
    return _KEY.pack(producer, index, sequence)


def unpack_key(key: bytes) -> tuple[int, int, int]:
    """What `pack_key` packed: producer, index and sequence."""
    producer, index, sequence = _KEY.unpack(key)
    return producer, index, sequence


def parse_keys(raw: bytes | memoryview) -> NDArray[Any]:
    """Keys laid end to end -> KEY_DTYPE (n,), without a copy; ValueError where a key is cut off."""
    if len(raw) % KEY_BYTES:
        raise ValueError(f"{len(raw)} bytes are not a whole number of {KEY_BYTES}-byte keys")
    return np.frombuffer(raw, KEY_DTYPE)


def start_index(producer: int, images: int) -> int:
    """Dataset index of a producer's first image, in a stream of `images` images."""
    return producer * _START_STRIDE % images


def expand_keys(
    keys: NDArray[Any], per_record: int | NDArray[np.int64], count: int
) -> NDArray[Any]:
    """Keys KEY_DTYPE (r,) of records -> their images' own keys KEY_DTYPE (sum of images,).

    `per_record`: images per record, one number or int64 (r,). `count`: images in the stream.
    """
    own = np.repeat(keys, per_record)
    sizes = np.broadcast_to(np.asarray(per_record, np.int64), len(keys))
    step = np.arange(len(own)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    own["sequence"] += step.astype(np.uint64)
    own["index"] = (own["index"].astype(np.int64) + step) % count
    return own


def expand_calls(
    keys: NDArray[Any],
    keys_per_call: NDArray[np.int64],
    record_images: NDArray[np.int64],
    skip: NDArray[np.int64],
    images: NDArray[np.int64],
    count: int,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The images that each of c engine calls processed.

    `keys`: KEY_DTYPE, the records touched by all calls, end to end. The others are int64 (c,): how
    many of the keys belong to the call, images per record in it, images of its first record that an
    earlier call took, images in the call. Returns the images' own keys KEY_DTYPE (n,) and the
    number of the call of each, int64 (n,). ValueError where a call claims images that its keys do
    not have, or keys that it does not need.
    """
    held = keys_per_call * record_images
    spare = held - skip - images
    bad = (images < 0) | (skip < 0) | (spare < 0) | (keys_per_call < 0)
    bad |= (images > 0) & ((skip >= record_images) | (spare >= record_images))
    bad |= (images == 0) & (keys_per_call > 0)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"call {at} has {images[at]} images from {keys_per_call[at]} records of "
            f"{record_images[at]}, with {skip[at]} skipped"
        )
    if int(keys_per_call.sum()) != len(keys):
        raise ValueError(f"{len(keys)} keys do not match the calls' {int(keys_per_call.sum())}")
    own = expand_keys(keys, np.repeat(record_images, keys_per_call), count)
    call = np.repeat(np.arange(len(images)), held)
    if bool((spare == 0).all() and (skip == 0).all()):
        return own, call
    place = np.arange(len(own)) - np.repeat(np.cumsum(held) - held, held)
    kept = (place >= skip[call]) & (place < (skip + images)[call])
    return own[kept], call[kept]
