"""The 10,000 test images of MNIST, shipped with the package: 8,000 to train on, 2,000 to stream."""

from __future__ import annotations

from pathlib import Path

from lifelog.datasets.base import Dataset, split
from lifelog.datasets.idx import read_idx

STREAM_IMAGES = 2000
SEED = 20260901


def load(directory: Path | None = None) -> Dataset:
    """Read the set from the package, or the same two files from `directory`."""
    folder = directory or Path(__file__).parent / "data" / "mnist-t10k"
    return split(
        "mnist-t10k",
        read_idx(folder / "t10k-images-idx3-ubyte.gz"),
        read_idx(folder / "t10k-labels-idx1-ubyte.gz"),
        STREAM_IMAGES,
        SEED,
    )
