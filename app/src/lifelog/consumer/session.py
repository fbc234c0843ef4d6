"""The Spark application of a run: its settings and its streaming query."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from lifelog.consumer.batches import arrow_batch_records
from lifelog.consumer.calls import PACKED_COLUMNS
from lifelog.consumer.worker import Work, calibrate, infer_batches

CALIBRATION_S = 1.0
# One poll a task instead of fifteen, and no 500 ms wait at the end of a partition.
SOURCE_OPTIONS = {
    "kafka.max.poll.records": "20000",
    "kafka.fetch.max.bytes": str(64 << 20),
    "kafka.fetch.max.wait.ms": "10",
    "failOnDataLoss": "true",
}
# An executor may keep a consumer for each partition, each with what it fetched last, as bytes and as
# records. So all of that is a share of its heap: 16 partitions of 8 MiB ran 700 MB out of memory.
MOST_FETCH_BYTES, LEAST_FETCH_BYTES = 16 << 20, 256 << 10
FETCH_SHARE = 1 / 8
# Runs that share an application each have a topic, and consumers of their own: those of the last run
# would be kept for five minutes and fill the heap. One that is let go too early, between two
# micro-batches of a long trigger or before a late start, connects again.
_UNUSED, _LOOK = "20s", "5s"
CONSUMER_CACHE = {
    "spark.kafka.consumer.cache.timeout": _UNUSED,
    "spark.kafka.consumer.cache.evictorThreadRunInterval": _LOOK,
    "spark.kafka.consumer.fetchedData.cache.timeout": _UNUSED,
    "spark.kafka.consumer.fetchedData.cache.evictorThreadRunInterval": _LOOK,
}
# The consumers that check a backlog are there beside those of the query before.
BACKLOG_FETCH_SHARE = 1 / 4
EXECUTOR_JAVA = {
    # ParallelGC: about 4 us an image less than G1 at this heap size. Compiling later: what each
    # record passes is hot within seconds all the same, and the thousands of methods that a task
    # calls a few times are not worth a second compilation (6 s instead of 14 in 80 s).
    "connector": "-XX:+UseParallelGC -XX:NewRatio=1 -XX:CompileThresholdScaling=5",
    # No record passes the JVM: nothing in it is ever hot.
    "direct": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}
# A micro-batch writes two small files while no slot works. Without Hadoop's native library the
# default starts a process (chmod, readlink) for each of its steps there, and Spark and Hadoop each
# write a checksum file beside: 76 ms, and 9 with these.
CHECKPOINT = {
    "spark.sql.streaming.checkpointFileManagerClass": "org.apache.spark.sql.execution.streaming."
    "checkpointing.FileSystemBasedCheckpointFileManager",
    "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
}
# Spark's own default bound.
SPARK_ARROW_BATCH_BYTES = 64 << 20
MOST_ARROW_BATCH_BYTES = (1 << 31) - 1
_SECRET = re.compile("secret|password|token|credential", re.IGNORECASE)


def work_of(spec: dict[str, Any], bundles: Path) -> Work:
    """What the workers of this run have to do."""
    settings = spec["settings"]
    return Work(
        dataset_file=str(bundles / spec["dataset_file"]),
        model_file=str(bundles / spec["model_file"]),
        encoding=settings["encoding"],
        engine=settings["engine"],
        images_per_call=settings["images_per_call"],
        emulated_call_ms=settings["emulated_call_ms"],
        emulated_image_us=settings["emulated_image_us"],
        emulated_record_us=settings["emulated_record_us"]
        if settings["engine"] == "emulated"
        else 0,
    )


def partition_fetch_bytes(partitions: int, executor_memory_mb: int) -> int:
    """Most bytes that a consumer fetches of its partition at once (max.partition.fetch.bytes)."""
    fitting = int(FETCH_SHARE * executor_memory_mb * (1 << 20) / partitions)
    return max(LEAST_FETCH_BYTES, min(MOST_FETCH_BYTES, fitting))


def spark_conf(spec: dict[str, Any], jars: Path, installed: Collection[str] = ()) -> dict[str, str]:
    """Spark properties of the run's application; the secret stays in spark-defaults.conf.

    `installed`: properties that this node's spark-defaults.conf sets. They are stronger than our
    tuning, but not than what the run is about; the experiment's own are stronger than both.
    """
    settings = spec["settings"]
    tuned = {
        # The driver plans a few queries a second: compiling it a second time never pays.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.executor.extraJavaOptions": EXECUTOR_JAVA[settings["reader"]],
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
        "spark.locality.wait": "0s",
        "spark.ui.enabled": "false",
        "spark.python.worker.reuse": "true",
        "spark.kafka.consumer.cache.capacity": str(max(64, settings["partitions"])),
        **CONSUMER_CACHE,
        "spark.sql.streaming.metricsEnabled": "false",
        **CHECKPOINT,
    }
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    tuned |= {f"spark.executorEnv.{name}": "1" for name in one_thread}
    decided = {
        "spark.app.name": f"{spec['experiment']}-r{spec['repetition']:02d}",
        # A task that is done again would infer its images again: it fails the run instead.
        "spark.task.maxFailures": "1",
        "spark.driver.host": spec["driver_address"],
        "spark.driver.bindAddress": spec["driver_address"],
        "spark.driver.memory": f"{spec['driver_memory_mb']}m",
        "spark.driver.extraClassPath": f"{jars}/*",
        "spark.executor.extraClassPath": f"{jars}/*",
        "spark.executor.cores": str(spec["cores_per_worker"]),
        "spark.cores.max": str(spec["slots"]),
        "spark.executor.memory": f"{spec['executor_memory_mb']}m",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    }
    own = {key: str(value) for key, value in settings["spark_conf"].items()}
    return {key: tuned[key] for key in tuned if key not in installed} | decided | own


def query_conf(spec: dict[str, Any], installed: Collection[str] = ()) -> dict[str, str]:
    """Spark properties of the run's query alone; all of them, so that none of another run's stays."""
    settings, image_bytes = spec["settings"], spec["dataset"]["image_bytes"]
    records = arrow_batch_records(
        settings["images_per_call"], settings["images_per_record"], image_bytes
    )
    bound = records * settings["images_per_record"] * image_bytes <= SPARK_ARROW_BATCH_BYTES
    tuned = {
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(records),
        # Where the records are bound enough Spark need not add up the sizes of all vectors at each.
        "spark.sql.execution.arrow.maxBytesPerBatch": str(
            MOST_ARROW_BATCH_BYTES if bound else SPARK_ARROW_BATCH_BYTES
        ),
    }
    set_elsewhere = {*installed, *settings["spark_conf"]}
    return {key: tuned[key] for key in tuned if key not in set_elsewhere}


def installed_properties() -> set[str]:
    """Names of the properties that spark-defaults.conf of $SPARK_CONF_DIR sets; none without it."""
    directory = os.environ.get("SPARK_CONF_DIR")
    file = Path(directory, "spark-defaults.conf") if directory else None
    if file is None or not file.exists():
        return set()
    lines = (line.strip() for line in file.read_text("utf-8").splitlines())
    return {
        re.split(r"[\s=:]", line, maxsplit=1)[0] for line in lines if line and line[0] not in "#!"
    }


def make_session(spec: dict[str, Any], jars: Path) -> Any:
    """Start the driver's JVM, register with the master and wait for all executors."""
    from pyspark.sql import SparkSession

    # The executors' Python; a driver that spark-submit has not started reads it from here only.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(spec["master_url"])
    for key, value in spark_conf(spec, jars, installed_properties()).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    return session


