"""The results of a made-up experiment: many runs, made from one that was verified."""

from __future__ import annotations

import copy
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_run import START_NS, SyntheticRun

from lifelog.verification.verify import verify

SECOND = 1_000_000_000
HOSTS = ("broker-1", "broker-2", "worker-1", "worker-2")


@dataclass
class SyntheticResults:
    """An experiment of `factors`, whose rate is `rates(levels)` images/s; `write` makes it.

    Its runs differ by `spread` of their rate, with a generator of a fixed seed.
    """

    name: str
    title: str
    factors: Mapping[str, Sequence[Any]]
    figure: dict[str, Any] | None
    rates: Any
    repetitions: int = 5
    short: bool = False
    spread: float = 0.02
    mode: str = "saturation"
    labels: tuple[str, ...] = ()
    seed: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    def points(self) -> list[dict[str, Any]]:
        """Factors of each point."""
        levels = itertools.product(*self.factors.values())
        return [dict(zip(self.factors, own, strict=True)) for own in levels]

    def write(self, results: Path) -> Path:
        """Write a directory for each run; returns results/NAME."""
        made = SyntheticRun(mode=self.mode, batches=60, short=self.short, settings=self.settings)
        made.spec["title"] = self.title
        origin = made.write(results / "origin")
        run = verify(origin)
        random = np.random.default_rng(self.seed)
        spec = json.loads((origin / "spec.json").read_text("utf-8"))
        directory, at = results / self.name, 0
        for repetition in range(1, self.repetitions + 1):
            for factors in self.points():
                rate = float(self.rates(factors) * (1 + self.spread * random.standard_normal()))
                at += 1
                self._write_run(directory, origin, run, spec, factors, repetition, rate, at)
        return directory

    def _write_run(
        self,
        directory: Path,
        origin: Path,
        run: dict[str, Any],
        spec: dict[str, Any],
        factors: dict[str, Any],
        repetition: int,
        rate: float,
        at: int,
    ) -> None:
        point = "-".join(f"{key[:1]}{value}" for key, value in factors.items()) or "point"
        name = f"{point}-r{repetition:02d}-a01"
        named = {
            "experiment": self.name, "point": point, "run": name, "repetition": repetition,
            "factors": factors, "settings": run["settings"] | factors,
        }  # fmt: skip
        own = copy.deepcopy(run) | named | {"throughput_images_per_s": rate}
        scale = rate / run["throughput_images_per_s"]
        own["series"]["images"] = [round(n * scale) for n in own["series"]["images"]]
        own["labels"] = list(dict.fromkeys([*own["labels"], *self.labels]))
        hosts = {host: {"machine_id": host, "cpu_model": "A", "cores": 8, "memory_mb": 8192,
                        "os": {"name": "Debian"}, "kernel": "6.1"} for host in HOSTS}  # fmt: skip
        own["provenance"]["hosts"] = hosts
        own["node_metrics"] = {host: _metrics(number, rate) for number, host in enumerate(HOSTS)}
        folder = directory / name
        (folder / "metrics").mkdir(parents=True)
        (folder / "producers").mkdir()
        (folder / "consumer").mkdir()
        for file in ("consumer/consumer.json", "consumer/batches.jsonl"):
            (folder / file).write_bytes((origin / file).read_bytes())
        producers = [{"id": 1, "host": "broker-1"}, {"id": 2, "host": "broker-2"}]
        figure = {} if self.figure is None else {"figure": self.figure}
        dump(folder / "spec.json", {**spec, **named, "producers": producers, **figure})
        dump(folder / "run.json", own)
        for producer in (1, 2):
            latency = {
                "request_latency_ms": {"avg": 11.0 + 2 * producer, "max": 70.0 + 10 * producer}
            }
            dump(folder / f"producers/producer-{producer}.json", latency)
        for number, host in enumerate(HOSTS):
            (folder / f"metrics/{host}.jsonl").write_text(_samples(number, rate), "utf-8")
        # Runs are told apart in time by their spec.json.
        os.utime(folder / "spec.json", ns=(START_NS + at * SECOND,) * 2)


def _metrics(number: int, rate: float) -> dict[str, Any]:
    busy = min(7.9, 1.0 + number * 1.5)
    return {
        "samples": 60, "cores": 8.0, "interface": "eth0", "mean_busy_cores": busy,
        "peak_memory_mb": 3000.0 + 700 * number, "mean_network_in_mbit_per_s": rate * 0.006,
        "mean_network_out_mbit_per_s": rate * 0.012 / (1 + number),
        "mean_disk_read_mbyte_per_s": 0.4, "mean_disk_write_mbyte_per_s": 12.0 / (1 + number),
        "largest_replica_lag_records": 40 if number < 2 else None, "faults": [],
        "component_cores": {"broker": 0.6 * busy, "producer": 0.25 * busy, "kernel": 0.1}
        if number < 2 else {"executor": 0.3 * busy, "python_worker": 0.6 * busy, "kernel": 0.1},
        "foreign_share": 0.01,
        "absent_because": {} if number < 2 else {"largest_replica_lag_records": "not a broker"},
    }  # fmt: skip


def _samples(number: int, rate: float) -> str:
    fields: dict[str, Any] = {"fields": {}, "cores": 8.0}
    lines = [fields]
    for second in range(-15, 70):
        sent = max(0, second) * rate * 1500
        lines.append(
            {
                "time_ns": START_NS + second * SECOND,
                "cpu_s": (second + 15) * (1 + number * 1.5) + (second % 7) * 0.1,
                "memory_used_bytes": (2 << 30) + number * (1 << 29) + (second + 15) * 10_000_000,
                "net_in_bytes": int(sent / (1 + number)), "net_out_bytes": int(sent),
                "disk_read_bytes": second * 400_000 + 10**8,
                "disk_write_bytes": second * 12_000_000 + 10**9,
                "replica_lag_largest_records": (second % 5) * 10 if number < 2 else None,
            }
        )  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in lines)


def dump(path: Path, value: Any) -> None:
    """Write JSON."""
    path.write_text(json.dumps(value), "utf-8")


def edit(directory: Path, **changes: Any) -> None:
    """Change keys of a run's run.json."""
    content = json.loads((directory / "run.json").read_text("utf-8"))
    dump(directory / "run.json", content | changes)
