"""A stand-in of a fixed service time per call, for modelling more cores than there are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class EmulatedEngine:
    """Sleeps `emulated_call_ms` per call and predicts nothing."""

    name = "emulated"
    emulated = True

    def __init__(self, _model_file: Path, settings: dict[str, Any]) -> None:
        self._service_s = settings["emulated_call_ms"] / 1000
        self._overslept_s = 0.0

    def infer(self, images: NDArray[np.float32]) -> None:
        """Return one service time after the call's begin.

        What the last call slept too long is taken off this one, so that the error does not add up;
        work between calls is not.
        """
        del images
        deadline = time.perf_counter() + self._service_s - min(self._overslept_s, self._service_s)
        left = deadline - time.perf_counter()
        if left > 0:
            time.sleep(left)
        self._overslept_s = max(0.0, time.perf_counter() - deadline)
