"""The 10,000 test images of MNIST, shipped with the package: 8,000 to train on, 2,000 to stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lifelog.datasets.base import Dataset
from lifelog.datasets.mnist import KNOWN_SHA256, load_t10k
from lifelog.datasets.source import Source


def load(source: Source) -> Dataset:
    """Read the set from the package, or the same two files from the source."""
    if not source.location:
        source = replace(source, location=str(Path(__file__).parent / "data" / "mnist-t10k"))
    return load_t10k("mnist-t10k", source, KNOWN_SHA256["mnist"])
