"""A loop around kafka-python's `poll`, one consumer process for every `cores`-th partition."""

from __future__ import annotations

import sys

from kafka import KafkaConsumer, TopicPartition

from comparison.task import Task
from inference import Inference
from processes import own_partitions, run_workers

# Images, many calls' worth: a poll costs as much as converting some tens of them. It returns at once
# with what there is, so an unsaturated topic waits for nothing.
RECORDS_PER_POLL = 2000
# As the testbed's own consumer asks for.
PARTITION_FETCH_BYTES = 8 << 20


def work(task_file: str, worker: int) -> None:
    """Poll and infer until ended from outside."""
    task = Task.load(task_file)
    own = Inference(task)
    consumer = KafkaConsumer(
        bootstrap_servers=task.servers.split(","),
        group_id=task.group,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
    )
    consumer.assign([TopicPartition(task.topic, p) for p in own_partitions(task, worker)])
    consumer.seek_to_beginning()
    most = max(1, RECORDS_PER_POLL // task.images_per_record)
    while True:
        polled = consumer.poll(timeout_ms=1000, max_records=most)
        records = [record for part in polled.values() for record in part]
        for _ in own.calls([r.key for r in records], [r.value for r in records]):
            pass


if __name__ == "__main__":
    sys.exit(run_workers(work, sys.argv[1]))
