"""Images/s of one producer process: the testbed's producer beside the same client's bare loop.

Needs running brokers (`./testbed run` leaves them running), the packages of `./testbed test`, and no other load. The two are run in
turn; medians and the ratio of each pair are printed.

    PYTHONPATH=app/src .venv/bin/python benchmarks/producers.py --servers ADDRESS:9092 [--client confluent-kafka] [--images 20]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
from kafka import KafkaAdminClient

from lifelog.producer.clients import make_client
from lifelog.producer.run import Load, Source, send_load

TOPIC = "lifelog-benchmark-producers"
PARTITIONS = 4


def bare(
    settings: dict[str, Any], servers: list[str], source: Source, records: int, n: int
) -> float:
    """Images/s of the client alone: one value, no accounting."""
    client = make_client(servers, TOPIC, settings)
    value, key = source.value(0, n), bytes(16)
    raw = client._producer  # type: ignore[attr-defined]
    started = time.perf_counter()
    if settings["client"] == "kafka-python":
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
    return records * n / (time.perf_counter() - started)


def ours(
    settings: dict[str, Any], servers: list[str], source: Source, records: int, n: int
) -> float:
    """Images/s of the testbed's producer, every record keyed, stamped and accounted for."""
    client = make_client(servers, TOPIC, settings)
    load = Load(1, records * n, None, time.time_ns(), None, n, PARTITIONS)
    started = time.perf_counter()
    send_load(client, load, source, lambda _count: None)
    failed = client.close()
    elapsed = time.perf_counter() - started
    assert not failed
    return records * n / elapsed


def main() -> None:
    """Run the rounds and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", required=True, help="ADDRESS:PORT[,...] of brokers")
    parser.add_argument(
        "--client", default="kafka-python", choices=["kafka-python", "confluent-kafka"]
    )
    parser.add_argument("--images", type=int, default=1, help="images per record")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    servers = args.servers.split(",")
    settings = {
        "client": args.client,
        "acks": "all",
        "compression": "none",
        "producer_batch_bytes": 131072,
        "linger_ms": 5,
    }
    images = np.random.default_rng(0).integers(0, 256, (2000, 28, 28, 1), np.uint8)
    source = Source(images, "uint8", args.images)
    admin = KafkaAdminClient(bootstrap_servers=servers)
    pairs = []
    try:
        for _ in range(args.rounds):
            admin.create_topics(
                {TOPIC: {"num_partitions": PARTITIONS, "replication_factor": 1}},
                wait_for_metadata=True,
            )
            pair = [f(settings, servers, source, args.records, args.images) for f in (bare, ours)]
            pairs.append(pair)
            admin.delete_topics([TOPIC])
            time.sleep(2)  # the brokers delete the files in the background
            print(
                f"bare {pair[0]:,.0f}  ours {pair[1]:,.0f}  ratio {pair[1] / pair[0]:.3f}",
                flush=True,
            )
    finally:
        admin.close()
    bares, own = zip(*pairs, strict=True)
    print(
        f"{args.client}, {args.images} images a record, median of {args.rounds}: "
        f"bare {statistics.median(bares):,.0f} images/s, ours {statistics.median(own):,.0f}, "
        f"ratio {statistics.median(b / a for a, b in pairs):.3f}"
    )


if __name__ == "__main__":
    main()
