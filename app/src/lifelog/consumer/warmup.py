"""Warm-up: the very same query, fed with records of the reserved producer, until it is steady."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lifelog.producer.clients import make_client
from lifelog.producer.run import Source
from lifelog.record import WARMUP_PRODUCER, pack_key

# Our own choices: two rounds in a row whose rates differ by less than this are steady; a round is
# this many seconds' worth; warm-up ends unsteady after so many times its least length.
STEADY_WITHIN = 0.2
ROUND_S = 2.0
FEWEST_ROUNDS = 3
LONGEST_FACTOR = 4.0


def feed(spec: dict[str, Any], images: Any, count: int, first: int) -> int:
    """Send `count` warm-up images from sequence `first` on; returns the images sent."""
    settings = dict(spec["settings"], client="kafka-python", acks="all", compression="none")
    n = settings["images_per_record"]
    source = Source(images, settings["encoding"], n)
    client = make_client(spec["bootstrap_servers"], spec["topic"], settings)
    records = max(settings["partitions"], -(-count // n))
    for number in range(records):
        sequence = first + number * n
        client.send(
            number,
            number % settings["partitions"],
            pack_key(WARMUP_PRODUCER, sequence % source.count, sequence),
            source.value(sequence % source.count, n),
            time.time_ns() // 1_000_000,
        )
    if failed := client.close():
        raise RuntimeError(f"{len(failed)} warm-up records were not acknowledged")
    return int(records * n)


def is_steady(rates: list[float]) -> bool:
    """Whether the last two warm-up rounds ran at about the same rate."""
    if len(rates) < FEWEST_ROUNDS:
        return False
    before, last = rates[-2:]
    return abs(last - before) <= STEADY_WITHIN * max(before, last)


def warm_up(
    spec: dict[str, Any],
    images: Any,
    expected_images_per_s: float,
    processed: Callable[[], int],
    check: Callable[[], None],
    rates: list[float],
    warm: bool,
) -> dict[str, Any]:
    """Feed rounds of ROUND_S until `warmup_s` is over and rates are steady.

    `rates`: images/s of the rounds of runs like this one that these executors have had, added to: one
    round that confirms them is enough. `warm`: they have had a whole warm-up, so that `warmup_s` is
    over. Returns {"images", "seconds", "steady",
    "rounds_before"}. `check` raises when the query has failed.
    """
    started = time.monotonic()
    longest_s = LONGEST_FACTOR * spec["settings"]["warmup_s"]
    rounds_before = len(rates)
    least_s = 0.0 if warm else spec["settings"]["warmup_s"]
    sent = 0
    while True:
        round_started, before = time.monotonic(), sent
        sent += feed(spec, images, int(ROUND_S * expected_images_per_s), sent)
        while processed() < sent:
            check()
            time.sleep(0.02)
        rates.append((sent - before) / (time.monotonic() - round_started))
        elapsed = time.monotonic() - started
        steady = is_steady(rates)
        if (elapsed >= least_s and steady) or elapsed >= longest_s:
            return {
                "images": sent,
                "seconds": elapsed,
                "steady": steady,
                "rounds_before": rounds_before,
            }
