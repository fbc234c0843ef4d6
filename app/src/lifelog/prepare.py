"""Make the bundles of datasets and models on the control node; nothing is trained twice."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelog.bundle import load_model_bundle, save_npz
from lifelog.byname import file_label
from lifelog.datasets import Dataset, Source, load_dataset
from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment, Point
from lifelog.models import network_sha256

# The offline predictions are made in calls of the same size as the stream's by default.
OFFLINE_CALL = 100
# What a model bundle holds; a change of it makes them all anew.
MODEL_BUNDLE_VERSION = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """A dataset, where it comes from and what it must hash to, and a model to train on it."""

    dataset: str
    model: str
    dataset_source: str | None = None
    dataset_sha256: str | None = None


def wanted_by(experiment: Experiment, only: Iterable[str] = ()) -> list[Wanted]:
    """What the points of an experiment name, each once, in their order.

    `only`: of these points and those that their rates derive from; of all where it is empty.
    UserError where one of them is not a point.
    """
    names: set[str] = set()
    for name in only:
        point: Point | None = experiment.point(name)
        while point is not None:
            names.add(point.name)
            point = None if point.source is None else experiment.point(point.source)
    settings = [p.settings for p in experiment.points if not names or p.name in names]
    return list(
        dict.fromkeys(
            Wanted(s.dataset, s.model, s.dataset_source, s.dataset_sha256) for s in settings
        )
    )


@contextmanager
def _one_at_a_time(bundles: Path) -> Iterator[None]:
    with (bundles / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(wanted: Wanted, bundles: Path, show: Callable[[str], None]) -> dict[str, Any]:
    """Write both bundles into `bundles` where they are missing; returns their description.

    What is fetched is kept in `bundles`/downloads.
    """
    from lifelog.models.train import RECIPE

    bundles.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(bundles):
        source = Source(wanted.dataset_source, wanted.dataset_sha256, bundles / "downloads", show)
        dataset = load_dataset(wanted.dataset, source)
        data_hash = dataset.sha256()
        recipe = [wanted.model, network_sha256(wanted.model), data_hash, RECIPE]
        model_hash = hashlib.sha256(
            json.dumps([*recipe, MODEL_BUNDLE_VERSION], sort_keys=True).encode()
        ).hexdigest()
        label = file_label(dataset.name)
        dataset_file = f"dataset-{label}-{data_hash[:12]}.npz"
        model_file = f"model-{file_label(wanted.model)}-{label}-{model_hash[:12]}.npz"
        show(
            f"{dataset.name}: {len(dataset.train_images):,} images to train on and "
            f"{len(dataset.images):,} to stream, {' x '.join(map(str, dataset.images.shape[1:]))}, "
            f"sha256 {data_hash}"
        )
        if not (bundles / dataset_file).exists():
            meta = {"name": dataset.name, "sha256": data_hash}
            save_npz(
                bundles / dataset_file, meta, {"images": dataset.images, "labels": dataset.labels}
            )
        trained = not (bundles / model_file).exists()
        if trained:
            _train(wanted.model, model_hash, dataset, bundles / model_file, show)
    accuracy = load_model_bundle(bundles / model_file).offline_accuracy
    show(
        f"{wanted.model} on {dataset.name}: {accuracy:.2%} of {len(dataset.images):,} right, "
        "offline"
    )
    return {
        "dataset_source": wanted.dataset_source,
        "dataset_sha256": wanted.dataset_sha256,
        "dataset_file": dataset_file,
        "dataset": {
            "name": dataset.name,
            "sha256": data_hash,
            "images": len(dataset.images),
            "shape": list(dataset.images.shape[1:]),
        },
        "model_file": model_file,
        "model": {"name": wanted.model, "sha256": model_hash, "offline_accuracy": accuracy},
        "trained": trained,
    }


def _train(
    name: str, model_hash: str, dataset: Dataset, path: Path, show: Callable[[str], None]
) -> None:
    from lifelog.engines.chainer_engine import ChainerEngine
    from lifelog.models.onnx_graph import to_onnx
    from lifelog.models.train import train

    shape, classes = dataset.images.shape[1:], dataset.classes
    weights = train(name, dataset.train_images, dataset.train_labels, classes, show)
    arrays: dict[str, Any] = {f"weight:{key}": value for key, value in weights.items()}
    count = len(dataset.images)
    meta: dict[str, Any] = {
        "name": name,
        "sha256": model_hash,
        "shape": list(shape),
        "classes": classes,
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
    for at in range(0, count, OFFLINE_CALL):
        images = dataset.images[at : at + OFFLINE_CALL]
        scores = engine.scores(images.reshape(len(images), -1) * np.float32(1 / 255))
        best = np.sort(scores, axis=1)
        answers["predictions"][at : at + OFFLINE_CALL] = scores.argmax(axis=1)
        answers["margins"][at : at + OFFLINE_CALL] = best[:, -1] - best[:, -2]
    meta["offline_accuracy"] = float(np.mean(answers["predictions"] == dataset.labels))
    try:
        graph, meta["onnx_weights"] = to_onnx(engine.network, shape)
        arrays["onnx"] = np.frombuffer(graph, np.uint8)
    except UserError as error:
        # A network of a user's own need not be translatable.
        meta["onnx_absent_because"] = str(error)
    save_npz(path, meta, arrays | answers)
