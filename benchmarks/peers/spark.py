"""What both Spark peers share: session, source and sink as Spark's guides write them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from comparison.task import Task
from processes import guard

# As the testbed gives its own driver and executors; an executor has one core.
DRIVER_MB = 1024
WORKER_MB = 1024
EXECUTOR_MB = 768
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def start_session(task: Task, name: str) -> Any:
    """A driver and `cores` executors, each a process of its own, and else Spark's defaults."""
    from pyspark.sql import SparkSession

    guard()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    jars = ",".join(str(jar) for jar in sorted(Path(task.connector).glob("*.jar")))
    builder = (
        SparkSession.builder.master(f"local-cluster[{task.cores},1,{WORKER_MB}]")
        .appName(name)
        .config("spark.jars", jars)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", f"{DRIVER_MB}m")
        .config("spark.executor.memory", f"{EXECUTOR_MB}m")
        .config("spark.local.dir", str(Path(task.directory) / "local"))
        .config("spark.ui.enabled", "false")
    )
    for variable in ONE_THREAD:
        builder = builder.config(f"spark.executorEnv.{variable}", "1")
    builder = builder.config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"])
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    return session


def read_topic(session: Any, task: Task) -> Any:
    """The topic as a streaming frame with the columns key and value, from its beginning."""
    reader = (
        session.readStream.format("kafka")
        .option("kafka.bootstrap.servers", task.servers)
        .option("subscribe", task.topic)
        .option("startingOffsets", "earliest")
    )
    if task.mode == "saturated":
        reader = reader.option("maxOffsetsPerTrigger", task.images_per_trigger)
    return reader.load().select("key", "value")


def run(frame: Any, task: Task) -> int:
    """Write the predictions to Spark's sink for measurements until ended from outside."""
    query = (
        frame.writeStream.format("noop")
        .option("checkpointLocation", (Path(task.directory) / "checkpoint").as_uri())
        .trigger(processingTime=f"{task.trigger_ms} milliseconds")
        .start()
    )
    query.awaitTermination()
    return 1
