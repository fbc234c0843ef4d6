"""The multi-layer perceptron of Chainer's MNIST example: two hidden layers of 1,000."""

from __future__ import annotations

import math
from typing import Any

from lifelog import chainer_shims  # noqa: F401  (before chainer)  # isort: skip
import chainer
import chainer.functions as F
import chainer.links as L

HIDDEN = 1000


class MLP(chainer.Chain):  # type: ignore[misc]
    """float32 (n, values) -> scores (n, classes)."""

    def __init__(self, values: int, classes: int) -> None:
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(values, HIDDEN)
            self.l2 = L.Linear(HIDDEN, HIDDEN)
            self.l3 = L.Linear(HIDDEN, classes)

    def __call__(self, x: Any) -> Any:
        """Scores before softmax."""
        return self.l3(F.relu(self.l2(F.relu(self.l1(x)))))


def make(shape: tuple[int, ...], classes: int) -> MLP:
    """The network for images of `shape` (h, w, c)."""
    return MLP(math.prod(shape), classes)
