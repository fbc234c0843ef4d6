"""Datasets by name. Add your own as "package.module:function" of a `Source`."""

from __future__ import annotations

from dataclasses import replace

from lifelog.byname import make
from lifelog.datasets.base import Dataset, check, split
from lifelog.datasets.source import Source
from lifelog.errors import UserError

DATASETS = {
    "mnist-t10k": "lifelog.datasets.mnist_t10k:load",
    "mnist": "lifelog.datasets.mnist:load_mnist",
    "fashion-mnist": "lifelog.datasets.mnist:load_fashion_mnist",
    "folder": "lifelog.datasets.folder:load",
}
# Not shipped: where their files are has to be said.
NEED_SOURCE = ("mnist", "fashion-mnist", "folder")


def load_dataset(name: str, source: Source | None = None) -> Dataset:
    """The dataset of that name, read from `source`, called by `name`.

    UserError where there is none, its files are missing or damaged, or it is not what
    `source.sha256` names.
    """
    source = source or Source()
    if name in NEED_SOURCE and not source.location:
        raise UserError(f"dataset_source: {source_missing(name)}")
    dataset = replace(check(name, make("dataset", name, DATASETS, source)), name=name)
    if source.sha256 and dataset.sha256() != source.sha256:
        raise UserError(
            f"dataset {name}: what was read has the sha256 {dataset.sha256()}, and dataset_sha256 "
            f"is {source.sha256}: correct the one or the other"
        )
    return dataset


def source_missing(name: str) -> str:
    """What to do where a dataset needs a source and has none."""
    what = "with a directory for each class" if name == "folder" else "or URL with its IDX files"
    return f"{name} needs one: the directory {what}"


__all__ = [
    "DATASETS", "NEED_SOURCE", "Dataset", "Source", "load_dataset", "source_missing", "split",
]  # fmt: skip
