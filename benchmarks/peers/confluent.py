"""A loop around confluent-kafka's batch `consume`, one process for every `cores`-th partition."""

from __future__ import annotations

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from comparison.task import Task
from inference import Inference
from processes import own_partitions, run_workers

# `consume` waits for as many messages as it is asked for, so one call's worth, and not for long.
WAIT_S = 0.05


def work(task_file: str, worker: int) -> None:
    """Consume and infer until ended from outside."""
    task = Task.load(task_file)
    own = Inference(task)
    consumer = Consumer(
        {
            "bootstrap.servers": task.servers,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
        }
    )
    call_records = max(1, task.images_per_call // task.images_per_record)
    partitions = own_partitions(task, worker)
    consumer.assign([TopicPartition(task.topic, p, OFFSET_BEGINNING) for p in partitions])
    while True:
        messages = consumer.consume(num_messages=call_records, timeout=WAIT_S)
        for message in messages:
            if message.error():
                raise RuntimeError(str(message.error()))
        keys, values = [m.key() or b"" for m in messages], [m.value() or b"" for m in messages]
        for _ in own.calls(keys, values):
            pass


if __name__ == "__main__":
    sys.exit(run_workers(work, sys.argv[1]))
