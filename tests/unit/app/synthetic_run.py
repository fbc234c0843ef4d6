"""A run directory as producers and consumer write it, made up, for faults to be put into."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifelog.consumer.calls import CALL_SCHEMA
from lifelog.experiment.settings import Settings
from lifelog.record import KEY_DTYPE, start_index

START_NS = 1_800_000_000_000_000_000
SCHEMA = pa.schema([("batch", pa.int64()), *CALL_SCHEMA])
STREAM = 2000


def image_keys(producer: int, sequences: Any) -> NDArray[Any]:
    """Own keys of images of one producer."""
    sequences = np.asarray(sequences)
    keys = np.zeros(len(sequences), KEY_DTYPE)
    keys["producer"] = producer
    keys["sequence"] = sequences
    keys["index"] = (start_index(producer, STREAM) + sequences) % STREAM
    return keys


@dataclass
class SyntheticRun:
    """A sound run of one image per record: change its parts, then `write` it."""

    mode: str = "saturation"
    batches: int = 12
    images_per_batch: int = 400
    producers: int = 2
    short: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    batch_s: float = 1.0
    seed: int = 0
    call_images: int = 100

    def __post_init__(self) -> None:
        """Make all parts."""
        timed = self.mode in ("saturation", "paced")
        total = self.batches * self.images_per_batch
        each = total // self.producers
        end_ns = START_NS + int((self.batches + 0.5) * self.batch_s * 1e9) if timed else None
        rate = 1000.0 if self.mode == "paced" else None
        made = {"mode": self.mode, "producers": self.producers, "target_rate": rate}
        if not timed:
            made["images_per_producer"] = each
        settings = Settings.model_validate({**made, **self.settings}).model_dump()
        self.spec: dict[str, Any] = {
            "format": 1, "experiment": "smoke", "title": "t", "point": self.mode, "repetition": 1,
            "run": f"{self.mode}-r01-a01", "short": self.short, "min_duration_s": 5.0,
            "min_batches": 5, "factors": {}, "settings": settings, "seed": 0, "topic": "t",
            "replica_assignment": [[1], [2], [1], [2]], "workers": 2,
            "worker_addresses": ["127.0.1.5", "127.0.1.6"],
            "producers": [
                {"id": p, "host": "b", "address": "127.0.1.2", "rate": rate, "images": None}
                for p in range(1, self.producers + 1)
            ],
            "dataset": {"name": "d", "sha256": "a", "images": STREAM, "image_bytes": 784},
            "model": {"name": "m", "sha256": "b", "offline_accuracy": 0.95},
        }  # fmt: skip
        self.reports: dict[int, dict[str, Any] | None] = {
            p: {
                "producer": p, "scheduled": each, "acknowledged": each, "failed": 0, "unsent": 0,
                "failed_ranges": [], "start_ns": START_NS, "end_ns": end_ns,
                "first_send_ns": START_NS, "last_ack_ns": START_NS + 10**9,
                "scheduled_by_end": each, "sent_by_end": each, "max_late_ms": 1.0, "cpu_s": 1.0,
                "wall_s": 1.0, "client": "kafka-python", "error": None,
            }
            for p in range(1, self.producers + 1)
        }  # fmt: skip
        self.consumer: dict[str, Any] = {
            "app_id": "app-1", "versions": {"pyspark": "4"}, "spark_conf": {"a": "b"},
            "max_offsets_per_trigger": 10_000, "executors": ["127.0.1.5", "127.0.1.6"],
            "start_ns": START_NS, "end_ns": end_ns, "leaders_observed": [1, 2, 1, 2],
            "model_loads": 2, "error": None, "stages_s": {"start": 1.0}, "calibration": [],
        }  # fmt: skip
        self.rows: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.progress: list[dict[str, Any]] = []
        self._fill(each)

    def _fill(self, each: int) -> None:
        random = np.random.default_rng(self.seed)
        stream = np.concatenate(
            [image_keys(p, np.arange(each)) for p in range(1, 1 + self.producers)]
        )
        # Records of all producers interleave, as in a topic.
        stream = stream[np.argsort(stream["sequence"], kind="stable")]
        calls = {"127.0.1.5:10": 0, "127.0.1.6:11": 0}
        self._row(0, "127.0.1.5:10", 1, warmup_keys(50))
        calls["127.0.1.5:10"] = 1
        self.lines.append(self._line(0, -1.0, 0, 50))
        now = 0.0
        for batch in range(1, self.batches + 1):
            now += self.batch_s * (1 + 0.02 * float(random.standard_normal()))
            own = stream[(batch - 1) * self.images_per_batch : batch * self.images_per_batch]
            for at in range(0, len(own), self.call_images):
                worker = list(calls)[at // self.call_images % 2]
                calls[worker] += 1
                self._row(batch, worker, calls[worker], own[at : at + self.call_images])
            self.lines.append(self._line(batch, now, len(own), 0))
        for line in self.lines:
            self.progress.append(
                {"runId": "r", "batchId": line["batch"], "durationMs": {"addBatch": 900}}
            )

    def _row(self, batch: int, worker: str, call: int, keys: NDArray[Any]) -> None:
        pairs = np.array([[700, len(keys) - len(keys) // 2], [800, len(keys) // 2]], "<i4")
        self.rows.append(
            {
                "batch": batch, "worker": worker, "call": call, "images": len(keys), "skip": 0,
                "keys": keys.tobytes(), "record_images": 1, "correct": len(keys) - 5, "wrong": 0,
                "near_ties": 0, "wrong_keys": b"", "damaged": 0, "damaged_keys": b"",
                "malformed": 0, "malformed_note": "", "started_ns": START_NS,
                "ended_ns": START_NS + 1, "convert_ns": 1000, "infer_ns": 2000,
                "latency_ms": pairs.tobytes() if self.mode == "paced" else b"",
            }
        )  # fmt: skip

    def _line(self, batch: int, at_s: float, images: int, warmup: int) -> dict[str, Any]:
        completed = START_NS + int(at_s * 1e9)
        return {
            "batch": batch, "started_ns": completed - 10**8, "completed_ns": completed,
            "images": images, "warmup_images": warmup,
        }  # fmt: skip

    def write(self, results: Path) -> Path:
        """Write all files; returns the run directory."""
        directory = results / self.spec["experiment"] / self.spec["run"]
        (directory / "producers").mkdir(parents=True)
        (directory / "consumer").mkdir()
        _dump(directory / "spec.json", self.spec)
        workers = [{"host": f"w{i}", "address": f"127.0.1.{4 + i}"} for i in (1, 2)]
        _dump(directory / "cluster.json", {"workers": workers, "kernels": {}, "app_sha256": "c"})
        for producer, report in self.reports.items():
            if report is not None:
                _dump(directory / f"producers/producer-{producer}.json", report)
        _dump(directory / "consumer/consumer.json", self.consumer)
        for name, lines in (("batches", self.lines), ("progress", self.progress)):
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (directory / f"consumer/{name}.jsonl").write_text(text)
        lag = {"at_ns": START_NS, "lag_records": 5, "images": 0}
        (directory / "consumer/lag.jsonl").write_text(json.dumps(lag) + "\n")
        with pa.ipc.new_stream(str(directory / "consumer/calls.arrow"), SCHEMA) as stream:
            for batch in sorted({row["batch"] for row in self.rows}):
                own = [row for row in self.rows if row["batch"] == batch]
                stream.write_batch(pa.RecordBatch.from_pylist(own, schema=SCHEMA))
        return directory


def warmup_keys(count: int) -> NDArray[Any]:
    """Own keys of warm-up images."""
    keys = np.zeros(count, KEY_DTYPE)
    keys["sequence"] = keys["index"] = np.arange(count)
    return keys


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
