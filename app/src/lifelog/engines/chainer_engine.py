"""Inference by Chainer on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog import chainer_shims  # noqa: F401  (before chainer)
from lifelog.bundle import load_model_bundle
from lifelog.models import make_network


class ChainerEngine:
    """One call of the network per `infer`; no graph is kept."""

    name = "chainer"
    emulated = False

    def __init__(self, model_file: Path, _settings: dict[str, Any]) -> None:
        import chainer

        bundle = load_model_bundle(model_file)
        # Set once: entering `using_config` at each call costs more than a small layer.
        chainer.config.train = False
        chainer.config.enable_backprop = False
        chainer.config.type_check = False
        self.network = make_network(bundle.name, bundle.shape, bundle.classes)
        for path, parameter in self.network.namedparams():
            parameter.array[...] = bundle.weights[path]

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores before softmax, float32 (n, classes)."""
        result: NDArray[np.float32] = self.network(images).array
        return result

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Classes int64 (n,) of pixels in [0, 1], float32 (n, values)."""
        classes: NDArray[np.int64] = self.scores(images).argmax(axis=1)
        return classes
