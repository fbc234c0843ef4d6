"""The settings of a point: the one place that says which there are and what they may be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lifelog.datasets import DATASETS
from lifelog.engines import ENGINES
from lifelog.models import MODELS
from lifelog.yamlfile import nearest

Mode = Literal["saturation", "paced", "fixed_size", "drain"]
TIMED_MODES = ("saturation", "paced")
SIZED_MODES = ("fixed_size", "drain")
MODES = (*TIMED_MODES, *SIZED_MODES)
# kafka-python needs a further library for each of the others.
KAFKA_PYTHON_COMPRESSIONS = ("none", "gzip")
NAME_PATTERN = r"[a-z0-9][a-z0-9_.-]{0,79}"


def _text(value: Any) -> Any:
    # `acks: 1` is a number to YAML.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Strict(BaseModel):
    """What people write: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Share(Strict):
    """A target rate as a share of the images/s that another point reached."""

    share: float = Field(gt=0, le=10)
    of: str


class Settings(Strict):
    """Everything that one point of an experiment fixes; each of these is a possible factor."""

    mode: Mode = "saturation"
    brokers: int | None = Field(None, ge=1)
    workers: int | None = Field(None, ge=1)
    partitions: int = Field(4, ge=1, le=10_000)
    replication: int = Field(1, ge=1)
    producers: int = Field(4, ge=1, le=10_000)
    images_per_record: int = Field(1, ge=1)
    encoding: Literal["uint8", "float32", "float64", "text"] = "uint8"
    client: Literal["kafka-python", "confluent-kafka"] = "kafka-python"
    producer_batch_bytes: int = Field(131_072, ge=1)
    linger_ms: int = Field(5, ge=0)
    acks: Annotated[Literal["all", "1", "0"], BeforeValidator(_text)] = "all"
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    target_rate: Annotated[float, Field(gt=0)] | Share | None = None
    duration_s: float = Field(30.0, gt=0)
    images_per_producer: int | None = Field(None, ge=1)
    dataset: str = Field("mnist-t10k", min_length=1)
    model: str = Field("mlp", min_length=1)
    engine: str = Field("chainer", min_length=1)
    images_per_call: int = Field(100, ge=1)
    emulated_call_ms: float = Field(5.0, gt=0)
    trigger_ms: int = Field(1000, ge=10)
    batch_cap_s: float = Field(3.0, gt=0)
    warmup_s: float = Field(5.0, ge=0)
    drain_timeout_s: float = Field(120.0, gt=0)
    source_options: dict[str, Any] = Field(default_factory=dict)
    spark_conf: dict[str, Any] = Field(default_factory=dict)


def uses(mode: str, key: str) -> bool:
    """Whether a setting means anything in a mode."""
    if key == "target_rate":
        return mode == "paced"
    if key == "images_per_producer":
        return mode in SIZED_MODES
    return True


def contradictions(s: Settings) -> list[tuple[str, str]]:
    """Settings that do not go together: the key to change, and the error text."""
    found: list[tuple[str, str]] = []
    if s.brokers is not None and s.replication > s.brokers:
        found.append(
            (
                "replication",
                f"{s.replication} copies need {s.replication} brokers, and "
                f"this point uses {s.brokers}: choose 1 to {s.brokers}",
            )
        )
    if s.client == "kafka-python" and s.compression not in KAFKA_PYTHON_COMPRESSIONS:
        found.append(
            (
                "compression",
                f"{s.compression} needs client confluent-kafka; kafka-python "
                f"allows {' and '.join(KAFKA_PYTHON_COMPRESSIONS)}",
            )
        )
    for key, known in (("engine", ENGINES), ("dataset", DATASETS), ("model", MODELS)):
        name = getattr(s, key)
        if name not in known and ":" not in name:
            found.append(
                (
                    key,
                    f"there is no {key} {name!r}{nearest(name, list(known))}, "
                    'or your own as "package.module:name"',
                )
            )
    if s.mode == "paced" and s.target_rate is None:
        found.append(
            (
                "target_rate",
                "a paced point needs one: images per second over all "
                "producers, or {share: 0.5, of: POINT}",
            )
        )
    if s.mode in SIZED_MODES and s.images_per_producer is None:
        found.append(("images_per_producer", f"a {s.mode} point needs one: 1 or more"))
    return found
