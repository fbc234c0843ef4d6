"""Hosts come and go, settings change, processes die: the cluster is what the inventory says, and only that restarts."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from cluster import HERE, PROJECT, Testbed
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

pytestmark = pytest.mark.timeout(2400)
BROKER = "127.0.30.11:9092"
MASTER = "http://127.0.30.20:8080/json/"
HOSTS = yaml.safe_load((HERE / "inventory/hosts.yml").read_text("utf-8"))
BROKER_3 = {"node_address": "127.0.30.13", "kafka_node_id": 13}
WORKER_3 = {"node_address": "127.0.30.23"}


class Inventory:
    """The tests' inventory, to edit; its directory keeps the name, which Spark's secret is kept under."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "inventory"
        self.path.mkdir()
        self.hosts: dict[str, Any] = copy.deepcopy(HOSTS)
        self.hosts["retired"] = {"hosts": {}}

    def group(self, name: str) -> dict[str, Any]:
        return self.hosts[name]["hosts"]

    def retire(self, group: str, host: str) -> None:
        self.group("retired")[host] = self.group(group).pop(host)

    def save(self) -> Path:
        (self.path / "hosts.yml").write_text(yaml.safe_dump(self.hosts), "utf-8")
        return self.path


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path)


@contextmanager
def admin() -> Iterator[KafkaAdminClient]:
    """A new client: an older one may be sent to a broker that came after it, and not know it."""
    client = KafkaAdminClient(bootstrap_servers=[BROKER, "127.0.30.12:9092"])
    try:
        yield client
    finally:
        client.close()


def processes(bed: Testbed) -> dict[str, int]:
    """The process of each service, by the name of its host."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        config = re.search(
            r"/etc/(?:kafka|spark)/([\w-]+)/(?:server.properties|daemon.conf)", command
        )
        if config and str(bed.state) in command:
            found[config.group(1)] = process.pid
    return found


def restarted(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """The hosts whose process is another one, or new, or gone."""
    return {host for host in before | after if before.get(host) != after.get(host)}


def changed(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The hosts that a play changed."""
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return set(re.findall(r"^(\S+)\s+: ok=\d+\s+changed=[1-9]", done.stdout, re.MULTILINE))


