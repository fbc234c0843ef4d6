"""Make the bundles of a dataset and a model on the control node; nothing is trained twice."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lifelog.bundle import load_model_bundle, save_npz
from lifelog.datasets import Dataset, load_dataset

# The offline predictions are made in calls of the same size as the stream's by default.
OFFLINE_CALL = 100


@contextmanager
def _one_at_a_time(bundles: Path) -> Iterator[None]:
    with (bundles / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(
    dataset_name: str,
    model_name: str,
    bundles: Path,
    directory: Path | None,
    show: Callable[[str], None],
) -> dict[str, Any]:
    """Write both bundles into `bundles` where they are missing; returns their description."""
    from lifelog.models.train import RECIPE

    bundles.mkdir(parents=True, exist_ok=True)
    dataset = load_dataset(dataset_name, directory)
    data_hash = dataset.sha256()
    recipe = json.dumps([model_name, data_hash, RECIPE], sort_keys=True)
    model_hash = hashlib.sha256(recipe.encode()).hexdigest()
    label = dataset.name.replace(":", "-").replace(".", "-")
    dataset_file = f"dataset-{label}-{data_hash[:12]}.npz"
    model_file = f"model-{model_name.replace(':', '-')}-{label}-{model_hash[:12]}.npz"
    with _one_at_a_time(bundles):
        if not (bundles / dataset_file).exists():
            meta = {"name": dataset.name, "sha256": data_hash}
            save_npz(
                bundles / dataset_file, meta, {"images": dataset.images, "labels": dataset.labels}
            )
        trained = not (bundles / model_file).exists()
        if trained:
            _train(model_name, model_hash, dataset, bundles / model_file, show)
    accuracy = load_model_bundle(bundles / model_file).offline_accuracy
    show(
        f"{model_name} on {dataset.name}: {accuracy:.2%} of {len(dataset.images):,} right, offline"
    )
    return {
        "dataset_file": dataset_file,
        "dataset": {
            "name": dataset.name,
            "sha256": data_hash,
            "images": len(dataset.images),
            "shape": list(dataset.images.shape[1:]),
        },
        "model_file": model_file,
        "model": {"name": model_name, "sha256": model_hash, "offline_accuracy": accuracy},
        "trained": trained,
    }


def _train(
    name: str, model_hash: str, dataset: Dataset, path: Path, show: Callable[[str], None]
) -> None:
    from lifelog.engines.chainer_engine import ChainerEngine
    from lifelog.models.train import train

    weights = train(name, dataset.train_images, dataset.train_labels, show)
    arrays: dict[str, Any] = {f"weight:{key}": value for key, value in weights.items()}
    count = len(dataset.images)
    meta: dict[str, Any] = {
        "name": name,
        "sha256": model_hash,
        "shape": list(dataset.images.shape[1:]),
        "offline_accuracy": 0.0,
    }
    answers: dict[str, Any] = {
        "predictions": np.zeros(count, np.int64),
        "margins": np.zeros(count, np.float32),
    }
    # The engine reads a bundle, so one without answers comes first, under another name.
    draft = path.with_name(f".draft-{path.name}")
    save_npz(draft, meta, arrays | answers)
    engine = ChainerEngine(draft, {})
    draft.unlink()
    pixels = dataset.images.reshape(count, -1) * np.float32(1 / 255)
    for at in range(0, count, OFFLINE_CALL):
        scores = engine.scores(pixels[at : at + OFFLINE_CALL])
        best = np.sort(scores, axis=1)
        answers["predictions"][at : at + OFFLINE_CALL] = scores.argmax(axis=1)
        answers["margins"][at : at + OFFLINE_CALL] = best[:, -1] - best[:, -2]
    meta["offline_accuracy"] = float(np.mean(answers["predictions"] == dataset.labels))
    save_npz(path, meta, arrays | answers)
