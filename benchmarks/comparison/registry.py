"""The peers by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lifelog.errors import UserError

SPARK_WORKERS = "CoarseGrainedExecutorBackend"
FLINK_WORKERS = "TaskManagerRunner"


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of getting images from a topic into the model.

    `script`: in `benchmarks/peers/`. `environment`: of `comparison.environments`. `worker_mark`:
    see `comparison.tree.Tree`. `packages`: whose versions are kept. `ends`: it ends by itself when
    all images are done, and its rows come only then. `warms_itself`: it feeds its own warm-up.
    `bundles`: it takes records of several images.
    `settings`: over the testbed's own: `reader`, Spark properties, and options of its connector.
    """

    name: str
    title: str
    script: str
    packages: tuple[str, ...] = ()
    environment: str = "testbed"
    worker_mark: str | None = None
    has_topic: bool = True
    ends: bool = False
    warms_itself: bool = False
    bundles: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


BARE = "bare"
OURS = "ours"
PEERS = {
    peer.name: peer
    for peer in (
        Peer(BARE, "bare Chainer, no Kafka", "bare.py", has_topic=False, bundles=True),
        Peer(
            "kafka-python", "loop, kafka-python", "kafka_python.py", ("kafka-python",),
            bundles=True,
        ),
        Peer(
            "confluent-kafka", "loop, confluent-kafka", "confluent.py", ("confluent-kafka",),
            bundles=True,
        ),
        Peer(
            "spark-udf", "Spark, Python UDF per image", "spark_udf.py",
            ("pyspark", "pandas", "pyarrow"), worker_mark=SPARK_WORKERS,
        ),
        Peer(
            "spark-predict-batch", "Spark, predict_batch_udf", "spark_predict_batch.py",
            ("pyspark", "pandas", "pyarrow"), worker_mark=SPARK_WORKERS,
        ),
        Peer(
            "flink", "PyFlink, pandas UDF", "flink.py", ("apache-flink", "pandas", "pyarrow"),
            environment="flink", worker_mark=FLINK_WORKERS,
        ),
        Peer(
            "quix", "Quix Streams, batching sink", "quix.py", ("quixstreams", "confluent-kafka"),
            environment="quix",
        ),
        Peer(
            OURS, "this testbed", "testbed_consumer.py", ("pyspark", "pyarrow"),
            worker_mark=SPARK_WORKERS, ends=True, warms_itself=True, bundles=True,
        ),
        Peer(
            "ours-direct", "this testbed, reader direct", "testbed_consumer.py",
            ("pyspark", "pyarrow", "kafka-python"), worker_mark=SPARK_WORKERS, ends=True,
            warms_itself=True, bundles=True, settings={"reader": "direct"},
        ),
    )
}  # fmt: skip

# The testbed's own consumer, by who fetches records.
READERS = {"connector": PEERS[OURS], "direct": PEERS["ours-direct"]}


def add_variants(texts: Iterable[str]) -> list[str]:
    """Add the testbed with other settings, of texts NAME:KEY=VALUE, to PEERS; returns the names.

    A name that comes again has all its settings. UserError where a text has another form.
    """
    added: dict[str, Peer] = {}
    for text in texts:
        name, _, setting = text.partition(":")
        key, equals, value = setting.partition("=")
        if not name or not key or not equals or name in PEERS:
            raise UserError(f"--variant {text}: give NAME:KEY=VALUE, with a name that is no peer's")
        ours = added.get(name, replace(PEERS[OURS], name=name, title=f"this testbed, {name}"))
        added[name] = replace(ours, settings={**ours.settings, key: value})
    PEERS.update(added)
    return list(added)
