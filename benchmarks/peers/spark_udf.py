"""Spark Structured Streaming with a plain Python function for each image."""

from __future__ import annotations

import sys

from pyspark.sql.functions import udf

from comparison.task import Task
from inference import inference
from spark import read_topic, run, start_session


def main(task_file: str) -> int:
    """Run the query until ended from outside."""
    task = Task.load(task_file)
    session = start_session(task, "spark-udf")

    @udf("int")
    def classify(key: bytes, value: bytes) -> int:
        return inference(task_file).one(bytes(key), bytes(value))

    frame = read_topic(session, task)
    return run(frame.select("key", classify("key", "value").alias("predicted")), task)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
