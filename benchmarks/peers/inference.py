"""The model in a peer's process: the testbed's Chainer engine and the rows it leaves behind.

All peers share it, bare Chainer included, so that they differ in how images reach a call and in
nothing else.
"""

from __future__ import annotations

import functools
import os
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comparison.rows import ROW_DTYPE, open_rows
from comparison.task import Task
from lifelog.bundle import load_model_bundle
from lifelog.encodings import encoding
from lifelog.engines import make_engine
from lifelog.record import expand_keys, parse_keys, unpack_key

# As ROW_DTYPE: for one image NumPy would take several times as long.
_ROW = struct.Struct("<qQII")


class Inference:
    """Engine, reused float32 buffer and the file of rows; one per process."""

    def __init__(self, task: Task) -> None:
        model = load_model_bundle(Path(task.model_file))
        values = int(np.prod(model.shape))
        # Images of the stream.
        self._count = len(model.predictions)
        self.size = task.images_per_call
        self._each = task.images_per_record
        self._engine = make_engine("chainer", Path(task.model_file), {})
        self._decode = encoding("uint8").decode_into
        self._buffer = np.empty((self.size, values), np.float32)
        self._file = open_rows(task.directory)

    def call(self, raw: NDArray[np.uint8], keys: NDArray[Any]) -> NDArray[np.int64]:
        """One engine call: uint8 (n, values), n <= images_per_call, and KEY_DTYPE (n,).

        Returns the classes, int64 (n,).
        """
        images = self._buffer[: len(raw)]
        self._decode(raw, images)
        predictions = self._engine.infer(images)
        ended = time.monotonic_ns()
        assert predictions is not None
        rows = np.empty(len(raw), ROW_DTYPE)
        rows["end_ns"] = ended
        rows["sequence"] = keys["sequence"]
        rows["producer"] = keys["producer"]
        rows["predicted"] = predictions
        os.write(self._file, rows.tobytes())
        return predictions

    def calls(self, keys: Sequence[bytes], values: Sequence[bytes]) -> Iterator[NDArray[np.int64]]:
        """Calls of at most `images_per_call` of the records' keys and values, in order.

        A call holds whole records, as many as fit.
        """
        step = max(1, self.size // self._each)
        for at in range(0, len(keys), step):
            part = keys[at : at + step]
            raw = np.frombuffer(b"".join(values[at : at + step]), np.uint8)
            own = parse_keys(b"".join(part))
            if self._each > 1:
                own = expand_keys(own, self._each, self._count)
            yield self.call(raw.reshape(len(own), -1), own)

    def one(self, key: bytes, value: bytes) -> int:
        """A call of one image; returns its class."""
        images = self._buffer[:1]
        self._decode(np.frombuffer(value, np.uint8).reshape(1, -1), images)
        predictions = self._engine.infer(images)
        ended = time.monotonic_ns()
        assert predictions is not None
        predicted = int(predictions[0])
        producer, _, sequence = unpack_key(key)
        os.write(self._file, _ROW.pack(ended, sequence, producer, predicted))
        return predicted


@functools.lru_cache(maxsize=1)
def inference(task_file: str) -> Inference:
    """This process's inference, made at the first call: frameworks choose their own processes."""
    return Inference(Task.load(task_file))
