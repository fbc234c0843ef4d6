"""The job that `flink.py` submits."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

from comparison.task import Task
from inference import inference

# An Arrow batch is some calls; a bundle is what may be under way at once, and its time bounds how
# long an image of an unsaturated topic waits for its batch to fill.
ARROW_BATCH = 1000
BUNDLE = 10_000
BUNDLE_MS = 100
# The other peers keep their place in the topic too: the Kafka clients every five seconds.
CHECKPOINT_MS = 5000


def main(task_file: str) -> None:
    """Submit: Kafka -> pandas UDF -> Flink's sink for measurements."""
    task = Task.load(task_file)

    @udf(result_type=DataTypes.INT(), func_type="pandas")  # type: ignore[untyped-decorator]  # published without types
    def classify(key: pd.Series, value: pd.Series) -> pd.Series:
        own = inference(task_file)
        return pd.Series(
            np.concatenate(list(own.calls(key.tolist(), value.tolist()))), dtype="int32"
        )

    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, setting in {
        "pipeline.object-reuse": "true",
        "parallelism.default": str(task.cores),
        "execution.checkpointing.interval": f"{CHECKPOINT_MS} ms",
        # A metric costs a little for every element.
        "python.metric.enabled": "false",
        "python.fn-execution.arrow.batch.size": str(ARROW_BATCH),
        "python.fn-execution.bundle.size": str(BUNDLE),
        "python.fn-execution.bundle.time": str(BUNDLE_MS),
    }.items():
        tables.get_config().set(key, setting)
    tables.create_temporary_function("classify", classify)
    tables.execute_sql(f"""
        CREATE TABLE images (record_key BYTES, pixels BYTES) WITH (
            'connector' = 'kafka',
            'topic' = '{task.topic}',
            'properties.bootstrap.servers' = '{task.servers}',
            'properties.group.id' = '{task.group}',
            'scan.startup.mode' = 'earliest-offset',
            'key.format' = 'raw',
            'key.fields' = 'record_key',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )""")
    tables.execute_sql(
        "CREATE TABLE predictions (record_key BYTES, predicted INT) WITH ('connector' = 'blackhole')"
    )
    tables.execute_sql(
        "INSERT INTO predictions SELECT record_key, classify(record_key, pixels) FROM images"
    )


if __name__ == "__main__":
    main(sys.argv[1])
