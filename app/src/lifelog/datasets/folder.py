"""Labelled images in directories: one directory for each class, named after it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelog.datasets.base import Dataset, split
from lifelog.datasets.source import SHOW_EVERY_S, Source
from lifelog.errors import UserError

STREAM_SHARE = 0.2
SEED = 20260901
# Pillow's modes of 8 bits a channel; transparency is dropped.
GRAY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")


def load(source: Source) -> Dataset:
    """Read every image, classes and files in the order of their names; a fifth is streamed.

    Gray images are (h, w, 1); where any has colours, all are (h, w, 3). UserError where a file is
    no image of 8 bits a channel, one has another size than the first, or there are fewer than two
    classes.
    """
    root = source.directory()
    classes = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if len(classes) < 2:
        raise UserError(
            f"{root} has {len(classes)} directories, and a class is a directory with its images: "
            "make two or more"
        )
    files: list[tuple[Path, int]] = []
    for label, folder in enumerate(classes):
        own = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
        if not own:
            raise UserError(f"{folder} is empty: put the images of this class there, or remove it")
        files += [(path, label) for path in own]
    images = _read_all([path for path, _ in files], source)
    stream = max(1, round(STREAM_SHARE * len(images)))
    return split("folder", images, np.array([label for _, label in files], np.int64), stream, SEED)


def _read_all(paths: list[Path], source: Source) -> NDArray[np.uint8]:
    images: list[NDArray[np.uint8]] = []
    shown = time.monotonic()
    for path in paths:
        images.append(_read(path))
        if images[-1].shape[:2] != images[0].shape[:2]:
            (height, width), (first_height, first_width) = images[-1].shape[:2], images[0].shape[:2]
            raise UserError(
                f"{path} is {width} x {height} pixels and {paths[0].name} before it "
                f"{first_width} x {first_height}: make all images equally large"
            )
        if time.monotonic() - shown > SHOW_EVERY_S:
            shown = time.monotonic()
            source.show(f"reading images: {len(images):,} of {len(paths):,}")
    channels = max(image.shape[2] for image in images)
    return np.stack([np.broadcast_to(i, (*i.shape[:2], channels)) for i in images])


def _read(path: Path) -> NDArray[np.uint8]:
    """One image, uint8 (h, w, 1) or (h, w, 3)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in GRAY_MODES + COLOUR_MODES:
                raise UserError(
                    f"{path} has pixels of the kind {image.mode}: save it as 8-bit gray or RGB"
                )
            if image.mode in GRAY_MODES:
                return np.asarray(image.convert("L"))[..., np.newaxis]
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} is not an image that can be read ({reason}): remove or replace it"
        ) from None
