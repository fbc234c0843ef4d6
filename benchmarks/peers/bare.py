"""The limit: the engine in `cores` processes on images that are in memory already."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from comparison.brokers import PRODUCER
from comparison.task import Task
from inference import Inference
from lifelog.bundle import load_dataset_bundle
from lifelog.record import KEY_DTYPE, start_index
from processes import run_workers


def work(task_file: str, worker: int) -> None:
    """Infer every call's worth of images whose number is the worker's, modulo `cores`."""
    task = Task.load(task_file)
    images = load_dataset_bundle(Path(task.dataset_file)).images
    raw = images.reshape(len(images), -1)
    count, size = len(raw), task.images_per_call
    own = Inference(task)
    # Laid out once more, so that a call may run past the last image.
    raw = np.concatenate([raw, raw[:size]])
    for at in range(worker * size, task.images, task.cores * size):
        n = min(size, task.images - at)
        first = (start_index(PRODUCER, count) + at) % count
        keys = np.zeros(n, KEY_DTYPE)
        keys["producer"] = PRODUCER
        keys["sequence"] = np.arange(at, at + n)
        own.call(raw[first : first + n], keys)


if __name__ == "__main__":
    sys.exit(run_workers(work, sys.argv[1]))
