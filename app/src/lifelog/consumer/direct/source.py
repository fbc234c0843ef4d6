"""A Spark data source whose Python workers fetch what they infer.

Spark plans micro-batches, checkpoints their offsets and runs a task for each partition, as with its
Kafka connector; but a task's images go from the broker's socket to the engine within one process.
Through the connector they pass the executor's JVM, Spark's rows, Arrow and a second socket.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import lcm
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxRows,
    SupportsTriggerAvailableNow,
)

from lifelog.consumer.calls import PACKED_COLUMNS
from lifelog.consumer.direct.fetch import Part, fetcher_of
from lifelog.consumer.direct.records import Run, to_arrow
from lifelog.consumer.worker import Work, infer_batches

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "lifelog-direct"
_OPTION = "plan"
# What is fetched at once stays in a core's cache until it is converted.
FETCH_BYTES = 1 << 20
# More than this is not kept together for the sake of whole calls.
MOST_BYTES = 64 << 20

# Offsets as Spark's Kafka connector writes them: {topic: {partition: offset}}.
Offsets = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the source reads and how, and what is done with it; travels as an option's text."""

    servers: list[str]
    topic: str
    partitions: int
    most_records: int | None
    timestamps: bool
    images_per_record: int
    # Whether images are inferred, or only checked.
    infer: bool
    work: Work

    def options(self) -> dict[str, str]:
        """For `readStream.options`."""
        return {_OPTION: json.dumps(asdict(self))}

    @classmethod
    def of(cls, options: Any) -> Plan:
        """What `options` made."""
        fields = json.loads(options[_OPTION])
        return cls(**fields | {"work": Work(**fields["work"])})


class DirectSource(DataSource):
    """Calls of the engine (`PACKED_COLUMNS`) over the records of a topic."""

    @classmethod
    def name(cls) -> str:
        """For `readStream.format`."""
        return NAME

    def schema(self) -> str:
        """All calls of a task in one value."""
        return PACKED_COLUMNS

    def streamReader(self, schema: Any) -> DataSourceStreamReader:
        """Of the topic that the options name."""
        return DirectReader(Plan.of(self.options))


class DirectReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans in a process beside the driver; reads and infers in the Python workers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        # Of the planning process only: what is sent to the workers has none.
        self._consumer: Any = None
        self._latest: Offsets | None = None
        # Where a query ends that reads what there is and no more.
        self._available: Offsets | None = None

    def prepareForTriggerAvailableNow(self) -> None:
        """What comes from now on is not read."""
        self._available = self._asked("end_offsets")

    def initialOffset(self) -> Offsets:
        """The earliest offsets."""
        return self._asked("beginning_offsets")

    def latestOffset(self, start: Offsets, limit: ReadLimit) -> Offsets:
        """How far the next micro-batch reads: the brokers' end offsets, within the limit.

        RuntimeError where a partition ends before what was read of it: nothing would show it later.
        """
        self._latest = end = self._available or self._asked("end_offsets")
        topic = self.plan.topic
        for number, last in end[topic].items():
            if last < start[topic][number]:
                raise RuntimeError(
                    f"{topic} {number} ends at {last}, and {start[topic][number]} were read: "
                    "the broker has lost records"
                )
        return within(start, end, limit.max_rows) if isinstance(limit, ReadMaxRows) else end

    def getDefaultReadLimit(self) -> ReadLimit:
        """Records of a micro-batch at most."""
        most = self.plan.most_records
        return ReadAllAvailable() if most is None else ReadMaxRows(most)

    def reportLatestOffset(self) -> Offsets | None:
        """What there was at the last planning, for the query's progress."""
        return self._latest

    def partitions(self, start: Offsets, end: Offsets) -> list[InputPartition]:
        """A task for each partition that has records."""
        topic = self.plan.topic
        return [
            InputPartition(Part(topic, int(number), start[topic][number], last))
            for number, last in end[topic].items()
            if last > start[topic][number]
        ]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """In a worker: fetch, infer, and say what was done."""
        plan = self.plan
        runs = fetcher_of(plan.servers).read(partition.value, FETCH_BYTES, plan.timestamps)
        # Calls begin and end with a record, so that only the last of a task is smaller.
        whole = lcm(plan.work.images_per_call, plan.images_per_record) // plan.images_per_record
        batches = (to_arrow(some, plan.timestamps) for some in multiples(runs, whole))
        return infer_batches(plan.work, batches, plan.infer)

    def commit(self, end: Offsets) -> None:
        """Nothing: Spark keeps the offsets in its checkpoint."""

    def stop(self) -> None:
        """Disconnect the planning process."""
        if self._consumer is not None:
            self._consumer.close()

    def _asked(self, question: str) -> Offsets:
        from kafka import KafkaConsumer, TopicPartition

        plan = self.plan
        if self._consumer is None:
            self._consumer = KafkaConsumer(bootstrap_servers=plan.servers, enable_auto_commit=False)
        asked = [TopicPartition(plan.topic, number) for number in range(plan.partitions)]
        answers = getattr(self._consumer, question)(asked)
        # Spark compares offsets as texts, so their order must not change.
        return {plan.topic: {str(each.partition): int(answers[each]) for each in asked}}


def within(start: Offsets, end: Offsets, most: int) -> Offsets:
    """End offsets of at most about `most` records, of each partition its share, as the connector does."""
    ((topic, ends),) = end.items()
    waiting = {number: last - start[topic][number] for number, last in ends.items()}
    total = sum(waiting.values())
    if total <= most:
        return end
    limited = {}
    for number, count in waiting.items():
        share = most * count / total
        # A partition with little must not starve.
        limited[number] = start[topic][number] + min(count, int(share) if share >= 1 else count > 0)
    return {topic: limited}


def multiples(fetches: Iterator[list[Run]], whole: int) -> Iterator[list[Run]]:
    """The same records in the same order, each time a multiple of `whole` of them.

    The last may be less, and what is more than MOST_BYTES otherwise.
    """
    kept: list[Run] = []
    count = size = 0
    for runs in fetches:
        kept += runs
        count += sum(len(run) for run in runs)
        size += sum(run.values.nbytes for run in runs)
        rest = count % whole
        if rest == count:
            if size < MOST_BYTES:
                continue
            rest = 0
        taken, spare = kept, rest
        kept = []
        while spare:
            run = taken.pop()
            cut = max(0, len(run) - spare)
            kept.insert(0, run.part(cut, len(run)))
            spare -= len(run) - cut
            if cut:
                taken.append(run.part(0, cut))
        yield taken
        count, size = rest, sum(run.values.nbytes for run in kept)
    if kept:
        yield kept
