"""A lost, a repeated and a corrupted record in real Kafka, each found and named."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cluster import HERE, Testbed

from lifelog.bundle import load_dataset_bundle
from lifelog.jsonfiles import read_json, write_json
from lifelog.producer.clients import make_client
from lifelog.producer.run import Load, Source, send_load

pytestmark = pytest.mark.timeout(1800)
LOST, REPEATED, CORRUPTED = 700, 900, 1100


class FaultyClient:
    """A real client with one fault, told from the number of the record."""

    def __init__(self, client: Any, producer: int) -> None:
        self.client, self.producer = client, producer

    def send(
        self, number: int, partition: int, key: bytes, value: bytes, timestamp_ms: int
    ) -> None:
        if (self.producer, number) == (1, LOST):
            return
        if (self.producer, number) == (3, CORRUPTED):
            value = value[:400] + bytes([value[400] ^ 0x10]) + value[401:]
        self.client.send(number, partition, key, value, timestamp_ms)
        if (self.producer, number) == (2, REPEATED):
            self.client.send(number, partition, key, value, timestamp_ms)


def run_lifelog(program: Path, *arguments: object, **environment: str) -> str:
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(directory: Path, phase: str) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        (directory / "lease").touch()
        status = read_json(directory / "consumer.status.json") or {}
        if status.get("phase") == phase:
            return
        assert status.get("phase") != "failed", status
        time.sleep(0.2)
    raise AssertionError(f"the consumer did not become {phase}: {status}")


def send_faulty(spec: dict[str, Any], directory: Path, source: Source, start_ns: int) -> None:
    for own in spec["producers"]:
        client = make_client(spec["bootstrap_servers"], spec["topic"], spec["settings"])
        load = Load(own["id"], own["images"], None, start_ns, None, 1, 4)
        sent = send_load(FaultyClient(client, own["id"]), load, source, lambda _count: None)
        assert client.close() == set()
        report = {
            "producer": own["id"],
            "client": "kafka-python",
            "scheduled": sent.images,
            "acknowledged": sent.images,
            "failed": 0,
            "unsent": 0,
            "failed_ranges": [],
            "start_ns": start_ns,
            "end_ns": None,
            "first_send_ns": sent.first_send_ns,
            "last_ack_ns": client.last_ack_ns,
            "scheduled_by_end": sent.images,
            "sent_by_end": sent.images,
            "max_late_ms": 0.0,
            "cpu_s": 0.0,
            "wall_s": 0.0,
            "error": None,
        }
        write_json(directory / f"producer-{own['id']}.json", report)


def test_each_fault_is_found_and_named(testbed: Testbed, tmp_path: Path) -> None:
    if not (testbed.state / "clusters").exists():
        assert testbed.experiment("fixed").returncode == 0
    cluster = next((testbed.state / "clusters").glob("inventory-*.json"))
    node = next((testbed.state / "local/opt").glob("env-*/bin/lifelog"))
    control = testbed.state / "control/bin/lifelog"
    bundles = testbed.state / "local/opt/bundles"
    bundle = run_lifelog(control, "prepare", "--bundles", tmp_path).splitlines()[-1]
    spec = json.loads(
        run_lifelog(
            control, "spec", HERE / "experiments/faults.yml", "--run", "faults-r01-a01",
            "--cluster", cluster, "--results", testbed.results,
            "--bundle", bundle,
        )
    )  # fmt: skip
    run, session = tmp_path / "run", tmp_path / "session"
    run.mkdir()
    write_json(run / "spec.json", spec)
    conf = testbed.state / "local/etc/spark/test-master"
    jars = find_connector()
    try:
        run_lifelog(
            node, "job", "consume", run, "--session", session, "--bundles", bundles, "--jars", jars,
            SPARK_CONF_DIR=str(conf), SPARK_LOCAL_IP=spec["driver_address"],
        )  # fmt: skip
        wait_for(run, "ready")
        start_ns = time.time_ns()
        write_json(run / "start.json", {"start_ns": start_ns})
        images = load_dataset_bundle(bundles / spec["dataset_file"]).images
        send_faulty(spec, run, Source(images, "uint8", 1), start_ns)
        (run / "drain").touch()
        wait_for(run, "done")
    finally:
        run_lifelog(node, "job", "stop", session)
        run_lifelog(node, "topic", "delete", run)
    result = testbed.results / "faults/faults-r01-a01"
    run_lifelog(node, "collect", "pack", result / "master.tgz", "--host", "m", "--run", run)
    run_lifelog(control, "verify", result, "--unpack")
    verdict = json.loads((result / "run.json").read_text("utf-8"))
    assert not verdict["valid"]
    assert (verdict["lost"], verdict["duplicated"], verdict["damaged"]) == (1, 1, 1)
    assert (verdict["wrong"], verdict["never_sent"], verdict["processed"]) == (0, 0, 6000)
    examples = verdict["examples"]
    assert "producer 1" in examples["lost"][0]
    assert str(LOST) in examples["lost"][0]
    assert "producer 2" in examples["duplicated"][0]
    assert str(REPEATED) in examples["duplicated"][0]
    assert "producer 3" in examples["damaged"][0]
    assert str(CORRUPTED) in examples["damaged"][0]


def find_connector() -> Path:
    """The connector's jars: a node that is the control node uses the cache in place."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("LIFELOG_CACHE") or Path(home) / "lifelog-testbed")
    return next(cache.glob("spark-connector-*"))
