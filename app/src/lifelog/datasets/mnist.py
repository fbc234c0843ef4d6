"""MNIST and Fashion-MNIST: their IDX files from a directory or a URL.

60,000 images to train on and 10,000 to stream where the source has both; where it has only the
10,000 test images (t10k), 8,000 of these to train on and the other 2,000 to stream.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelog.datasets.base import Dataset, belong_together, split, with_channels
from lifelog.datasets.idx import read_idx
from lifelog.datasets.source import Source
from lifelog.errors import UserError

STREAM_IMAGES = 2000
SEED = 20260901
# Of the files as their authors publish them, packed by gzip.
KNOWN_SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}


def load_mnist(source: Source) -> Dataset:
    """Handwritten digits."""
    return _load("mnist", source)


def load_fashion_mnist(source: Source) -> Dataset:
    """Pieces of clothing, in MNIST's form."""
    return _load("fashion-mnist", source)


def load_t10k(name: str, source: Source, known: dict[str, str]) -> Dataset:
    """The test images alone, split by a seeded shuffle."""
    images, labels = _pair(name, source, known, "t10k")
    return split(name, images, labels, STREAM_IMAGES, SEED)


def _load(name: str, source: Source) -> Dataset:
    known = KNOWN_SHA256[name]
    if _file(source, known, "train-images-idx3-ubyte") is None:
        return load_t10k(name, source, known)
    train_images, train_labels = _pair(name, source, known, "train")
    images, labels = _pair(name, source, known, "t10k")
    return Dataset(
        name,
        with_channels(train_images),
        train_labels.astype(np.int64),
        with_channels(images),
        labels.astype(np.int64),
    )


def _pair(
    name: str, source: Source, known: dict[str, str], part: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    arrays = []
    for stem in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
        path = _file(source, known, stem)
        if path is None:
            raise UserError(
                f"dataset_source: {source.location} has no {stem}.gz, which {name} needs: put the "
                "dataset's IDX files there"
            )
        arrays.append(read_idx(path))
    belong_together(name, arrays[0], arrays[1])
    return arrays[0], arrays[1]


def _file(source: Source, known: dict[str, str], stem: str) -> Path | None:
    """The packed file, or the plain one; no hash is known of that, so the user must give one."""
    packed = source.file(f"{stem}.gz", known[stem])
    return packed if packed or (source.is_url and not source.sha256) else source.file(stem)
