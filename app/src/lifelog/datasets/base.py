"""What a dataset is: labelled images, split into those to train on and those to stream."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

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

    @property
    def classes(self) -> int:
        """Number of classes: labels are 0 to this, exclusive."""
        return int(max(self.train_labels.max(), self.labels.max())) + 1

    def sha256(self) -> str:
        """Hash of the name and all pixels, labels and the split."""
        digest = hashlib.sha256(self.name.encode())
        for array in (self.train_images, self.train_labels, self.images, self.labels):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def check(name: str, dataset: Any) -> Dataset:
    """What a dataset's function returned; UserError where it cannot be trained on and streamed."""

    def wrong(text: str) -> UserError:
        return UserError(f"dataset {name}: {text}")

    if not isinstance(dataset, Dataset):
        raise wrong(f"its function returned {type(dataset).__name__}, not a Dataset: return one")
    for part, images, labels in (
        ("train_images", dataset.train_images, dataset.train_labels),
        ("images", dataset.images, dataset.labels),
    ):
        if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
            raise wrong(
                f"{part} is {images.dtype} {images.shape}: make it uint8 (N, h, w, c), N at least 1"
            )
        if labels.dtype != np.int64 or labels.shape != (len(images),) or labels.min() < 0:
            raise wrong(f"give {part} one int64 label each, 0 or more")
    shapes = [dataset.train_images.shape[1:], dataset.images.shape[1:]]
    if shapes[0] != shapes[1]:
        raise wrong(f"images to train on are {shapes[0]} and those to stream {shapes[1]}: use one")
    if len(np.unique(dataset.train_labels)) < 2:
        raise wrong("all images to train on are of one class: give it two classes or more")
    return dataset


def split(
    name: str, images: NDArray[np.uint8], labels: NDArray[Any], stream: int, seed: int
) -> Dataset:
    """Shuffle by `seed` and keep the last `stream` images for the stream.

    `images`: uint8 (N, h, w) or (N, h, w, c); `labels`: whole numbers (N,).
    """
    belong_together(name, images, labels)
    if len(images) <= stream:
        raise UserError(
            f"{name}: {len(images)} images cannot be split into training and {stream} images to "
            "stream: check that the files are the right ones"
        )
    order = np.random.default_rng(seed).permutation(len(images))
    train, held_out = order[:-stream], order[-stream:]
    images, wide = with_channels(images), labels.astype(np.int64)
    return Dataset(name, images[train], wide[train], images[held_out], wide[held_out])


def belong_together(name: str, images: NDArray[np.uint8], labels: NDArray[Any]) -> None:
    """UserError where images and labels are not of one set."""
    if images.ndim not in (3, 4) or labels.ndim != 1 or len(images) != len(labels):
        raise UserError(
            f"{name}: images of shape {images.shape} and labels of shape {labels.shape} do not "
            "belong together: check that both files are of one set"
        )


def with_channels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, h, w) or (N, h, w, c) as (N, h, w, c)."""
    return images[..., np.newaxis] if images.ndim == 3 else images