def calibrate_workers(session: Any, work: Work, slots: int) -> list[dict[str, Any]]:
    """Load the model in every slot and time bare engine calls there, all slots at once."""
    rows = (
        session.range(0, slots, 1, slots)
        .mapInArrow(
            functools.partial(calibrate, work, CALIBRATION_S), "worker string, images_per_s double"
        )
        .collect()
    )
    return [row.asDict() for row in rows]


def start_query(
    session: Any,
    spec: dict[str, Any],
    work: Work,
    checkpoint: Path,
    max_offsets_per_trigger: int | None,
    on_batch: Callable[[Any, int], None],
    infer: bool = True,
) -> Any:
    """Start the streaming query; `on_batch` gets each micro-batch and runs its only action.

    Without `infer` it goes on where another one of this checkpoint ended, only checks what there is in
    the topic by then, one micro-batch after the other, and ends.
    """
    settings = spec["settings"]
    for key, value in query_conf(spec, installed_properties()).items():
        session.conf.set(key, value)
    read = _direct if settings["reader"] == "direct" else _through_connector
    trigger = {"processingTime": f"{settings['trigger_ms']} milliseconds"}
    return (
        read(session, spec, work, max_offsets_per_trigger, infer)
        .writeStream.foreachBatch(on_batch)
        .option("checkpointLocation", checkpoint.as_uri())
        .trigger(**(trigger if infer else {"availableNow": True}))
        .start()
    )


