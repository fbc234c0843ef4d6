"""Packing what a run left on a node, and unpacking it on the control node."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelog.errors import UserError
from lifelog.node.collect import TAIL_BYTES, pack, unpack


def test_results_and_logs_arrive_in_their_places(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "consumer").mkdir(parents=True)
    (run / "consumer" / "consumer.json").write_text("{}")
    (run / "producer-3.json").write_text("{}")
    (run / "producers.log").write_text("hello")
    (run / "checkpoint").mkdir()
    (run / "checkpoint" / "metadata").write_text("large")
    log = tmp_path / "server.log"
    log.write_bytes(b"x" * (TAIL_BYTES + 10) + b"the end")
    target = tmp_path / "results"
    target.mkdir()
    pack(target / "broker1.tgz", "broker1", run, [("kafka", log), ("none", tmp_path / "absent")])
    unpack(target)
    found = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert found == [
        "consumer/consumer.json",
        "logs/broker1/kafka",
        "logs/broker1/producers.log",
        "producers/producer-3.json",
    ]
    tail = (target / "logs/broker1/kafka").read_bytes()
    assert len(tail) == TAIL_BYTES
    assert tail.endswith(b"the end")


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(bytes(range(256)) * 100)
    target = tmp_path / "results"
    target.mkdir()
    pack(target / "broker2.tgz", "broker2", None, [("a", log)])
    whole = (target / "broker2.tgz").read_bytes()
    (target / "broker2.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"broker2\.tgz"):
        unpack(target)


def test_the_samples_of_each_machine_have_a_file_of_its_name(tmp_path: Path) -> None:
    run, target = tmp_path / "run", tmp_path / "results"
    for directory in (run, target):
        directory.mkdir()
    (run / "metrics.jsonl").write_text("{}\n")
    for host in ("broker-1", "worker-1"):
        pack(target / f"{host}.tgz", host, run, [])
    unpack(target)
    assert sorted(path.name for path in (target / "metrics").iterdir()) == [
        "broker-1.jsonl",
        "worker-1.jsonl",
    ]
