"""Stacks of sampling profilers, and which part of the work each belongs to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the work: the stacks in which a frame matches `frames`. `per`: what it grows with."""

    name: str
    per: str
    frames: re.Pattern[str]


def _part(name: str, per: str, frames: str) -> Part:
    return Part(name, per, re.compile(frames))


# The first that matches is meant, so what is called from several places comes before its callers.
JVM_PARTS = (
    _part("JIT compilers", "start", r"^\[C[12] Compiler|^\[Sweeper"),
    _part("garbage collector", "image", r"^\[GC Thread|^\[VM Thread|^\[ParGC"),
    _part("start of the JVM", "start", r"^\[main tid|^\[java tid"),
    _part("class loading", "start", r"ClassLoader\.(loadClass|defineClass)"),
    _part("code of a task: generate", "task", r"GenerateUnsafeProjection|CodeGenerator|catalyst/exp.*codegen"),
    _part("task: deserialise, set up", "task", r"JavaSerializerInstance\.deserialize|TaskDescription"),
    _part("Kafka: offsets of a poll", "task", r"getAvailableOffsetRange|KafkaConsumer\.(position|seek)"),
    _part("Kafka: fetch", "image", r"KafkaDataConsumer|InternalKafkaConsumer|clients/consumer"),
    _part("record to row", "image", r"KafkaRecordToRowConverter|KafkaBatchPartitionReader"),
    _part("row to Arrow", "image", r"arrow/ArrowWriter|ArrowFieldWriter|writeSizedBatch.*|/arrow/vector/"),
    _part("Arrow to the socket", "image", r"writeNextInputToStream|SocketChannelImpl\.write|ReaderInputStream"),
    _part("rows of calls back", "call", r"PythonArrowOutput|ArrowConverters|BlockManager|SerializerHelper"),
    _part("task: the rest", "task", r"^\[Executor task"),
    _part("RPC and the rest", "task", r""),
)  # fmt: skip

PYTHON_PARTS = (
    _part("collection after a task", "task", r"^gc\b|gc_collect|_PyGC"),
    _part("Chainer", "image", r"\binfer \(lifelog/engines"),
    _part("bytes to float32", "image", r"decode_into \("),
    _part("checksum", "image", r"checksums \("),
    _part("records to arrays", "image", r"\(lifelog/consumer/direct/records"),
    _part("Kafka: fetch", "image", r"\(lifelog/consumer/direct/fetch"),
    _part("judge, latency", "call", r"expand_keys \("),
    _part("row of a call", "call", r"pack \(|\b(_infer|rows) \(lifelog/consumer"),
    _part("views of the batch", "call", r"infer_batch \(|infer_batches \("),
    _part("Arrow from the socket", "image", r"load_stream|read_next_batch|ArrowStream"),
    _part("Arrow to the socket", "call", r"dump_stream|write_batch"),
    _part("task: set up", "task", r"read_udfs|read_command|invoke_udf|main \(pyspark/worker"),
    _part("the rest", "task", r""),
)


def parse(lines: Iterable[str]) -> Counter[tuple[str, ...]]:
    """Samples by stack, outermost frame first, of the collapsed form `frame;frame;... COUNT`.

    A stack that could not be read is empty. ValueError where a line has another form.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        if not count.isdecimal():
            raise ValueError(f"no collapsed stack: {line!r}")
        found[tuple(stack.split(";"))] += int(count)
    return found


def shares(stacks: Counter[tuple[str, ...]], parts: Sequence[Part]) -> dict[str, float]:
    """Share of the samples, 0 to 1, of each part that has any; the last part must match all."""
    total = stacks.total()
    found: Counter[str] = Counter()
    for stack, count in stacks.items():
        part = next(p for p in parts if any(p.frames.search(frame) for frame in stack))
        found[part.name] += count
    return {part.name: found[part.name] / total for part in parts if found[part.name]}
