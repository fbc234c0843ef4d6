"""The IDX format of MNIST (http://yann.lecun.com/exdb/mnist), plain or gzip."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelog.errors import UserError

_UINT8 = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Array of unsigned bytes from an IDX file; UserError where it is missing or damaged."""
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: put the dataset's IDX files there") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}): fetch the file again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UINT8:
        raise UserError(
            f"{path} is not an IDX file of unsigned bytes: check that it is the right file"
        )
    dimensions = content[3]
    header = 4 + 4 * dimensions
    shape = tuple(
        int(n) for n in np.frombuffer(content[4:header].ljust(4 * dimensions, b"\0"), ">u4")
    )
    if not math.prod(shape) or not shape or len(content) - header != math.prod(shape):
        raise UserError(
            f"{path} is damaged: its header promises {'x'.join(map(str, shape))} = "
            f"{math.prod(shape)} bytes and it holds {max(0, len(content) - header)}: fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
