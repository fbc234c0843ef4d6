"""A convolutional network in the manner of LeNet, for images of any size."""

from __future__ import annotations

from typing import Any

from lifelog import chainer_shims  # noqa: F401  (before chainer)  # isort: skip
import chainer
import chainer.functions as F
import chainer.links as L

CHANNELS = (16, 32)
HIDDEN = 128
# Images are convolved and halved until a side is no longer than this.
SIDE = 7


class CNN(chainer.Chain):  # type: ignore[misc]
    """float32 (n, h*w*c) -> scores (n, classes)."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.shape = height, width, channels = shape
        layers: list[Any] = []
        while not layers or min(height, width) > SIDE:
            wanted = CHANNELS[min(len(layers), len(CHANNELS) - 1)]
            layers.append(L.Convolution2D(channels, wanted, ksize=3, pad=1))
            height, width, channels = -(-height // 2), -(-width // 2), wanted
        with self.init_scope():
            self.convolutions = chainer.ChainList(*layers)
            self.hidden = L.Linear(height * width * channels, HIDDEN)
            self.out = L.Linear(HIDDEN, classes)

    def __call__(self, x: Any) -> Any:
        """Scores before softmax."""
        # A record holds an image's channels together, and a convolution wants them apart.
        x = F.transpose(F.reshape(x, (len(x), *self.shape)), (0, 3, 1, 2))
        for convolution in self.convolutions:
            x = F.max_pooling_2d(F.relu(convolution(x)), ksize=2, stride=2)
        return self.out(F.relu(self.hidden(x)))


def make(shape: tuple[int, ...], classes: int) -> CNN:
    """The network for images of `shape` (h, w, c)."""
    return CNN(shape, classes)
