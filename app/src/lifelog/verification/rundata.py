"""The raw files of one run directory, read with distrust.

A file that is missing, cut off or wrong becomes a fault, which makes the run invalid; it never
becomes a figure. Fields that a newer writer adds are ignored, fields that are missing are not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from lifelog.verification.accounting import Sent

FORMAT = 1
# More images than this no producer can have sent; the account takes two bytes for each.
_MOST_IMAGES = 2_000_000_000


class _Raw(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ProducerFile(_Raw):
    """producer-ID.json: what one producer says about its load."""

    producer: int
    scheduled: int = Field(ge=0, le=_MOST_IMAGES)
    acknowledged: int
    failed: int
    unsent: int
    failed_ranges: list[tuple[int, int]]
    start_ns: int
    end_ns: int | None
    first_send_ns: int
    last_ack_ns: int
    scheduled_by_end: int
    sent_by_end: int
    max_late_ms: float
    cpu_s: float
    wall_s: float
    client: str

    def sent(self) -> Sent:
        """The part that the accounting needs."""
        return Sent(
            self.producer,
            self.scheduled,
            self.acknowledged,
            self.failed,
            self.unsent,
            tuple(self.failed_ranges),
        )


class BatchLine(_Raw):
    """One micro-batch; `completed_ns`: its results had arrived at the driver."""

    batch: int
    started_ns: int
    completed_ns: int
    images: int = Field(ge=0)
    warmup_images: int = Field(ge=0)
    # Checked and not inferred.
    backlog_images: int = Field(0, ge=0)


class LagLine(_Raw):
    """Records that were waiting at an instant."""

    at_ns: int
    lag_records: int
    images: int


class ConsumerFile(_Raw):
    """consumer.json: what the driver says about itself; an error leaves most of it out."""

    app_id: str | None = None
    versions: dict[str, Any] = Field(default_factory=dict)
    spark_conf: dict[str, Any] = Field(default_factory=dict)
    max_offsets_per_trigger: int | None = None
    executors: list[str] = Field(default_factory=list)
    start_ns: int | None = None
    end_ns: int | None = None
    leaders_observed: list[int] = Field(default_factory=list)
    model_loads: int | None = None
    error: str | None = None
    stages_s: dict[str, float] = Field(default_factory=dict)
    # The first micro-batch whose images were checked and not inferred.
    backlog_from_batch: int | None = None
    # False where the driver gave up on what was left after drain_timeout_s; None where it failed
    # before it knew.
    drained: bool | None = None


class ProducerSpec(_Raw):
    """A producer as planned: `rate` in images/s where it has a schedule."""

    id: int
    host: str
    address: str
    rate: float | None = None
    yields_cpu: bool = False


class SpecFile(_Raw):
    """The part of spec.json that verification cannot do without."""

    format: int
    experiment: str
    title: str
    point: str
    repetition: int
    run: str
    short: bool
    min_duration_s: float
    min_batches: int
    factors: dict[str, Any]
    settings: dict[str, Any]
    seed: int
    topic: str
    replica_assignment: list[list[int]]
    workers: int
    worker_addresses: list[str]
    producers: list[ProducerSpec]
    dataset: dict[str, Any]
    model: dict[str, Any]
    # Newer than the first results of this format.
    reduced: bool = False
    search: dict[str, Any] | None = None

    @field_validator("settings", "dataset")
    @classmethod
    def _complete(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        missing = [key for key in _NEEDED[info.field_name or ""] if key not in value]
        if missing:
            raise ValueError(f"{', '.join(missing)} is missing")
        for key in _POSITIVE:
            number = value.get(key, 1)
            if not isinstance(number, (int, float)) or isinstance(number, bool) or number <= 0:
                raise ValueError(f"{key} must be above 0, not {number!r}")
        return value


_NEEDED = {
    "settings": ("mode", "acks", "engine", "images_per_record", "trigger_ms"),
    "dataset": ("images",),
}
_POSITIVE = ("images", "images_per_record", "trigger_ms")


@dataclass(slots=True)
class RunData:
    """What is left of a run; `faults` says what is missing or broken, `failure` why it stopped."""

    directory: Path
    spec: SpecFile
    producers: dict[int, ProducerFile] = field(default_factory=dict)
    consumer: ConsumerFile = field(default_factory=ConsumerFile)
    batches: list[BatchLine] | None = None
    lag: list[LagLine] = field(default_factory=list)
    progress: list[dict[str, Any]] = field(default_factory=list)
    cluster: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


_Model = TypeVar("_Model", bound=BaseModel)


def read_spec(directory: Path) -> tuple[SpecFile | None, str | None]:
    """spec.json of a run directory, or why it cannot be used."""
    faults: list[str] = []
    content = _json(directory / "spec.json", directory, faults)
    if isinstance(content, dict) and content.get("format") not in (None, FORMAT):
        return None, f"spec.json has format {content['format']}, and this version reads {FORMAT}"
    spec = _model(SpecFile, content, "spec.json", faults)
    return spec, "; ".join(faults) or None


def read_run(directory: Path, spec: SpecFile) -> RunData:
    """All raw files but calls.arrow (see `callsfile`)."""
    data = RunData(directory, spec)
    faults = data.faults
    for own in spec.producers:
        _read_producer(data, own.id)
    content = _json(directory / "consumer/consumer.json", directory, faults)
    consumer = _model(ConsumerFile, content, "consumer/consumer.json", faults)
    if consumer is not None:
        data.consumer = consumer
    batches = _lines(data, "consumer/batches.jsonl")
    if batches is not None:
        parsed = [_model(BatchLine, line, "consumer/batches.jsonl", faults) for line in batches]
        known = [line for line in parsed if line is not None]
        if len(known) == len(parsed):
            data.batches = sorted(known, key=lambda line: line.completed_ns)
            if len({line.batch for line in known}) < len(known):
                faults.append("consumer/batches.jsonl names a micro-batch twice")
    data.progress = _lines(data, "consumer/progress.jsonl") or []
    if any(not isinstance(event.get("batchId"), int) for event in data.progress):
        faults.append("consumer/progress.jsonl has an event without a batchId")
        data.progress = []
    for value in _lines(data, "consumer/lag.jsonl") or []:
        line = _model(LagLine, value, "consumer/lag.jsonl", faults)
        if line is not None:
            data.lag.append(line)
    _read_optional(data)
    return data


def _read_producer(data: RunData, producer: int) -> None:
    name = f"producers/producer-{producer}.json"
    content = _json(data.directory / name, data.directory, data.faults)
    if isinstance(content, dict) and content.get("error"):
        data.failures.append(f"producer {producer}: {content['error']}")
        return
    report = _model(ProducerFile, content, name, data.faults)
    if report is not None and report.producer != producer:
        data.faults.append(f"{name} is the report of producer {report.producer}")
    elif report is not None:
        data.producers[producer] = report


def _read_optional(data: RunData) -> None:
    directory = data.directory
    for name, wanted in (("cluster", data.cluster), ("stages", data.stages)):
        path = directory / f"{name}.json"
        if path.exists():
            content = _json(path, directory, data.faults)
            wanted.update(content if isinstance(content, dict) else {})
    for path in sorted((directory / "nodes").glob("*.json")):
        data.nodes[path.stem] = _json(path, directory, data.faults)
    if (directory / "failure.json").exists():
        content = _json(directory / "failure.json", directory, data.faults)
        data.failures.append(str(content.get("reason") if isinstance(content, dict) else content))


def _json(path: Path, directory: Path, faults: list[str]) -> Any:
    name = path.relative_to(directory)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        faults.append(f"{name} is missing")
    except (OSError, ValueError) as error:
        faults.append(f"{name} cannot be read ({error})")
    return None


def _model(kind: type[_Model], content: Any, name: str, faults: list[str]) -> _Model | None:
    if content is None:
        return None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        details = error.errors()[0]
        where = ".".join(str(step) for step in details["loc"])
        faults.append(f"{name}: {where}: {details['msg']}")
        return None


def _lines(data: RunData, name: str) -> list[Any] | None:
    try:
        text = (data.directory / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        data.faults.append(f"{name} is missing")
        return None
    except (OSError, UnicodeDecodeError) as error:
        data.faults.append(f"{name} cannot be read ({error})")
        return None
    values = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            data.faults.append(f"{name} line {number} is cut off or broken")
            return None
        values.append(value)
    if text and not text.endswith("\n"):
        data.faults.append(f"{name} is cut off in its last line")
        return None
    return values
