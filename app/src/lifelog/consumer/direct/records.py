"""Kafka's record batches as the broker sends them (format 2), read without a step for each record.

Producers write records of one size, so within a batch many records in a row have one layout: such a
run is found by comparing columns of a strided view, and is a matrix of keys and one of values.

Source of the format: Kafka's documentation, "Message Format". All integers are big-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from crc32c import crc32c
from numpy.typing import NDArray

# Base offset, length after itself, leader epoch, format, checksum, attributes, last offset - base
# offset, first and largest timestamp, producer's id and epoch, first sequence, number of records.
_HEADER = struct.Struct(">qiiBIhiqqqhii")
_LENGTH_END = 12
_CHECKED_FROM = 21
_FORMAT = 2
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
# Snappy's own framing by Kafka's Java clients: a magic text, two versions, then blocks with their sizes.
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
# So many records are compared at first, then eight times as many each time: where all records have
# sizes of their own, comparing all that follow would take quadratic time.
_FIRST_COMPARED, _COMPARED_GROWTH = 64, 8


class BadRecords(Exception):
    """What a broker sent cannot be read; says at which offset and why."""


@dataclass(frozen=True, slots=True)
class Run:
    """Records of one layout, one after the other; all are views.

    `keys`: uint8 (n, key bytes). `values`: uint8 (n, value bytes); null is empty. `timestamps_ms`:
    int64 (n,), or None where they were not asked for.
    """

    keys: NDArray[np.uint8]
    values: NDArray[np.uint8]
    timestamps_ms: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, first: int, last: int) -> Run:
        """The records from `first` to before `last`."""
        stamps = self.timestamps_ms
        return Run(
            self.keys[first:last],
            self.values[first:last],
            None if stamps is None else stamps[first:last],
        )


def read_batches(data: bytes, start: int, end: int, timestamps: bool) -> tuple[list[Run], int]:
    """Records with offsets from `start` to before `end`, and the offset to go on from.

    `data`: record batches end to end; the last may be cut off, as brokers do. BadRecords where a
    batch is damaged or of a format that no broker writes any more.
    """
    runs: list[Run] = []
    at, position = 0, start
    while at + _HEADER.size <= len(data):
        base, length, _, magic, crc, attributes, last, first_ms, most_ms, *_, count = (
            _HEADER.unpack_from(data, at)
        )
        stop = at + _LENGTH_END + length
        if length < _HEADER.size - _LENGTH_END:
            raise BadRecords(
                f"record batch at offset {base}: {length} bytes are less than its head"
            )
        if base >= end:
            # What is left of the range was compacted away.
            return runs, max(position, end)
        if stop > len(data):
            break
        if magic != _FORMAT:
            raise BadRecords(f"record batch at offset {base}: format {magic}, not {_FORMAT}")
        after = base + last + 1
        if after > start:
            if crc32c(memoryview(data)[at + _CHECKED_FROM : stop]) != crc:
                raise BadRecords(f"record batch at offset {base}: its checksum does not match")
            if not attributes & _CONTROL:
                codec = attributes & _CODEC
                body, first, body_end = data, at + _HEADER.size, stop
                if codec:
                    body = _decompressed(codec, memoryview(data)[first:stop], base)
                    first, body_end = 0, len(body)
                within = base >= start and after <= end
                appended = bool(attributes & _APPEND_TIME)
                stamp_ms = most_ms if appended else first_ms
                runs += _runs(
                    body,
                    first,
                    body_end,
                    count,
                    base,
                    None if within else (start, end),
                    stamp_ms if timestamps else None,
                    appended,
                )
            position = after
        at = stop
    return runs, position


def _decompressed(codec: int, data: memoryview, base: int) -> bytes:
    """The records of a compressed batch; BadRecords where they cannot be had."""
    name = _CODECS.get(codec)
    if name is None:
        raise BadRecords(f"record batch at offset {base}: compression {codec} is unknown")
    try:
        return _unpacked(name, data)
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise BadRecords(f"record batch at offset {base}: {name}: {error}") from None


def _unpacked(name: str, data: memoryview) -> bytes:
    if name != "snappy":
        return bytes(pa.CompressedInputStream(pa.BufferReader(pa.py_buffer(data)), name).read())
    if bytes(data[: len(_XERIAL)]) != _XERIAL:
        return _unsnapped(data)
    parts, at = [], _XERIAL_HEADER_BYTES
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        parts.append(_unsnapped(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return b"".join(parts)


def _unsnapped(block: memoryview) -> bytes:
    # A block of Snappy begins with its uncompressed size.
    size, _ = _unsigned(block, 0)
    return bytes(pa.decompress(pa.py_buffer(block), size, "snappy", asbytes=True))


def _unsigned(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The unsigned varint at `at`, and where the next byte is."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _signed(data: bytes, at: int) -> tuple[int, int]:
    """The zigzag varint at `at`, and where the next byte is."""
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _signed_columns(view: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Zigzag varints of one width, uint8 (n, width) -> int64 (n,)."""
    value = np.zeros(len(view), np.int64)
    for column in range(view.shape[1]):
        value |= (view[:, column] & np.uint8(0x7F)).astype(np.int64) << (7 * column)
    return (value >> 1) ^ -(value & 1)


