"""Images/s of one producer process: the testbed's producer, its client's bare loop, and Kafka's own tool.

Needs running brokers and the cache (`./testbed run` leaves both), the packages of `./testbed test`, and no other load. The three take
turns, each time in a fresh process; ratios are taken within a round.

    PYTHONPATH=app/src .venv/bin/python benchmarks/producers.py --servers ADDRESS:9092 [--client confluent-kafka] [--images 20]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from comparison.command import carry_out, say
from comparison.environments import only
from comparison.setup import ready
from lifelog.node.topics import create_topic, delete_topic
from lifelog.producer.clients import make_client
from lifelog.producer.run import Load, Source, collect_seldom, send_load
from lifelog.report.marked import check_marks, write_page

TOPIC = "lifelog-benchmark-producers"
PARTITIONS = 4
IMAGE_BYTES = 784
TIMEOUT_S = 600
BARE, OURS, KAFKA = "bare", "ours", "ProducerPerformance"
SETTINGS = {"acks": "all", "compression": "none", "producer_batch_bytes": 131072, "linger_ms": 5}


@dataclass(frozen=True, slots=True)
class Sent:
    """What one process did: images/s, and processor seconds, where it tells them."""

    images_per_s: float
    cpu_s: float | None


def bare(client: Any, source: Source, records: int, n: int) -> None:
    """The client alone: one value, no accounting."""
    value, key = source.value(0, n), bytes(16)
    raw = client._producer
    if type(client).__name__ == "KafkaPython":
        for number in range(records):
            raw.send(TOPIC, value, key, partition=number % PARTITIONS)
    else:
        for number in range(records):
            while True:
                try:
                    raw.produce(TOPIC, value, key, number % PARTITIONS)
                    break
                except BufferError:
                    raw.poll(0.01)
    raw.flush()


def ours(client: Any, source: Source, records: int, n: int) -> None:
    """The testbed's producer: every record keyed, stamped and accounted for."""
    load = Load(1, records * n, None, time.time_ns(), None, n, PARTITIONS)
    collect_seldom()
    send_load(client, load, source, lambda _count: None)
    if failed := client.close():
        raise RuntimeError(f"{len(failed)} records were not acknowledged")


def child(kind: str, task: dict[str, Any]) -> None:
    """Send, and print the figures as JSON."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 28, 28, 1), np.uint8)
    n = task["images"]
    source = Source(images, "uint8", n)
    client = make_client(task["servers"], TOPIC, SETTINGS | {"client": task["client"]})
    started, cpu = time.perf_counter(), time.process_time()
    {BARE: bare, OURS: ours}[kind](client, source, task["records"], n)
    seconds = time.perf_counter() - started
    print(json.dumps([task["records"] * n / seconds, time.process_time() - cpu]))


def python(kind: str, task: dict[str, Any]) -> Sent:
    """One of ours and bare, in a process of its own."""
    command = [sys.executable, __file__, "--child", kind, json.dumps(task)]
    rate, cpu_s = json.loads(_output(command).splitlines()[-1])
    return Sent(rate, cpu_s)


def kafka(task: dict[str, Any]) -> Sent:
    """Kafka's own tool with the same settings; of its rate the start of the JVM is no part."""
    jars = only("kafka-*/kafka-tools-*.jar", "Kafka").parent
    properties = {
        "acks": SETTINGS["acks"],
        "batch.size": SETTINGS["producer_batch_bytes"],
        "linger.ms": SETTINGS["linger_ms"],
        "compression.type": SETTINGS["compression"],
    }
    said = _output([
        "java", "-cp", f"{jars}/*", "org.apache.kafka.tools.ProducerPerformance", "--topic", TOPIC,
        "--num-records", str(task["records"]), "--record-size", str(IMAGE_BYTES * task["images"]),
        "--throughput", "-1", "--bootstrap-server", ",".join(task["servers"]),
        "--command-property", *(f"{key}={value}" for key, value in properties.items()),
    ])  # fmt: skip
    whole = re.findall(r"^\d+ records sent, ([0-9.]+) records/sec", said, re.MULTILINE)
    if not whole:
        raise RuntimeError(f"ProducerPerformance told no rate: {said.splitlines()[-1:]}")
    return Sent(float(whole[-1]) * task["images"], None)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip().splitlines()[-3:]}")
    return done.stdout


def measure(args: argparse.Namespace) -> list[dict[str, Sent]]:
    """Each of the three, in turn, so many rounds."""
    servers = args.servers.split(",")
    task = {
        "servers": servers,
        "client": args.client,
        "images": args.images,
        "records": args.records,
    }
    runs: dict[str, Callable[[], Sent]] = {
        BARE: lambda: python(BARE, task),
        OURS: lambda: python(OURS, task),
        KAFKA: lambda: kafka(task),
    }
    rounds: list[dict[str, Sent]] = []
    for number in range(args.rounds):
        rounds.append({})
        for kind in list(runs)[number % 3 :] + list(runs)[: number % 3]:
            create_topic(servers, TOPIC, {"num_partitions": PARTITIONS, "replication_factor": 1})
            try:
                rounds[-1][kind] = runs[kind]()
            finally:
                delete_topic(servers, TOPIC)
            # The brokers delete the files in the background.
            time.sleep(2)
        say(", ".join(f"{kind} {own.images_per_s:,.0f}" for kind, own in rounds[-1].items()))
    return rounds


def table(rounds: list[dict[str, Sent]], client: str, images: int) -> str:
    """Markdown: medians over the rounds, and of the ratios to the bare loop in each."""
    lines = [
        "| producer | images/s | of bare | processor time, of bare |",
        "|---|---:|---:|---:|",
    ]
    names = {BARE: f"{client}, bare loop", OURS: f"this testbed, {client}", KAFKA: KAFKA}
    for kind, name in names.items():
        rate = statistics.median(own[kind].images_per_s for own in rounds)
        share = statistics.median(own[kind].images_per_s / own[BARE].images_per_s for own in rounds)
        ratios = [
            used / least
            for own in rounds
            if (used := own[kind].cpu_s) and (least := own[BARE].cpu_s)
        ]
        cpu = f"{statistics.median(ratios):.2f}" if ratios else "-"
        lines.append(f"| {name} | {rate:,.0f} | {share:.2f} | {cpu} |")
    head = f"{images} a record, medians of {len(rounds)} rounds, {time.strftime('%Y-%m-%d')}."
    return "\n\n".join([head, "\n".join(lines)])


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write what was asked for."""
    ready(args.servers)
    mark = f"producers-{args.client}-{args.images}"
    check_marks(args.page, mark)
    text = table(measure(args), args.client, args.images)
    print(text)
    if args.page:
        write_page(args.page, mark, text)
    return 0


def main(argv: list[str]) -> int:
    """Run the rounds: 0; 1 where one fails, 2 where it cannot begin."""
    if argv[:1] == ["--child"]:
        child(argv[1], json.loads(argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", required=True, help="ADDRESS:PORT[,...] of brokers")
    parser.add_argument(
        "--client", default="kafka-python", choices=["kafka-python", "confluent-kafka"]
    )
    parser.add_argument("--images", type=int, default=1, help="images per record")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--page", type=Path, help="Markdown page whose markers get the table")
    args = parser.parse_args(argv)
    return carry_out("producers", "its processes and topic", lambda _work: run(args))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
