"""What computes: engines by name, behind one small interface.

Add your own by its import path, "package.module:factory": a callable (model_file, settings) that
returns an `Engine`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from lifelog.engines.base import Engine
from lifelog.errors import UserError

# Imported when asked for: the emulated engine must not cost an import of Chainer.
ENGINES = {
    "chainer": "lifelog.engines.chainer_engine:ChainerEngine",
    "emulated": "lifelog.engines.emulated:EmulatedEngine",
}


def make_engine(name: str, model_file: Path, settings: dict[str, Any]) -> Engine:
    """The engine of that name, its model loaded; UserError where there is none."""
    path = ENGINES.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        raise UserError(
            f"engine {name!r} is unknown: choose one of {', '.join(ENGINES)}, "
            'or name your own as "package.module:factory"'
        )
    engine: Engine = getattr(importlib.import_module(module), attribute)(model_file, settings)
    return engine


__all__ = ["ENGINES", "Engine", "make_engine"]