def _runs(
    data: bytes,
    at: int,
    end: int,
    count: int,
    base: int,
    bounds: tuple[int, int] | None,
    stamp_ms: int | None,
    one_stamp: bool,
) -> list[Run]:
    """The runs of a batch's `count` records, which lie from `at` to before `end`.

    `bounds`: first and last + 1 of the offsets that are wanted; None for all. `stamp_ms`: what the
    records' timestamps are counted from, or (`one_stamp`) what each of them is; None for none.
    """
    runs: list[Run] = []
    compared = _FIRST_COMPARED
    try:
        while count:
            length, body = _signed(data, at)
            _, offset_at = _signed(data, body + 1)
            _, key_size_at = _signed(data, offset_at)
            key_size, key_at = _signed(data, key_size_at)
            key_bytes = max(0, key_size)
            value_size, value_at = _signed(data, key_at + key_bytes)
            value_bytes = max(0, value_size)
            stride = body + length - at
            if at + stride > end or value_at + value_bytes > at + stride:
                raise ValueError(f"{count} records are missing")
            limit = min(count, compared, (end - at) // stride)
            same = _same_layout(
                data,
                at,
                stride,
                limit,
                _mask(
                    body - at,
                    key_size_at - body - 1,
                    key_at - key_size_at,
                    key_bytes,
                    value_at - key_at - key_bytes,
                ),
            )
            first, last = 0, same
            if bounds is not None:
                offsets = base + _signed_columns(
                    _matrix(data, offset_at, same, key_size_at - offset_at, stride)
                )
                first, last = (int(edge) for edge in np.searchsorted(offsets, bounds))
            if first < last:
                stamps = None
                if stamp_ms is not None:
                    deltas = _signed_columns(
                        _matrix(data, body + 1, same, offset_at - body - 1, stride)
                    )
                    stamps = stamp_ms + (np.zeros_like(deltas) if one_stamp else deltas)
                run = Run(
                    _matrix(data, key_at, same, key_bytes, stride),
                    _matrix(data, value_at, same, value_bytes, stride),
                    stamps,
                )
                runs.append(run.part(first, last))
            at += same * stride
            count -= same
            compared = compared * _COMPARED_GROWTH if same == limit else _FIRST_COMPARED
    except (IndexError, ValueError, TypeError) as error:
        raise BadRecords(
            f"record batch at offset {base}: its records end early ({error})"
        ) from None
    return runs


def _matrix(data: bytes, at: int, rows: int, width: int, stride: int) -> NDArray[np.uint8]:
    """`width` bytes from `at` on, and again at each `stride`: a view, uint8 (rows, width)."""
    return np.ndarray((rows, width), np.uint8, data, at, (stride, 1))


def _mask(length: int, varying: int, key_size: int, key: int, value_size: int) -> NDArray[np.uint8]:
    """Which bits of a record's bytes before its value say how it is laid out.

    The arguments are numbers of bytes: `varying` holds timestamp and offset, of which only the bits
    count that say where a varint ends.
    """
    return np.frombuffer(
        b"\xff" * length
        + b"\x00"
        + b"\x80" * varying
        + b"\xff" * key_size
        + bytes(key)
        + b"\xff" * value_size,
        np.uint8,
    )


def _same_layout(data: bytes, at: int, stride: int, rows: int, mask: NDArray[np.uint8]) -> int:
    """How many records from `at` on, of at most `rows`, are laid out like the first: at least 1.

    Each begins where the one before it ends, and that has the same size; so the first that differs is
    still where it was looked for.
    """
    if rows <= 1:
        return 1
    heads = _matrix(data, at, rows, len(mask), stride)
    differs = ((heads ^ heads[0]) & mask).any(axis=1)
    return int(differs.argmax()) if differs.any() else rows


def to_arrow(runs: list[Run], timestamps: bool) -> pa.RecordBatch:
    """The records as Spark's Kafka source would give them: columns key, value and timestamp.

    Binary (n,), binary (n,), and timestamp in microseconds (n,) where asked for. One copy.
    """
    columns = {
        "key": _binary([run.keys for run in runs]),
        "value": _binary([run.values for run in runs]),
    }
    if timestamps:
        stamps = np.concatenate(
            [run.timestamps_ms for run in runs if run.timestamps_ms is not None]
        )
        columns["timestamp"] = pa.array(stamps * 1000, pa.timestamp("us"))
    return pa.RecordBatch.from_pydict(columns)


def _binary(matrices: list[NDArray[np.uint8]]) -> pa.Array:
    rows = [len(matrix) for matrix in matrices]
    sizes = np.repeat([matrix.shape[1] for matrix in matrices], rows)
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    data = np.empty(int(offsets[-1]), np.uint8)
    at = 0
    for matrix in matrices:
        data[at : at + matrix.size].reshape(matrix.shape)[...] = matrix
        at += matrix.size
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(sizes), buffers)
