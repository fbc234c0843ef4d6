"""Labelled images in directories, among them 96 x 96 x 3 ones made from the digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifelog.datasets import Source, load_dataset
from lifelog.errors import UserError


def write(folder: Path, label: str, name: str, pixels: np.ndarray) -> None:
    (folder / label).mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / label / name)


def load(folder: Path):
    return load_dataset("folder", Source(str(folder)))


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """60 colour images of 96 x 96: digits in a colour of their class on noise."""
    images = load_dataset("mnist-t10k")
    random = np.random.default_rng(1)
    for number in range(60):
        label = int(images.labels[number])
        digit = Image.fromarray(images.images[number, ..., 0]).resize((96, 96))
        tint = np.array([255, 25 * label, 255 - 25 * label]) / 255
        pixels = np.asarray(digit)[..., None] * tint + random.integers(0, 20, (96, 96, 3))
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)
        write(tmp_path, f"digit-{label}", f"{number:03}.png", pixels)
    return tmp_path


def test_camera_like_frames_are_read_in_a_fixed_order(digits: Path) -> None:
    dataset = load(digits)
    assert dataset.train_images.shape == (48, 96, 96, 3)
    assert dataset.images.shape == (12, 96, 96, 3)
    assert dataset.classes == len(list(digits.iterdir()))
    assert load(digits).sha256() == dataset.sha256()
    # A label is the place of its directory among all.
    names = sorted(path.name for path in digits.iterdir())
    for image, label in zip(dataset.images, dataset.labels, strict=True):
        own = [np.asarray(Image.open(p)) for p in (digits / names[label]).iterdir()]
        assert any(np.array_equal(image, other) for other in own)


def test_gray_images_stay_gray_and_one_in_colour_makes_all_so(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path, "ab"[number % 2], f"{number}.png", np.full((4, 6), number, np.uint8))
    (tmp_path / "a/.hidden").write_text("not looked at")
    assert load(tmp_path).images.shape == (2, 4, 6, 1)
    write(tmp_path, "a", "colour.png", np.full((4, 6, 3), (1, 2, 3), np.uint8))
    dataset = load(tmp_path)
    everything = np.concatenate([dataset.train_images, dataset.images])
    assert everything.shape == (11, 4, 6, 3)
    assert sorted(everything[:, 0, 0].tolist()) == sorted(
        [[number] * 3 for number in range(10)] + [[1, 2, 3]]
    )


def test_each_fault_of_a_folder_is_named(tmp_path: Path) -> None:
    def refused(sentence: str) -> None:
        with pytest.raises(UserError, match=sentence) as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)

    gray = np.zeros((4, 6), np.uint8)
    refused("has 0 directories, and a class is a directory")
    for number in range(8):
        write(tmp_path, "a", f"{number}.png", gray)
    refused("has 1 directories")
    (tmp_path / "b").mkdir()
    refused(r"b is empty: put the images of this class there")
    write(tmp_path, "b", "odd.png", np.zeros((5, 6), np.uint8))
    refused(r"odd\.png is 6 x 5 pixels and 0\.png before it 6 x 4: make all images equally large")
    (tmp_path / "b/odd.png").write_text("not an image")
    refused(r"odd\.png is not an image that can be read")
    write(tmp_path, "b", "odd.png", np.zeros((4, 6), np.uint8))
    whole = (tmp_path / "a/0.png").read_bytes()
    (tmp_path / "a/0.png").write_bytes(whole[:-20])
    refused(r"0\.png is not an image that can be read")
    write(tmp_path, "a", "0.png", np.zeros((4, 6), np.uint16))
    refused(r"0\.png has pixels of the kind I;16: save it as 8-bit gray or RGB")
    with pytest.raises(UserError, match="read from a directory"):
        load_dataset("folder", Source("http://127.0.0.1/x"))


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    for label in "ab":
        write(tmp_path, label, "1.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(UserError, match="of one class: give it two classes or more"):
        load(tmp_path)