def _through_connector(
    session: Any, spec: dict[str, Any], work: Work, most: int | None, infer: bool
) -> Any:
    """Spark's Kafka connector fetches in the executors' JVMs."""
    settings = spec["settings"]
    options = dict(SOURCE_OPTIONS)
    fetch_bytes = partition_fetch_bytes(settings["partitions"], spec["executor_memory_mb"])
    if not infer:
        fetch_bytes = max(LEAST_FETCH_BYTES, int(BACKLOG_FETCH_SHARE * fetch_bytes))
    options |= {
        "kafka.max.partition.fetch.bytes": str(fetch_bytes),
        "kafka.bootstrap.servers": ",".join(spec["bootstrap_servers"]),
        "subscribe": spec["topic"],
        "startingOffsets": "earliest",
    }
    if most is not None:
        options["maxOffsetsPerTrigger"] = str(most)
    options |= {key: str(value) for key, value in settings["source_options"].items()}
    columns = ["key", "value", *(["timestamp"] if settings["mode"] == "paced" else [])]
    return (
        session.readStream.format("kafka")
        .options(**options)
        .load()
        .select(*columns)
        .mapInArrow(functools.partial(infer_batches, work, infer=infer), PACKED_COLUMNS)
    )


def _direct(session: Any, spec: dict[str, Any], work: Work, most: int | None, infer: bool) -> Any:
    """The Python workers fetch what they infer."""
    from lifelog.consumer.direct.source import DirectSource, Plan

    settings = spec["settings"]
    plan = Plan(
        servers=spec["bootstrap_servers"],
        topic=spec["topic"],
        partitions=settings["partitions"],
        most_records=most,
        timestamps=settings["mode"] == "paced",
        images_per_record=settings["images_per_record"],
        infer=infer,
        work=work,
    )
    session.dataSource.register(DirectSource)
    return session.readStream.format(DirectSource.name()).options(**plan.options()).load()


def provenance(session: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """Versions and settings of the running application and of the run's query, secrets left out."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for package in (
        *("pyspark", "pyarrow", "numpy", "pandas", "chainer", "onnxruntime"),
        *("kafka-python", "lifelog"),
    ):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    jvm = session.sparkContext._jvm
    versions["java"] = str(jvm.java.lang.System.getProperty("java.runtime.version"))
    settings = dict(session.sparkContext.getConf().getAll())
    settings |= query_conf(spec, installed_properties())
    return {
        "app_id": session.sparkContext.applicationId,
        "versions": versions,
        "spark_conf": {
            key: "(hidden)" if _SECRET.search(key) else value for key, value in settings.items()
        },
    }
