"""Networks by name. Add your own as "package.module:function" of the image shape (h, w, c)."""

from __future__ import annotations

import importlib
from typing import Any

from lifelog.errors import UserError

MODELS = {"mlp": "lifelog.models.mlp:make"}
CLASSES = 10


def make_network(name: str, shape: tuple[int, ...]) -> Any:
    """An untrained Chainer network for images of `shape` (h, w, c), taking float32 (n, h*w*c)."""
    module, _, attribute = MODELS.get(name, name).partition(":")
    if not attribute:
        raise UserError(
            f"model {name!r} is unknown: choose one of {', '.join(MODELS)}, "
            'or name your own as "package.module:function"'
        )
    return getattr(importlib.import_module(module), attribute)(shape)
