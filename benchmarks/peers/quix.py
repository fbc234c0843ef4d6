"""Quix Streams: a batching sink that infers a checkpoint's images in chunks of one call.

Images have unique keys and need no order among them, so a count window, which is kept per key,
never fills; a `BatchingSink` is the library's own way of working on many messages at once. `cores`
applications of one consumer group share the partitions.
"""

from __future__ import annotations

import sys
from pathlib import Path

from quixstreams import Application
from quixstreams.sinks.base import BatchingSink, SinkBatch

from comparison.task import Task
from inference import Inference
from processes import run_workers


class Classifier(BatchingSink):  # type: ignore[misc]  # published without types
    """Infers the images of a partition that have come since the last checkpoint."""

    def __init__(self, own: Inference) -> None:
        super().__init__()
        self._own = own

    def write(self, batch: SinkBatch) -> None:
        """Infer one batch, call by call."""
        for chunk in batch.iter_chunks(self._own.size):
            for _ in self._own.calls([i.key for i in chunk], [i.value for i in chunk]):
                pass


def work(task_file: str, worker: int) -> None:
    """Run the application until ended from outside."""
    task = Task.load(task_file)
    app = Application(
        broker_address=task.servers,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        commit_interval=task.trigger_ms / 1000,
        state_dir=Path(task.directory) / f"state-{worker}",
    )
    topic = app.topic(task.topic, key_deserializer="bytes", value_deserializer="bytes")
    app.dataframe(topic).sink(Classifier(Inference(task)))
    app.run()


if __name__ == "__main__":
    sys.exit(run_workers(work, sys.argv[1]))
