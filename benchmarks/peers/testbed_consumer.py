"""This testbed: its own consumer, `lifelog.consumer.driver`, with its accounting, as in a run.

Only the cluster differs from a run: `local-cluster` makes executors of their own and ends them with
the driver. When it ends, its calls become the rows that the other peers write as they go.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from comparison.brokers import PRODUCER
from comparison.rows import JUDGED, ROW_DTYPE
from comparison.task import Task
from lifelog.bundle import load_dataset_bundle
from lifelog.consumer.driver import Consumer
from lifelog.jsonfiles import read_json, write_json
from lifelog.record import KEY_BYTES, WARMUP_PRODUCER, expand_calls, parse_keys
from processes import guard
from spark import DRIVER_MB, EXECUTOR_MB, WORKER_MB

WARMUP_S = 10.0
DRAIN_TIMEOUT_S = 600.0


def spec_of(task: Task) -> dict[str, Any]:
    """The part of a run's spec that the consumer reads."""
    workers = task.cores // task.cores_per_worker
    return {
        "experiment": "peers",
        "repetition": 1,
        "run": task.mode,
        "topic": task.topic,
        "bootstrap_servers": task.servers.split(","),
        "dataset_file": Path(task.dataset_file).name,
        "dataset": {"image_bytes": load_dataset_bundle(Path(task.dataset_file)).images[0].nbytes},
        "model_file": Path(task.model_file).name,
        "master_url": f"local-cluster[{workers},{task.cores_per_worker},{WORKER_MB}]",
        "driver_address": "127.0.0.1",
        "driver_memory_mb": DRIVER_MB,
        "executor_memory_mb": EXECUTOR_MB,
        "cores_per_worker": task.cores_per_worker,
        "slots": task.cores,
        "producers": [{"id": PRODUCER, "images": task.images}],
        "settings": {
            "mode": "drain" if task.mode == "saturated" else "paced",
            "partitions": task.partitions,
            "images_per_record": task.images_per_record,
            "encoding": "uint8",
            "engine": task.engine,
            "images_per_call": task.images_per_call,
            "emulated_call_ms": task.emulated_call_ms,
            "emulated_image_us": 0.0,
            "emulated_record_us": 0.0,
            "trigger_ms": task.trigger_ms,
            "batch_cap_s": task.batch_cap_s,
            "warmup_s": WARMUP_S,
            "duration_s": task.paced_s,
            "drain_timeout_s": DRAIN_TIMEOUT_S,
            # Of the producer that feeds its warm-up.
            "producer_batch_bytes": 131072,
            "linger_ms": 5,
            "reader": task.reader,
            "source_options": task.source_options,
            "spark_conf": {
                "spark.local.dir": str(Path(task.directory) / "local"),
                **task.spark_conf,
            },
        },
    }


def write_rows(directory: Path, images: int) -> None:
    """Rows and counts of the calls that the run left, without those of its warm-up.

    `images`: in the stream.
    """
    with pa.memory_map(str(directory / "consumer" / "calls.arrow")) as file:
        calls = pa.ipc.open_stream(file).read_all()
    keys = calls["keys"].to_pylist()
    number = {
        name: calls[name].to_numpy().astype(np.int64)
        for name in ("record_images", "skip", "images", "ended_ns", "correct", "near_ties", "wrong")
    }
    own, call = expand_calls(
        parse_keys(b"".join(keys)),
        np.array([len(key) // KEY_BYTES for key in keys], np.int64),
        number["record_images"],
        number["skip"],
        number["images"],
        images,
    )
    rows = np.empty(len(own), ROW_DTYPE)
    # Calls are stamped with the time of day.
    rows["end_ns"] = number["ended_ns"][call] + (time.monotonic_ns() - time.time_ns())
    rows["sequence"], rows["producer"] = own["sequence"], own["producer"]
    rows["predicted"] = JUDGED
    counted = own["producer"] != WARMUP_PRODUCER
    whole = np.unique(call[counted])
    counts = {name: int(number[name][whole].sum()) for name in ("correct", "near_ties", "wrong")}
    (directory / "judged.json").write_text(json.dumps(counts), encoding="utf-8")
    (directory / "rows-all.bin").write_bytes(rows[counted].tobytes())


def announce(directory: Path) -> None:
    """Say by the file `ready` that the consumer is warm, as its status does.

    Runs in a daemon thread: where the consumer never is, it ends with the process.
    """
    while (read_json(directory / "consumer.status.json") or {}).get("phase") != "ready":
        time.sleep(0.1)
    (directory / "ready").touch()


def main(task_file: str) -> int:
    """Run the consumer to the end of its topic."""
    guard()
    task = Task.load(task_file)
    directory = Path(task.directory)
    write_json(directory / "spec.json", spec_of(task))
    if task.mode == "saturated":
        # All images are there: it measures from its first one, and drains.
        write_json(directory / "start.json", {"start_ns": time.time_ns()})
        (directory / "drain").touch()
    else:
        threading.Thread(target=announce, args=(directory,), daemon=True).start()
    consumer = Consumer(directory, Path(task.dataset_file).parent, Path(task.connector))
    application = consumer.run(None)
    consumer.finish()
    application.session.stop()
    if task.rows:
        write_rows(directory, len(load_dataset_bundle(Path(task.dataset_file)).images))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
