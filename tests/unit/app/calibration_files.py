"""Runs of a made-up pipeline as files, as the testbed would have left them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lifelog.capacity.fit import Observation
from lifelog.experiment.settings import Settings
from lifelog.verification.utilisation import judged

HOSTS = ("broker-1", "broker-2", "master-1", "worker-1", "worker-2")
VERSIONS = {"pyspark": "4.2.0", "java": "17"}


def settings_of(own: Observation) -> dict[str, Any]:
    """The settings whose load an observation has."""
    load = own.load
    engine, _, model = load.engine.partition(" ")
    names = ("mode", "images_per_record", "producer_batch_bytes", "replication", "partitions")
    same = {name: getattr(load, name) for name in names}
    same |= {n: getattr(load, n) for n in ("producers", "client", "encoding", "images_per_call")}
    chosen = Settings(engine=engine, model=model or "mlp", target_rate=load.target_rate, **same)
    return {**chosen.model_dump(), "brokers": 2, "workers": 2}


def write_runs(
    results: Path,
    seen: Sequence[Observation],
    experiment: str = "calibration",
    cores: int = 2,
    versions: dict[str, str] | None = None,
    code: str = "c0de",
    components: bool = True,
) -> Path:
    """A directory for each observation; returns results/EXPERIMENT."""
    for own in seen:
        point = own.name.replace(" ", "_")
        name = f"{point}-r01-a01"
        folder = results / experiment / name
        (folder / "consumer").mkdir(parents=True)
        settings = settings_of(own)
        busy = own.component_cores or {}
        hosts = {
            host: {"machine_id": "m", "cpu_model": "A", "cores": cores, "memory_mb": 8192,
                   "link": {"speed_mbit_s": None, "absent_because": "loopback has no link"}}
            for host in HOSTS
        }  # fmt: skip
        metrics: dict[str, Any] = {host: {"samples": 0, "absent_because": {}} for host in HOSTS}
        metrics["broker-1"] = {
            "samples": 60, "cores": float(cores), "mean_busy_cores": sum(busy.values()),
            "component_cores": busy if components else None, "absent_because": {},
            "largest_replica_lag_records": None,
            "mean_reference_ms": own.reference_s and 1000 * own.reference_s,
        }  # fmt: skip
        count = round(60 / own.interval_s)
        pause_ms, working_ms = 1e3 * (own.pause_s or 0), 1e3 * (own.working_s or 0)
        run: dict[str, Any] = {
            "format": 1, "experiment": experiment, "title": "t", "point": point, "run": name,
            "repetition": 1, "valid": True, "invalid_reasons": [], "marks": [], "labels": [],
            "factors": {"point": point}, "settings": settings, "mode": own.load.mode,
            "throughput_images_per_s": own.images_per_s, "within_run_ci95": None,
            "measured_s": count * own.interval_s, "micro_batches": count,
            "latency_ms": {"p50": None, "p99": None}, "latency_histogram": [],
            "accuracy": 0.9, "offline_accuracy": 0.9, "produced": 1, "acknowledged": 1,
            "processed": 1, "lost": 0, "duplicated": 0, "wrong": 0, "damaged": 0,
            "absent_because": {}, "stages_s": {},
            "series": {"completed_s": [], "images": [], "duration_s": [], "lag_records": []},
            "batch_breakdown_ms": {
                "triggerExecution": working_ms + pause_ms, "addBatch": working_ms,
            },
            "call_breakdown_us_per_image": {"convert": (own.convert_share or 0) * 50, "infer": 50},
            "node_metrics": metrics,
            "provenance": {
                "versions": versions or VERSIONS,
                "hashes": {"dataset": "d", "model": "m", "code": code}, "hosts": hosts,
                "spark_conf": {"spark.executor.cores": "1", "spark.cores.max": "2"},
                "placement": {"leaders": [11, 12], "executors": ["127.0.1.5", "127.0.1.6"]},
                "max_offsets_per_trigger": None, "image_bytes": own.load.image_bytes,
            },
        }  # fmt: skip
        run |= judged(run)
        dump(folder / "run.json", run)
        brokers = [{"host": f"broker-{n}", "node_id": n} for n in (1, 2)]
        dump(folder / "spec.json", {
            "brokers": brokers, "workers": 2, "worker_addresses": ["127.0.1.5", "127.0.1.6"],
            "replica_assignment": [[1, 2][: own.load.replication]] * own.load.partitions,
            "producers": [{"id": n + 1, "host": brokers[n % 2]["host"]} for n in range(own.load.producers)],
            "slots": 2, "dataset": {"image_bytes": own.load.image_bytes}, "labels": [],
        })  # fmt: skip
        dump(folder / "cluster.json", {
            "workers": [{"host": f"worker-{n}", "address": f"127.0.1.{4 + n}"} for n in (1, 2)],
            "masters": [{"host": "master-1"}], "controllers": [{"host": "controller-1"}],
        })  # fmt: skip
        rows = [{"worker": str(n), "images_per_s": own.bare_images_per_s / 2} for n in (1, 2)]
        dump(folder / "consumer/consumer.json", {"calibration": rows})
    return results / experiment


def dump(path: Path, value: Any) -> None:
    """Write JSON."""
    path.write_text(json.dumps(value), "utf-8")
