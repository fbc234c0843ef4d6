"""A stand-in that takes a set time, for modelling more cores, or slower ones, than there are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class EmulatedEngine:
    """Sleeps for a call and for each of its images, and predicts nothing."""

    name = "emulated"
    emulated = True

    def __init__(self, _model_file: Path, settings: Mapping[str, Any]) -> None:
        """`settings`: `emulated_call_ms` and `emulated_image_us`."""
        self._call_s = settings["emulated_call_ms"] / 1e3
        self._image_s = settings["emulated_image_us"] / 1e6
        self._overslept_s = 0.0

    def infer(self, images: NDArray[np.float32]) -> None:
        """Return one service time after the call's begin.

        What the last call slept too long is taken off this one, so that the error does not add up;
        work between calls is not.
        """
        service_s = self._call_s + self._image_s * len(images)
        deadline = time.perf_counter() + service_s - min(self._overslept_s, service_s)
        left = deadline - time.perf_counter()
        if left > 0:
            time.sleep(left)
        self._overslept_s = max(0.0, time.perf_counter() - deadline)
