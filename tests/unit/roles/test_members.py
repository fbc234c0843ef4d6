"""How partitions leave a broker, who is a stranger, and what a formatted cluster cannot change."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import remove
from kafka_brokers import Partition, Refusal, plan
from testbed import installed_problems, java_properties, java_property, strangers

STAYING = {11: "b1", 12: "b2"}


def partition(number: int, *replicas: int, in_sync: tuple[int, ...] | None = None) -> Partition:
    return Partition("t", number, replicas, replicas if in_sync is None else in_sync)


def test_partitions_move_to_the_least_loaded_and_keep_their_order() -> None:
    stays, first, second = partition(0, 11), partition(1, 13), partition(2, 13)
    moves = plan([stays, first, second], {13: "b3"}, STAYING, {11, 12, 13})
    assert moves == {first: [12], second: [11]}
    pair = partition(0, 13, 11)
    assert plan([pair], {13: "b3"}, STAYING, {11, 12, 13}) == {pair: [12, 11]}


def test_brokers_that_leave_together_are_no_targets_for_each_other() -> None:
    both = partition(0, 13, 14)
    (new,) = plan([both], {13: "b3", 14: "b4"}, STAYING, {11, 12, 13, 14}).values()
    assert sorted(new) == [11, 12]


def test_nothing_moves_from_a_broker_that_holds_nothing() -> None:
    assert plan([partition(0, 11)], {13: "b3"}, STAYING, {11, 12}) == {}


@pytest.mark.parametrize(
    ("where", "live", "sentence"),
    [
        (partition(0, 11, 12, 13), {11, 12, 13},
         "b3 cannot leave: topic t keeps 3 replicas and 2 live brokers would remain (b1, b2): "
         "delete the topic, or put the host back into kafka_brokers"),
        (partition(0, 11, 13), {11, 13},
         "b3 cannot leave: topic t keeps 2 replicas and 1 live broker would remain (b1): "
         "delete the topic, or put the host back into kafka_brokers"),
        (partition(4, 13), {11, 12},
         "b3 cannot leave: no replica of t-4 that is in sync is on a live broker: "
         "start the brokers that hold it, or delete the topic"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(where: Partition, live: set[int], sentence: str) -> None:
    with pytest.raises(Refusal) as refused:
        plan([where], {13: "b3"}, STAYING, live)
    assert str(refused.value) == sentence


def test_strangers_are_named_and_the_dead_are_not() -> None:
    brokers = [{"id": 11, "address": "10.0.0.1"}, {"id": 13, "address": "10.0.0.3"}]
    workers = [
        {"id": "worker-a", "host": "10.0.0.5", "state": "ALIVE"},
        {"id": "worker-b", "host": "10.0.0.6", "state": "DEAD"},
        {"id": "worker-c", "host": "10.0.0.7", "state": "ALIVE"},
    ]
    assert strangers(brokers, workers, ["11"], ["10.0.0.7"]) == [
        "broker 13 at 10.0.0.3 is registered in Kafka and is in no group of the inventory: "
        "put its host into kafka_brokers to keep it, or into retired to have it removed",
        "worker-a at 10.0.0.5 is registered at the Spark master and is in no group of the inventory: "
        "put its host into spark_workers to keep it, or into retired to have it removed",
    ]


def formatted(node: str, wanted: object, **other: str) -> dict[str, object]:
    return {
        "node.id": node,
        "wanted": wanted,
        "cluster.id": "A",
        "controller.quorum.bootstrap.servers": "c1:9093",
        **other,
    }


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ({"b1": formatted("11", 14)},
         "b1 was formatted as Kafka node 11 and its kafka_node_id is 14: set it back to 11"),
        ({"b1": formatted("11", 11, **{"cluster.id": "B"})},
         "b1 was formatted for the cluster B and kafka_cluster_id is A: set it back, "
         "or remove the cluster with playbooks/reset.yml and make a new one"),
        ({"b9": formatted("12", None)},
         "b2 has the kafka_node_id 12 of b9, which is retired and not removed yet: give it another"),
        ({"b1": formatted("11", 11, **{"controller.quorum.bootstrap.servers": "c1:9093,c2:9093,c3:9093"})},
         "the controllers of a formatted cluster cannot be changed: they are c1:9093, c2:9093, c3:9093 (b1 knows them) "
         "and the inventory says c1:9093: put kafka_controllers back, or remove the cluster with playbooks/reset.yml "
         "and make a new one"),
    ],
)  # fmt: skip
def test_what_a_formatted_cluster_cannot_change(hosts: dict, sentence: str) -> None:
    assert installed_problems(hosts, {"b1": 11, "b2": 12}, "c1:9093", "A") == [sentence]


def test_a_fresh_and_an_unchanged_cluster_have_no_problem() -> None:
    hosts = {"b1": formatted("11", "11"), "b2": {"wanted": 12}, "old": {"wanted": None}}
    assert installed_problems(hosts, {"b1": 11, "b2": 12}, "c1:9093", "A") == []


def test_properties_are_written_as_java_reads_them() -> None:
    assert java_property(True) == "true"
    assert java_property(["a", "b"]) == "a,b"
    assert java_property("C:\\x\ny") == "C:\\\\x\\ny"
    assert java_properties("#x=1\nnode.id=1\nnode.id=2\nskipped, no such file") == {"node.id": "1"}


def test_remove_says_whether_there_was_anything(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    assert remove(str(tmp_path / "a"), True)
    assert (tmp_path / "a/b").exists()
    assert remove(str(tmp_path / "a"), False)
    assert not remove(str(tmp_path / "a"), False)
