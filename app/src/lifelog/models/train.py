"""Training: seeded, with progress, and small enough to run on the control node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog import chainer_shims  # noqa: F401  (before chainer)
from lifelog.models import make_network

# The recipe; a change of any of it trains anew.
RECIPE = {"epochs": 6, "batch": 100, "alpha": 1e-3, "seed": 20260901, "version": 2}
SHOW_EVERY_S = 2.0


def train(
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
    show: Callable[[str], None],
    recipe: dict[str, Any] = RECIPE,
) -> dict[str, NDArray[np.float32]]:
    """Train the network `name` on uint8 (N, h, w, c); returns its weights by Chainer's names."""
    import chainer
    import chainer.functions as F

    random = np.random.default_rng(recipe["seed"])
    np.random.seed(recipe["seed"])  # noqa: NPY002  Chainer's initialisers draw from it
    network = make_network(name, images.shape[1:], classes)
    optimizer = chainer.optimizers.Adam(alpha=recipe["alpha"])
    optimizer.setup(network)
    targets = labels.astype(np.int32)
    size = recipe["batch"]
    shown = time.monotonic()
    with chainer.using_config("train", True), chainer.using_config("enable_backprop", True):
        for epoch in range(recipe["epochs"]):
            order = random.permutation(len(images))
            for step, at in enumerate(range(0, len(order), size), 1):
                chosen = order[at : at + size]
                # A batch at a time: all images as floats may not fit into memory.
                pixels = images[chosen].reshape(len(chosen), -1) * np.float32(1 / 255)
                loss = F.softmax_cross_entropy(network(pixels), targets[chosen])
                network.cleargrads()
                loss.backward()
                optimizer.update()
                last = at + size >= len(order)
                if last or time.monotonic() - shown > SHOW_EVERY_S:
                    shown = time.monotonic()
                    show(
                        f"training {name}: epoch {epoch + 1} of {recipe['epochs']}, "
                        f"{step * size:,} of {len(order):,} images, loss {float(loss.array):.3f}"
                    )
    return {path: parameter.array for path, parameter in network.namedparams()}
