"""Inference by ONNX Runtime on the CPU, with the weights that Chainer has trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lifelog.bundle import load_model_bundle
from lifelog.errors import UserError


class OnnxruntimeEngine:
    """One session per worker process, on one thread, as the other engines."""

    name = "onnxruntime"
    emulated = False

    def __init__(self, model_file: Path, _settings: dict[str, Any]) -> None:
        bundle = load_model_bundle(model_file)
        if not bundle.onnx:
            raise UserError(
                f"model {bundle.name} cannot be run by onnxruntime: {bundle.onnx_absent_because}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Kept: the session may use them in place.
        self._weights = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(
                np.ascontiguousarray(bundle.weights[name])
            )
            for name in bundle.onnx_weights
        }
        options.add_external_initializers(list(self._weights), list(self._weights.values()))
        self._session = onnxruntime.InferenceSession(
            bundle.onnx, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores before softmax, float32 (n, classes)."""
        result: NDArray[np.float32] = self._session.run(None, {self._input: images})[0]
        return result

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Classes int64 (n,) of pixels in [0, 1], float32 (n, values)."""
        classes: NDArray[np.int64] = self.scores(images).argmax(axis=1)
        return classes
