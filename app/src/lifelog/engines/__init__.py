"""What computes: engines by name, behind one small interface.

Add your own by its import path, "package.module:factory": a callable (model_file, settings) that
returns an `Engine`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lifelog.byname import make
from lifelog.engines.base import Engine

# Imported when asked for: the emulated engine must not cost an import of Chainer.
ENGINES = {
    "chainer": "lifelog.engines.chainer_engine:ChainerEngine",
    "onnxruntime": "lifelog.engines.onnxruntime_engine:OnnxruntimeEngine",
    "emulated": "lifelog.engines.emulated:EmulatedEngine",
}


def make_engine(name: str, model_file: Path, settings: dict[str, Any]) -> Engine:
    """The engine of that name, its model loaded; UserError where there is none."""
    engine: Engine = make("engine", name, ENGINES, model_file, settings)
    return engine


__all__ = ["ENGINES", "Engine", "make_engine"]
