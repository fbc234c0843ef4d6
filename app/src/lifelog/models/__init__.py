"""Networks by name. Add your own as "package.module:function" of (h, w, c) and the classes."""

from __future__ import annotations

from typing import Any

from lifelog.byname import make, source_sha256

MODELS = {"mlp": "lifelog.models.mlp:make", "cnn": "lifelog.models.cnn:make"}


def make_network(name: str, shape: tuple[int, ...], classes: int) -> Any:
    """An untrained Chainer network for images of `shape` (h, w, c).

    It takes float32 (n, h*w*c), an image's rows one after the other and its channels together, and
    gives scores (n, classes).
    """
    return make("model", name, MODELS, shape, classes)


def network_sha256(name: str) -> str:
    """Hash of the source of a network: an edited one is trained anew."""
    return source_sha256("model", name, MODELS)
