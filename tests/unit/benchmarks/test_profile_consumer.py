"""Stacks to parts of the work, and the table of the profile, from stacks made here."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import profile_consumer
import pytest

from profiling.stacks import JVM_PARTS, PYTHON_PARTS, parse, shares
from profiling.window import Profile, batches

FETCH = (
    "[Executor task idle worker#3 tid=9]",
    "org/apache/spark/sql/kafka010/KafkaBatchPartitionReader.next",
    "org/apache/spark/sql/kafka010/consumer/KafkaDataConsumer.get",
)


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (FETCH, "Kafka: fetch"),
        (FETCH[:2], "record to row"),
        ((*FETCH, "a/InternalKafkaConsumer.getAvailableOffsetRange"), "Kafka: offsets of a poll"),
        (("[C2 CompilerThre tid=4]", "Compile::Compile"), "JIT compilers"),
        (("[Executor task idle worker#3 tid=9]", "java/lang/Thread.run"), "task: the rest"),
        (("[rpc-client-1-1 tid=7]",), "RPC and the rest"),
    ],
)
def test_a_stack_of_the_jvm_belongs_to_its_innermost_known_part(
    stack: tuple[str, ...], part: str
) -> None:
    assert shares(Counter({stack: 3}), JVM_PARTS) == {part: 1.0}


def test_shares_are_of_all_samples() -> None:
    engine = "infer_batch (lifelog/consumer/worker.py);infer (lifelog/engines/chainer_engine.py)"
    views = "infer_batch (lifelog/consumer/worker.py)"
    found = shares(parse([f"{engine} 6\n", f"{views} 1", f"{engine};dot (numpy) 3"]), PYTHON_PARTS)
    assert found == {"Chainer": 0.9, "views of the batch": 0.1}


def test_a_line_that_is_no_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="no collapsed stack"):
        parse(["Profiling started"])


def test_table_gives_parts_per_image_and_per_task(tmp_path: Path) -> None:
    stacks = tmp_path / "worker-1.stacks"
    stacks.write_text("main (pyspark/worker.py) 1\ninfer (lifelog/engines/x.py) 9\n", "utf-8")
    found = Profile(
        images=1000, batches=2, seconds=1.0, cpu_s={"worker": 0.05}, stacks={"worker": [stacks]}
    )
    parts = profile_consumer.rows(found)
    assert [(row["part"], round(row["us_per_image"], 3)) for row in parts] == [
        ("Chainer", 45.0),
        ("task: set up", 5.0),
    ]
    lines = profile_consumer.table(found, parts, partitions=5, call=100).splitlines()
    assert lines[2] == "| **Python workers** | all | **50.0** | | |"
    # 100 images a task.
    assert lines[4] == "| | task: set up | 5.0 | task | 500.0 |"


def test_half_a_line_of_batches_is_no_batch(tmp_path: Path) -> None:
    assert batches(tmp_path) == []
    (tmp_path / "consumer").mkdir()
    line = '{"batch": 1, "started_ns": 1, "completed_ns": 5, "images": 7, "warmup_images": 0}\n'
    warm = line.replace('"images": 7', '"images": 0')
    (tmp_path / "consumer" / "batches.jsonl").write_text(line + warm + line[:30], "utf-8")
    assert batches(tmp_path) == [(5, 7)]
