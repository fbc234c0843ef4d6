"""A made-up inventory, and small experiments for it."""

from __future__ import annotations

from pathlib import Path

from lifelog.experiment.definition import Experiment
from lifelog.experiment.load import load_experiment
from lifelog.experiment.placement import Cluster

BUNDLE = {
    "dataset_file": "d.npz",
    "model_file": "m.npz",
    "dataset": {"name": "mnist-t10k", "sha256": "a", "images": 2000, "shape": [28, 28, 1]},
    "model": {"name": "mlp", "sha256": "b", "offline_accuracy": 0.95},
}


def cluster(brokers: int = 3, cores: tuple[int, ...] = (1, 1), memory: int = 1000) -> Cluster:
    return Cluster.model_validate(
        {
            "brokers": [
                {"host": f"b{n}", "address": f"127.0.1.{n}", "port": 9092, "node_id": 10 + n}
                for n in range(1, brokers + 1)
            ],
            "masters": [{"host": "m", "address": "127.0.1.9", "port": 7077}],
            "workers": [
                {"host": f"w{n}", "address": f"127.0.2.{n}", "cores": count, "memory_mb": memory}
                for n, count in enumerate(cores, start=1)
            ],
        }
    )


def experiment(directory: Path, points: str, extra: str = "") -> Experiment:
    path = directory / "e.yml"
    path.write_text(f"title: T\nquestion: Q\nshort: true\n{extra}points:\n{points}")
    return load_experiment(path)


SOURCES = "".join(f"  - name: p{n}\n" for n in range(6))
DERIVED = "  - {name: d, mode: paced, target_rate: {share: 0.5, of: p3}}\n"
