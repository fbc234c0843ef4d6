"""What a dataset is: labelled images, split into those to train on and those to stream."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelog.errors import UserError


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images uint8 (N, h, w, c) and labels int64 (N,) for training and for the stream."""

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def sha256(self) -> str:
        """Hash of all pixels, labels and the split."""
        digest = hashlib.sha256(self.name.encode())
        for array in (self.train_images, self.train_labels, self.images, self.labels):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def split(
    name: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], stream: int, seed: int
) -> Dataset:
    """Shuffle by `seed` and keep the last `stream` images for the stream.

    `images`: uint8 (N, h, w) or (N, h, w, c); `labels`: uint8 (N,).
    """
    if len(images) != len(labels):
        raise UserError(
            f"{name}: {len(images)} images and {len(labels)} labels do not belong together: "
            "check that both files are of one set"
        )
    if labels.ndim != 1 or len(images) <= stream:
        raise UserError(
            f"{name}: {len(images)} images with labels of {labels.ndim} dimensions cannot be split "
            f"into training and {stream} images to stream: check that the files are the right ones"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    order = np.random.default_rng(seed).permutation(len(images))
    train, held_out = order[:-stream], order[-stream:]
    wide = labels.astype(np.int64)
    return Dataset(name, images[train], wide[train], images[held_out], wide[held_out])
