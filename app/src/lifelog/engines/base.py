"""The interface of an engine."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Classifies images; one per worker process, called by one thread."""

    name: str
    # An emulated engine takes time and predicts nothing.
    emulated: bool

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """Pixels in [0, 1], float32 (n, values) -> classes int64 (n,); None where emulated."""
