"""Data sets and their files, and the bundles made of them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from lifelog.bundle import load_dataset_bundle, save_npz
from lifelog.datasets import Source, load_dataset
from lifelog.datasets.idx import read_idx
from lifelog.engines import make_engine
from lifelog.errors import UserError


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def test_the_shipped_set_is_whole_and_split_without_overlap() -> None:
    dataset = load_dataset("mnist-t10k")
    assert dataset.train_images.shape == (8000, 28, 28, 1)
    assert dataset.images.shape == (2000, 28, 28, 1)
    assert set(dataset.labels) == set(range(10))
    training = {image.tobytes() for image in dataset.train_images}
    assert sum(image.tobytes() in training for image in dataset.images) < 5
    assert dataset.sha256() == load_dataset("mnist-t10k").sha256()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_are_read_plain_and_packed(tmp_path: Path, pack) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(pack(idx(array)))
    assert np.array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not an IDX file"),
        (b"PK\3\4 something else", "not an IDX file"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], "damaged"),
        (idx(np.zeros((2, 3), np.uint8)) + b"x", "damaged"),
        (idx(np.zeros((0, 3), np.uint8)), "damaged"),
        (gzip.compress(idx(np.zeros((20, 30), np.uint8)), mtime=0)[:-9], "damaged"),
    ],
)
def test_a_bad_idx_file_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "images.gz").write_bytes(content)
    with pytest.raises(UserError, match=sentence) as caught:
        read_idx(tmp_path / "images.gz")
    assert "images.gz" in str(caught.value)


def test_a_missing_file_and_an_unknown_name_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no t10k-images-idx3-ubyte\.gz"):
        load_dataset("mnist-t10k", Source(str(tmp_path)))
    with pytest.raises(UserError, match="did you mean mnist-t10k"):
        load_dataset("mnist-t1k")
    with pytest.raises(UserError, match="chainer"):
        make_engine("chainr", tmp_path, {})


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\3\4"])
def test_a_damaged_bundle_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"dataset\.npz"):
        load_dataset_bundle(tmp_path / "dataset.npz")


def test_a_bundle_comes_back_as_it_was(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    arrays = {"images": images, "labels": np.array([3, 4])}
    save_npz(tmp_path / "d.npz", {"name": "d", "sha256": "ab"}, arrays)
    bundle = load_dataset_bundle(tmp_path / "d.npz")
    assert np.array_equal(bundle.images, images)
    assert (bundle.name, bundle.sha256, bundle.labels.tolist()) == ("d", "ab", [3, 4])