def workers() -> list[dict[str, Any]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(MASTER, timeout=5) as answer:
        return json.load(answer)["workers"]


def healthy(kind: str, *arguments: object) -> None:
    """Asks as the playbooks do; they wait as long as they must."""
    script = PROJECT / "roles" / kind / "files" / f"{kind}_health.py"
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


HEALTH = {
    "test-broker-2": ("kafka", "broker", "127.0.30.12:9092", 12, 90, 60),
    "test-controller": ("kafka", "controller", "127.0.30.1:9093", 1, 90, 60),
    "test-worker-1": ("spark", MASTER, "127.0.30.21", 90),
    "test-master": ("spark", MASTER, "-", 90),
}


@pytest.mark.ci
@pytest.mark.parametrize("host", HEALTH)
def test_a_killed_process_comes_back(testbed: Testbed, host: str) -> None:
    before = processes(testbed)
    os.kill(before[host], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while processes(testbed).get(host) in (None, before[host]):
        assert time.monotonic() < deadline, f"{host} was not started again"
        time.sleep(0.2)
    healthy(*HEALTH[host])
    for number in (1, 2):
        # Also after the master's death, which forgets every worker.
        healthy("spark", MASTER, f"127.0.30.2{number}", 90)
    assert restarted(before, processes(testbed)) == {host}


@pytest.mark.ci
def test_who_is_in_no_group_is_named(testbed: Testbed, inventory: Inventory) -> None:
    inventory.group("kafka_brokers").pop("test-broker-2")
    inventory.group("spark_workers").pop("test-worker-2")
    before = processes(testbed)
    done = testbed.play("site.yml", "--tags", "members", inventory=inventory.save())
    assert done.returncode != 0
    text = " ".join(done.stdout.split())
    for who, group in (
        ("broker 12 at 127.0.30.12 is registered in Kafka", "kafka_brokers"),
        ("at 127.0.30.22 is registered at the Spark master", "spark_workers"),
    ):
        assert (
            f"{who} and is in no group of the inventory: put its host into {group} to keep it"
            in text
        )
    assert processes(testbed) == before


def test_other_controllers_are_refused(testbed: Testbed, inventory: Inventory) -> None:
    for number in (2, 3):
        inventory.group("kafka_controllers")[f"test-controller-{number}"] = {
            "node_address": f"127.0.30.{number}",
            "kafka_node_id": number,
        }
    done = testbed.play("playbooks/preflight.yml", inventory=inventory.save())
    assert done.returncode != 0
    assert "the controllers of a formatted cluster cannot be changed" in done.stdout


def fill(topic: str, count: int, partitions: int) -> None:
    producer = KafkaProducer(bootstrap_servers=[BROKER], acks="all")
    for number in range(count):
        producer.send(topic, b"%d" % number, partition=number % partitions)
    producer.close()


def content(topic: str, partitions: int) -> list[int]:
    """Every number in the topic, sorted."""
    consumer = KafkaConsumer(
        bootstrap_servers=[BROKER], auto_offset_reset="earliest", consumer_timeout_ms=3000
    )
    consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
    found = sorted(int(record.value) for record in consumer)
    consumer.close()
    return found


def placement(topic: str) -> list[list[int]]:
    with admin() as client:
        (found,) = client.describe_topics([topic])
    entries = sorted(found["partitions"], key=lambda entry: entry["partition_index"])
    return [entry["replica_nodes"] for entry in entries]


@pytest.mark.ci
def test_hosts_come_and_go(testbed: Testbed, inventory: Inventory) -> None:
    before = processes(testbed)
    inventory.group("kafka_brokers")["test-broker-3"] = BROKER_3
    inventory.group("spark_workers")["test-worker-3"] = WORKER_3
    install = ("site.yml", "--skip-tags", "experiment")
    members = ("site.yml", "--tags", "members")
    changed(testbed.play(*install, inventory=inventory.save()))
    assert restarted(before, processes(testbed)) == {"test-broker-3", "test-worker-3"}
    assert len([worker for worker in workers() if worker["state"] == "ALIVE"]) == 3

    run = testbed.experiment("fixed", "-e", "set=partitions=6,replication=3,workers=3",
                             inventory=inventory.path)  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
    placements = [run["provenance"]["placement"] for run in testbed.runs("fixed").values()]
    (used,) = [place for place in placements if len(place["executors"]) == 3]
    assert used["leaders"] == [11, 12, 13, 11, 12, 13]

    topics = [NewTopic("moves", 6, 1), NewTopic("pair", 3, 2), NewTopic("everywhere", 1, 3)]
    with admin() as client:
        client.create_topics(topics, wait_for_metadata=True)
    try:
        fill("moves", 6000, 6)
        inventory.retire("kafka_brokers", "test-broker-3")
        inventory.retire("spark_workers", "test-worker-3")
        refused = testbed.play(*members, inventory=inventory.save())
        assert refused.returncode != 0
        assert "test-broker-3 cannot leave: topic everywhere keeps 3 replicas" in refused.stdout
        with admin() as client:
            client.delete_topics(["everywhere"])
        assert changed(testbed.play(*install, inventory=inventory.path)) >= {
            "test-broker-3", "test-worker-3"
        }  # fmt: skip
        assert processes(testbed) == before
        assert {number for place in placement("moves") for number in place} == {11, 12}
        assert all(sorted(place) == [11, 12] for place in placement("pair"))
        assert content("moves", 6) == list(range(6000))
        with admin() as client:
            assert {b["broker_id"] for b in client.describe_cluster()["brokers"]} == {11, 12}
        gone = ("*test-broker-3*", "*test-worker-3*")
        left = [path for name in gone for path in testbed.state.rglob(name)]
        assert left == []
    finally:
        with admin() as client:
            client.delete_topics(["moves", "pair"])
    assert changed(testbed.play(*members, inventory=inventory.path)) == set()


@pytest.mark.ci
def test_a_changed_setting_restarts_what_it_concerns(
    testbed: Testbed, inventory: Inventory
) -> None:
    install = ("site.yml", "--tags", "kafka,spark")
    before = processes(testbed)
    inventory.group("kafka_brokers")["test-broker-2"]["kafka_broker_properties"] = {
        "num.io.threads": 5
    }
    inventory.group("spark_workers")["test-worker-1"]["spark_properties"] = {
        "spark.worker.ui.retainedExecutors": 50
    }
    inventory.group("spark_masters")["test-master"]["spark_properties"] = {
        "spark.sql.shuffle.partitions": 7
    }
    hosts = {"test-broker-2", "test-worker-1"}
    assert changed(testbed.play(*install, inventory=inventory.save())) == hosts | {"test-master"}
    between = processes(testbed)
    assert restarted(before, between) == hosts

    # Every broker restarts, one at a time: a topic of two replicas always has its leaders.
    with admin() as client:
        client.create_topics([NewTopic("led", 4, 2)], wait_for_metadata=True)
    leaderless: list[dict[str, Any]] = []
    end = threading.Event()

    def watch() -> None:
        with admin() as client:
            while not end.wait(0.2):
                (topic,) = client.describe_topics(["led"])
                leaderless.extend(p for p in topic["partitions"] if p["leader_id"] < 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        inventory.hosts["kafka_brokers"]["vars"] = {
            "kafka_broker_properties": {"num.io.threads": 6}
        }
        del inventory.group("kafka_brokers")["test-broker-2"]["kafka_broker_properties"]
        fill("led", 2000, 4)
        done = testbed.play("site.yml", "--tags", "kafka", inventory=inventory.save())
        brokers = {"test-broker-1", "test-broker-2"}
        assert changed(done) == brokers
    finally:
        end.set()
        watcher.join(60)
    assert leaderless == []
    after = processes(testbed)
    assert restarted(between, after) == brokers
    assert content("led", 4) == list(range(2000))
    with admin() as client:
        client.delete_topics(["led"])

    # A setting that no broker starts with: the first does not come back, the second is left alone.
    inventory.hosts["kafka_brokers"]["vars"] = {
        "kafka_broker_properties": {"num.io.threads": "many"}, "kafka_start_timeout_s": 12
    }  # fmt: skip
    done = testbed.play("site.yml", "--tags", "kafka", inventory=inventory.save())
    assert done.returncode != 0
    assert "Kafka broker 11 at 127.0.30.11:9092 is not healthy" in done.stdout
    settings = testbed.state / "local/etc/kafka/test-broker-2/server.properties"
    assert "num.io.threads=6" in settings.read_text("utf-8")
    assert processes(testbed)["test-broker-2"] == after["test-broker-2"]

    # And back to what the other tests run on.
    changed(testbed.play(*install))
    healthy("kafka", "broker", BROKER, 11, 60, 60)
