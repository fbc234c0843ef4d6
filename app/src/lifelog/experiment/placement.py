"""Which nodes a point uses, out of those that the inventory has."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifelog.errors import UserError
from lifelog.experiment.settings import Settings, up_to

# Executor memory is this share of a worker's: over half, so that two executors of one worker are
# impossible, and the rest is for its Python processes.
_EXECUTOR_SHARE = 0.6


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Broker(_Part):
    """A Kafka node."""

    host: str
    address: str
    port: int
    node_id: int


class Master(_Part):
    """A Spark master."""

    host: str
    address: str
    port: int


class Worker(_Part):
    """A Spark worker and what it offers."""

    host: str
    address: str
    cores: int = Field(ge=1)
    memory_mb: int = Field(ge=1)


class Cluster(_Part):
    """cluster.json: the nodes of the inventory. Hosts of one `kernels` value share a clock."""

    brokers: list[Broker] = Field(min_length=1)
    controllers: list[Broker] = Field(default_factory=list)
    masters: list[Master] = Field(min_length=1)
    workers: list[Worker] = Field(min_length=1)
    kernels: dict[str, str] = Field(default_factory=dict)
    driver_memory_mb: int = 1024
    inventory: str = ""
    # What the deployed wheel is keyed by: the hash of our own sources.
    app_sha256: str = ""

    def worker_kernels(self) -> set[str]:
        """Kernels, and so processors, that the workers run on, as far as they are known."""
        return {self.kernels[w.host] for w in self.workers if w.host in self.kernels}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one point runs. `replica_assignment`: node ids for each partition, leader first."""

    brokers: tuple[Broker, ...]
    replica_assignment: tuple[tuple[int, ...], ...]
    workers: int
    cores_per_worker: int
    executor_memory_mb: int
    producer_brokers: tuple[Broker, ...]

    @property
    def slots(self) -> int:
        """Tasks that run at one time."""
        return self.workers * self.cores_per_worker

    @property
    def leaders(self) -> list[int]:
        """Node id of the broker that leads each partition."""
        return [replicas[0] for replicas in self.replica_assignment]


def load_cluster(path: Path) -> Cluster:
    """Read cluster.json; UserError where it is missing or not what the playbook writes."""
    try:
        return Cluster.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file: the playbook writes it from the inventory"
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, ValidationError):
            details = error.errors()[0]
            where = ".".join(str(step) for step in details["loc"])
            raise UserError(f"{path}: {where}: {details['msg']}") from None
        raise UserError(f"{path}: not valid JSON: {error}") from None


def place(point: str, settings: Settings, cluster: Cluster) -> Placement:
    """Choose the nodes of a point; UserError where the inventory has too few or unequal ones."""
    brokers = _first(point, "brokers", settings.brokers, list(cluster.brokers))
    _first(point, "workers", settings.workers, list(cluster.workers))
    workers = settings.workers or len(cluster.workers)
    if settings.replication > len(brokers):
        raise UserError(
            f"point {point}: replication: {settings.replication} copies need as many brokers, and "
            f"it has {len(brokers)}: choose {up_to(len(brokers))}, or add hosts to kafka_brokers"
        )
    cores = {worker.cores for worker in cluster.workers}
    if len(cores) > 1:
        raise UserError(
            f"point {point}: workers: the inventory's workers offer {sorted(cores)} cores: give "
            "all the same spark_worker_cores, so that any of them can be used"
        )
    assignment = tuple(
        tuple(
            brokers[(partition + copy) % len(brokers)].node_id
            for copy in range(settings.replication)
        )
        for partition in range(settings.partitions)
    )
    return Placement(
        brokers=tuple(brokers),
        replica_assignment=assignment,
        workers=workers,
        cores_per_worker=cores.pop(),
        executor_memory_mb=_executor_memory_mb(cluster),
        producer_brokers=tuple(brokers[i % len(brokers)] for i in range(settings.producers)),
    )


def _first(point: str, kind: str, wanted: int | None, registered: list[Any]) -> list[Any]:
    if wanted is not None and wanted > len(registered):
        group = {"brokers": "kafka_brokers", "workers": "spark_workers"}[kind]
        raise UserError(
            f"point {point}: {kind}: {wanted} are asked for, and the inventory has "
            f"{len(registered)}: choose {up_to(len(registered))}, or add hosts to {group}"
        )
    return registered[:wanted]


def _executor_memory_mb(cluster: Cluster) -> int:
    memories = [worker.memory_mb for worker in cluster.workers]
    needed = max(max(memories) // 2 + 1, int(min(memories) * _EXECUTOR_SHARE))
    if needed > min(memories):
        raise UserError(
            f"the workers' memory differs too much ({min(memories)} to {max(memories)} MB): give "
            "them spark_worker_memory_mb values within a factor of two"
        )
    return needed


def as_dict(part: Any) -> dict[str, Any]:
    """A node or placement as plain values."""
    return part.model_dump() if isinstance(part, BaseModel) else asdict(part)
