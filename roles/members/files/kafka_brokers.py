"""Who is registered in Kafka, and how partitions leave a broker. Runs on a node, in the environment of the app.

kafka_brokers.py list BOOTSTRAP
    prints the registered brokers as JSON: id, address, whether it is live, how many replicas it holds.
kafka_brokers.py drain BOOTSTRAP --leaving {"ID": "NAME", ...} --staying {...} --timeout SECONDS [--dry-run]
    moves every replica of the leaving brokers to staying ones, waits until it is in sync there, and prints how
    many partitions had to move. Replaces replicas where they are, so that leaders stay spread as they were.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class Refusal(Exception):
    """The partitions cannot move; the sentence says why and what to do."""


@dataclass(frozen=True)
class Partition:
    """Where one partition is."""

    topic: str
    number: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


def plan(
    partitions: Sequence[Partition],
    leaving: Mapping[int, str],
    staying: Mapping[int, str],
    live: set[int],
) -> dict[Partition, list[int]]:
    """New replicas of every partition that has one on a leaving broker: the least loaded of those that stay."""
    targets = set(staying) & live
    load = Counter(
        broker for partition in partitions for broker in partition.replicas if broker in targets
    )
    moves = {}
    for partition in partitions:
        gone = [broker for broker in partition.replicas if broker in leaving]
        if not gone:
            continue
        name = leaving[gone[0]]
        if len(partition.replicas) > len(targets):
            raise Refusal(
                f"{name} cannot leave: topic {partition.topic} keeps {len(partition.replicas)} replicas and "
                f"{len(targets)} live broker{'s' if len(targets) != 1 else ''} would remain "
                f"({', '.join(staying[broker] for broker in sorted(targets)) or 'none'}): "
                "delete the topic, or put the host back into kafka_brokers"
            )
        if not set(partition.in_sync) & live:
            raise Refusal(
                f"{name} cannot leave: no replica of {partition} that is in sync is on a live broker: "
                "start the brokers that hold it, or delete the topic"
            )
        new = list(partition.replicas)
        for place, broker in enumerate(new):
            if broker in leaving:
                free = sorted(targets - set(new), key=lambda target: (load[target], target))
                new[place] = free[0]
                load[free[0]] += 1
        moves[partition] = new
    return moves


def connect(bootstrap: str):
    from kafka.admin import KafkaAdminClient

    return KafkaAdminClient(bootstrap_servers=bootstrap.split(","))


def partitions_of(admin) -> list[Partition]:
    """Every partition of every topic, in order; one that moves just now is still where it was."""
    moving = {
        (place.topic, place.partition): set(state["adding_replicas"])
        for place, state in admin.list_partition_reassignments().items()
    }
    found = []
    for topic in admin.describe_topics():
        for entry in topic["partitions"]:
            name, number = topic["name"], entry["partition_index"]
            adding = moving.get((name, number), set())
            replicas = tuple(broker for broker in entry["replica_nodes"] if broker not in adding)
            found.append(Partition(name, number, replicas, tuple(entry["isr_nodes"])))
    return sorted(found, key=lambda partition: (partition.topic, partition.number))


def registered(admin) -> list[dict]:
    """The registered brokers, also those that are not live."""
    held = Counter(broker for partition in partitions_of(admin) for broker in partition.replicas)
    brokers = admin.describe_cluster()["brokers"]
    return [
        {
            "id": broker["broker_id"],
            "address": broker["host"],
            "live": not broker["is_fenced"],
            "replicas": held[broker["broker_id"]],
        }
        for broker in sorted(brokers, key=lambda broker: broker["broker_id"])
    ]


def move(admin, moves: Mapping[Partition, list[int]], timeout_s: float) -> None:
    """Reassign the partitions and wait until the new replicas are in sync and the old ones gone."""
    from kafka.structs import TopicPartition

    wanted = {TopicPartition(p.topic, p.number): brokers for p, brokers in moves.items()}
    answers = admin.alter_partition_reassignments(wanted)
    for place in wanted:
        # Nothing for a partition that Kafka did not answer for would look like success.
        error = answers.get(place, "no answer")
        if error is not None:
            raise Refusal(f"Kafka refuses to move {place.topic}-{place.partition}: {error}")
    deadline = time.monotonic() + timeout_s
    while True:
        now = {TopicPartition(p.topic, p.number): p for p in partitions_of(admin)}
        # A topic that was deleted in the meantime needs no move.
        waiting = [
            now[place]
            for place, brokers in wanted.items()
            if place in now
            and not set(now[place].replicas) == set(brokers) <= set(now[place].in_sync)
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise Refusal(
                f"{len(waiting)} of {len(wanted)} partitions did not move within {timeout_s:.0f} s, "
                f"{waiting[0]} for one: they go on moving; run the playbook again, or raise members_drain_timeout_s"
            )
        time.sleep(0.5)


def names(text: str) -> dict[int, str]:
    """{"11": "broker-1", ...} with numbers as numbers."""
    return {int(number): name for number, name in json.loads(text).items()}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["list", "drain"])
    parser.add_argument("bootstrap")
    parser.add_argument("--leaving", type=names, default={})
    parser.add_argument("--staying", type=names, default={})
    parser.add_argument("--timeout", type=float, default=0)
    parser.add_argument("--dry-run", action="store_true")
    wanted = parser.parse_args(argv)
    admin = connect(wanted.bootstrap)
    try:
        if wanted.command == "list":
            print(json.dumps(registered(admin)))
            return 0
        live = {broker["id"] for broker in registered(admin) if broker["live"]}
        moves = plan(partitions_of(admin), wanted.leaving, wanted.staying, live)
        if moves and not wanted.dry_run:
            move(admin, moves, wanted.timeout)
        print(json.dumps({"moved": len(moves)}))
        return 0
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    finally:
        admin.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
