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
        self._deadline = 0.0

    def infer(self, images: NDArray[np.float32]) -> None:
        """Return one service time after the call's begin, or after the last call's deadline.

        Calls that come back to back are measured from deadline to deadline, so that the oversleep
        of one does not lengthen the next.
        """
        del images
        now = time.perf_counter()
        back_to_back = now - self._deadline < self._service_s
        self._deadline = (self._deadline if back_to_back else now) + self._service_s
        left = self._deadline - now
        if left > 0:
            time.sleep(left)
