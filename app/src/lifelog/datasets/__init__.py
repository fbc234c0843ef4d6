"""Datasets by name. Add your own as "package.module:function" of an optional directory."""

from __future__ import annotations

import importlib
from pathlib import Path

from lifelog.datasets.base import Dataset
from lifelog.errors import UserError

DATASETS = {"mnist-t10k": "lifelog.datasets.mnist_t10k:load"}


def load_dataset(name: str, directory: Path | None = None) -> Dataset:
    """The dataset of that name; UserError where there is none or its files are damaged."""
    module, _, attribute = DATASETS.get(name, name).partition(":")
    if not attribute:
        raise UserError(
            f"dataset {name!r} is unknown: choose one of {', '.join(DATASETS)}, "
            'or name your own as "package.module:function"'
        )
    dataset: Dataset = getattr(importlib.import_module(module), attribute)(directory)
    return dataset


__all__ = ["DATASETS", "Dataset", "load_dataset"]
