"""The settings of a point: the one place that says which there are and what they may be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lifelog.datasets import DATASETS, NEED_SOURCE, source_missing
from lifelog.engines import ENGINES
from lifelog.errors import nearest
from lifelog.models import MODELS

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

    mode: Mode = Field(
        "saturation",
        description="the load: as fast as the producers can for `duration_s`; on the schedule of "
        "`target_rate`, the only mode with a latency; `images_per_producer` images; or so many "
        "images that lie in the topic before the clock starts",
    )
    brokers: int | None = Field(
        None, ge=1, description="brokers that hold the topic and run producers; all by default"
    )
    workers: int | None = Field(None, ge=1, description="Spark workers; all by default")
    partitions: int = Field(4, ge=1, le=10_000, description="partitions of the topic")
    replication: int = Field(
        1, ge=1, description="copies of each partition, the leader's among them"
    )
    producers: int = Field(
        4, ge=1, le=10_000, description="producer processes, spread over the brokers' hosts"
    )
    images_per_record: int = Field(1, ge=1, description="images bundled into one Kafka record")
    encoding: Literal["uint8", "float32", "float64", "text"] = Field(
        "uint8", description="how a pixel is written: 1, 4, 8 bytes, or 4 characters"
    )
    client: Literal["kafka-python", "confluent-kafka"] = Field(
        "kafka-python", description="the producers' Kafka client"
    )
    producer_batch_bytes: int = Field(
        131_072, ge=1, description="most bytes that the client collects into a record batch"
    )
    linger_ms: int = Field(
        5, ge=0, description="how long the client waits for a record batch to fill"
    )
    acks: Annotated[Literal["all", "1", "0"], BeforeValidator(_text)] = Field(
        "all",
        description="who must have a record before it counts as acknowledged: all in-sync "
        "replicas (idempotent), the leader, or nobody; the last two may lose images (V4)",
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="of record batches; kafka-python has none and gzip only"
    )
    target_rate: Annotated[float, Field(gt=0)] | Share | None = Field(
        None,
        description="mode paced: images/s of all producers together, or `{share: 0.5, of: POINT}` "
        "of what another point reached in the same repetition",
    )
    duration_s: float = Field(
        30.0, gt=0, description="modes saturation and paced: how long producers send"
    )
    images_per_producer: int | None = Field(
        None, ge=1, description="modes fixed_size and drain: how many images each producer sends"
    )
    dataset: str = Field(
        "mnist-t10k", min_length=1, description='or your own as `"package.module:name"`'
    )
    dataset_source: str | None = Field(
        None,
        min_length=1,
        description="directory or URL of the dataset's files, where it is not shipped "
        "(`docs/extend.md`)",
    )
    dataset_sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="what the dataset must hash to, as `lifelog prepare` prints it",
    )
    model: str = Field(
        "mlp",
        min_length=1,
        description='the network; or your own as `"package.module:name"`',
    )
    engine: str = Field(
        "chainer",
        min_length=1,
        description='what computes; or your own as `"package.module:name"`',
    )
    images_per_call: int = Field(100, ge=1, description="images in one call of the engine")
    emulated_call_ms: float = Field(
        5.0, ge=0, description="engine emulated: time that a call takes, beside its images'"
    )
    emulated_image_us: float = Field(
        0.0, ge=0, description="engine emulated: time that an image takes"
    )
    emulated_record_us: float = Field(
        0.0,
        ge=0,
        description="engine emulated: time that a record takes beside the engine, whatever it holds: "
        "so fetching and unpacking can be modelled as well",
    )
    time_dilation: float = Field(
        1.0,
        ge=1,
        description="a scale model: the times of these settings, and of the links, are so many times "
        "those of what is modelled. It labels the runs and changes none of the settings",
    )
    trigger_ms: int = Field(1000, ge=10, description="from one micro-batch's start to the next")
    batch_cap_s: float = Field(
        3.0,
        gt=0,
        description="no micro-batch holds more than so many seconds of the expected capacity",
    )
    # Of 20 s that follow a warm-up of 5 s, the JVMs' compilers took a quarter on two cores.
    warmup_s: float = Field(
        20.0, ge=0, description="least warm-up of the executors before the first counted image"
    )
    drain_timeout_s: float | None = Field(
        None,
        gt=0,
        description="longest time to process what is left when producers have ended (of a saturated "
        "load, to check it): by default 120 of a paced load, which is to be carried as it comes, and "
        "1,800 of any other",
    )
    reader: Literal["connector", "direct"] = Field(
        "connector",
        description="who fetches records: Spark's Kafka connector in the executor's JVM, or the "
        "Python worker itself from the brokers; Spark plans and keeps the offsets of both",
    )
    source_options: dict[str, Any] = Field(
        default_factory=dict, description="options of Spark's Kafka connector"
    )
    spark_conf: dict[str, Any] = Field(
        default_factory=dict, description="Spark properties of the application"
    )


# Settings that mean nothing in other modes.
_ONLY_IN = {
    "target_rate": ("paced",),
    "duration_s": TIMED_MODES,
    "images_per_producer": SIZED_MODES,
}
# What the testbed decides itself, from other settings and the inventory, and what Spark refuses.
_OWN_SOURCE_OPTIONS = (
    *("subscribe", "subscribePattern", "assign", "startingOffsets", "startingTimestamp"),
    *("endingOffsets", "maxOffsetsPerTrigger", "minOffsetsPerTrigger", "includeHeaders"),
    *("kafka.bootstrap.servers", "kafka.group.id", "kafka.auto.offset.reset"),
    *("kafka.key.deserializer", "kafka.value.deserializer", "kafka.enable.auto.commit"),
    "kafka.interceptor.classes",
)
_OWN_SPARK_PROPERTIES = (
    *("spark.master", "spark.app.name", "spark.driver.host", "spark.driver.bindAddress"),
    *("spark.cores.max", "spark.executor.cores", "spark.executor.memory", "spark.task.cpus"),
    *("spark.driver.extraClassPath", "spark.executor.extraClassPath", "spark.task.maxFailures"),
    *("spark.scheduler.minRegisteredResourcesRatio", "spark.authenticate"),
    *("spark.authenticate.secret", "spark.dynamicAllocation.enabled", "spark.speculation"),
)


def drain_timeout_s(s: Settings) -> float:
    """Longest time in seconds to process, or check, what is left when producers have ended.

    Saturated producers on machines of their own pile up many times what the workers carry, and all of
    it is read, because every image is accounted for.
    """
    if s.drain_timeout_s is not None:
        return s.drain_timeout_s
    return 120.0 if s.mode == "paced" else 1800.0


def modes_of(key: str) -> tuple[str, ...]:
    """The modes in which a setting means anything."""
    return _ONLY_IN.get(key, MODES)


def uses(mode: str, key: str) -> bool:
    """Whether a setting means anything in a mode."""
    return key not in _ONLY_IN or mode in _ONLY_IN[key]


def up_to(most: int) -> str:
    """`1 to 3`, or `1` where that is all there is."""
    return "1" if most == 1 else f"1 to {most}"


def contradictions(s: Settings) -> list[tuple[str, str]]:
    """Settings that do not go together: the key to change, and the error text."""
    found: list[tuple[str, str]] = []
    if s.brokers is not None and s.replication > s.brokers:
        found.append(
            (
                "replication",
                f"{s.replication} copies need {s.replication} brokers, and "
                f"this point uses {s.brokers}: choose {up_to(s.brokers)}",
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
    if s.dataset in NEED_SOURCE and s.dataset_source is None:
        found.append(("dataset_source", source_missing(s.dataset)))
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
    if s.engine == "emulated" and not (s.emulated_call_ms or s.emulated_image_us):
        found.append(
            ("emulated_call_ms", "an emulated engine that takes no time is none: 0.01 or more")
        )
    if s.reader == "direct" and s.source_options:
        found.append(
            ("source_options", "they are of the connector, and reader is direct: remove them")
        )
    for key, own in (
        ("source_options", _OWN_SOURCE_OPTIONS),
        ("spark_conf", _OWN_SPARK_PROPERTIES),
    ):
        # Spark does not look at the case of an option.
        names = {name.lower() for name in own}
        found += [
            (key, f"{name} is set by the testbed, from other settings and the inventory: remove it")
            for name in getattr(s, key)
            if name.lower() in names
        ]
    return found
