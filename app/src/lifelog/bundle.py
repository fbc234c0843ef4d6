"""The two files that nodes receive: the stream's images, and a trained model with its answers.

NumPy archives without pickle, named by the hash of their content, written atomically.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog.errors import UserError


@dataclass(frozen=True, slots=True)
class DatasetBundle:
    """Stream images uint8 (N, h, w, c) and their labels int64 (N,)."""

    name: str
    sha256: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ModelBundle:
    """A trained model and its offline answers for each stream image.

    `shape`: (h, w, c) of the images. `predictions` int64 (N,); `margins` float32 (N,), the
    difference of the two best scores. `onnx`: the network in ONNX, with its weights left out,
    and `onnx_weights` the names of those that it uses; empty where `onnx_absent_because` says why.
    """

    name: str
    sha256: str
    weights: dict[str, NDArray[np.float32]]
    shape: tuple[int, ...]
    classes: int
    predictions: NDArray[np.int64]
    margins: NDArray[np.float32]
    offline_accuracy: float
    onnx: bytes
    onnx_weights: tuple[str, ...]
    onnx_absent_because: str | None


def save_npz(path: Path, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays and metadata so that a reader sees the whole file or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{"meta": text, **arrays})
    temporary.replace(path)


def _load(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta: dict[str, Any] = json.loads(arrays.pop("meta").tobytes())
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} cannot be read ({error}): remove it and run playbooks/app.yml again"
        ) from error
    return meta, arrays


def load_dataset_bundle(path: Path) -> DatasetBundle:
    """Read a dataset bundle; UserError where the file is missing or damaged."""
    meta, arrays = _load(path)
    return DatasetBundle(meta["name"], meta["sha256"], arrays["images"], arrays["labels"])


def load_model_bundle(path: Path) -> ModelBundle:
    """Read a model bundle; UserError where the file is missing or damaged."""
    meta, arrays = _load(path)
    return ModelBundle(
        name=meta["name"],
        sha256=meta["sha256"],
        weights={
            key.removeprefix("weight:"): value
            for key, value in arrays.items()
            if key.startswith("weight:")
        },
        shape=tuple(meta["shape"]),
        classes=int(meta["classes"]),
        predictions=arrays["predictions"],
        margins=arrays["margins"],
        offline_accuracy=float(meta["offline_accuracy"]),
        onnx=arrays["onnx"].tobytes() if "onnx" in arrays else b"",
        onnx_weights=tuple(meta.get("onnx_weights", ())),
        onnx_absent_because=meta.get("onnx_absent_because"),
    )
