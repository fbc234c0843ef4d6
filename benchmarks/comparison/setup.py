"""The bench that the benchmarks of the consumer share: images, network and a filled topic."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from comparison import brokers
from comparison.environments import cache, only
from comparison.measure import Bench
from comparison.task import Task
from lifelog.bundle import load_dataset_bundle, load_model_bundle
from lifelog.errors import UserError
from lifelog.node.topics import admin, create_topic, delete_topic
from lifelog.prepare import Wanted, prepare


def ready(servers: str) -> None:
    """UserError where no broker answers or Java is missing."""
    with admin(servers.split(",")):
        pass
    if shutil.which("java") is None:
        raise UserError("java is not installed: ./testbed run installs it")


@contextmanager
def filled_bench(
    servers: str, work: Path, longest_s: float, say: Callable[[str], None], **task: Any
) -> Iterator[tuple[Bench, dict[str, Any]]]:
    """A bench whose topic holds its images, deleted at the end, and what its images and network are.

    `task`: the fields of Task that are a choice. UserError as `ready`, and where what `./testbed run`
    leaves in the cache is missing.
    """
    ready(servers)
    bundles = prepare(Wanted("mnist-t10k", "mlp"), cache() / "bundles", say)
    connector = only("spark-connector-*/spark-sql-kafka-*.jar", "Spark's Kafka connector").parent
    dataset_file = cache() / "bundles" / bundles["dataset_file"]
    model_file = cache() / "bundles" / bundles["model_file"]
    topic = f"{brokers.PREFIX}-{os.getpid()}"
    whole = Task(
        servers=servers, topic=topic, mode="saturated", directory="",
        dataset_file=str(dataset_file), model_file=str(model_file), connector=str(connector),
        **task,
    )  # fmt: skip
    dataset, model = load_dataset_bundle(dataset_file), load_model_bundle(model_file)
    create_topic(servers.split(","), topic, brokers.layout(whole.partitions))
    try:
        say(f"filling {topic} with {whole.images:,} images")
        each = whole.images_per_record
        brokers.send(servers, topic, whole.partitions, dataset.images, whole.images, each)
        yield Bench(whole, dataset, model, longest_s, work), bundles
    finally:
        delete_topic(servers.split(","), topic)
