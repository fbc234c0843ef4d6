"""What a peer is told: one JSON file, whose path is the only argument of its script."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Task:
    """One run of one peer.

    `mode`: *saturated*, the topic holds `images` images from the start; *paced*, warm-up images of
    producer 0 come first and the paced ones of producer 1 once the peer is warm. `cores` is the
    number of worker processes, `connector` the directory of Spark's Kafka connector. A peer that
    has a trigger uses `trigger_ms`; `images_per_trigger` caps saturated micro-batches.
    """

    servers: str
    topic: str
    partitions: int
    images: int
    cores: int
    images_per_call: int
    trigger_ms: int
    images_per_trigger: int
    mode: str
    paced_s: float
    dataset_file: str
    model_file: str
    connector: str
    flink_jar: str
    directory: str
    images_per_record: int = 1
    # Of the testbed's own consumer, over its defaults.
    engine: str = "chainer"
    emulated_call_ms: float = 5.0
    batch_cap_s: float = 3.0
    cores_per_worker: int = 1
    reader: str = "connector"
    # Whether it leaves a row for each image.
    rows: bool = True
    spark_conf: dict[str, str] = field(default_factory=dict)
    source_options: dict[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """Consumer group of this run alone: another run's committed offsets would be its start."""
        return f"lifelog-benchmark-{Path(self.directory).name}"

    def save(self, path: Path) -> None:
        """Write the task for `load`."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: str) -> Task:
        """Read what `save` wrote."""
        return Task(**json.loads(Path(path).read_text("utf-8")))
