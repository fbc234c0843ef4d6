"""Does the consumer's memory stay where it is? Half an hour at a fixed rate.

Images are sent on a schedule and deleted from the topic once a micro-batch that holds them is done, so
that the disk needs minutes of them. Afterwards every single image is accounted for.

    PYTHONPATH=app/src .venv/bin/python benchmarks/soak.py --servers ADDRESS:9092 --rate 30000
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from kafka import TopicPartition
from matplotlib.figure import Figure

from comparison import brokers
from comparison.command import carry_out, say
from comparison.measure import (
    POLL_S,
    START_TIMEOUT_S,
    Bench,
    Run,
    paced_producer,
    wait_for_producer,
)
from comparison.registry import READERS
from comparison.setup import filled_bench, ready
from lifelog.jsonfiles import write_json
from lifelog.node.topics import admin, create_topic, delete_topic
from lifelog.report.drawing import INK, Drawing, draw, grid, legend, line, standalone
from lifelog.report.marked import check_marks, write_page
from lifelog.verification.accounting import Account, Ledger, Sent
from lifelog.verification.callsfile import Calls, read_calls
from profiling.window import Roles, roles_of

SAMPLE_EVERY_S = 10.0
DELETE_EVERY_S = 30.0
DRAIN_TIMEOUT_S = 600.0
# Heaps grow to their size, and code is compiled, in the first third.
SETTLED = 1 / 3
PARTS = 10
LEAST_MINUTES = 5.0
TITLES = {
    "executor": "an executor's JVM",
    "worker": "a Python worker",
    "driver": "the driver's JVM",
    "planner": "the driver's Python",
}


@dataclass(slots=True)
class Memory:
    """PSS in MB by role, the largest process of each, at so many minutes after the start."""

    minutes: list[float] = field(default_factory=list)
    pss_mb: dict[str, list[float]] = field(default_factory=lambda: {role: [] for role in TITLES})

    def sample(self, roles: Roles, minutes: float) -> None:
        """Look at all processes once."""
        self.minutes.append(minutes)
        of = {
            "executor": roles.executors, "worker": roles.workers, "driver": roles.drivers,
            "planner": roles.planners[:1],
        }  # fmt: skip
        for role, processes in of.items():
            self.pss_mb[role].append(max((_pss_mb(own) for own in processes), default=0.0))

    def growth(self, role: str) -> tuple[float, float]:
        """MB an hour over the settled part, and twice its standard error from the means of tenths."""
        at = np.array(self.minutes) / 60
        settled = at >= at[-1] * SETTLED
        hours, mb = at[settled], np.array(self.pss_mb[role])[settled]
        parts = [
            (h.mean(), m.mean())
            for h, m in zip(*(np.array_split(own, PARTS) for own in (hours, mb)), strict=True)
        ]
        x, y = np.array(parts).T
        (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
        return float(slope), 2 * float(np.sqrt(covariance[0, 0]))


def _pss_mb(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss / 1e6)
    return 0.0


def soak(bench: Bench, reader: str, rate: float, seconds: float) -> tuple[Memory, Calls, Account]:
    """Run the consumer beside a producer of so many images/s; RuntimeError where one of them fails."""
    directory = bench.directory("soak")
    topic = f"{brokers.PREFIX}-{directory.name}"
    count = int(rate * seconds)
    task = replace(
        bench.task, directory=str(directory), topic=topic, mode="paced", images=count,
        paced_s=seconds, reader=reader, rows=False,
    )  # fmt: skip
    servers = task.servers.split(",")
    create_topic(servers, topic, brokers.layout(task.partitions))
    memory = Memory()
    try:
        with Run(READERS[reader], task) as run:
            run.wait((directory / "ready").exists, "warm", START_TIMEOUT_S)
            say(f"{count:,} images at {rate:,.0f} images/s")
            _, producer = paced_producer(run, rate, count)
            try:
                _watch(run, producer, memory, servers, topic, seconds)
            except BaseException:
                producer.kill()
                raise
            wait_for_producer(run, producer, seconds)
            (directory / "drain").touch()
            run.wait(lambda: run.process.poll() is not None, "drained", DRAIN_TIMEOUT_S)
            if run.process.returncode:
                raise run.error(f"it ended with status {run.process.returncode}")
    finally:
        delete_topic(servers, topic)
    ledger = Ledger([Sent(brokers.PRODUCER, count, count, 0, 0)], len(bench.dataset.images))
    calls, fault = read_calls(directory / "consumer/calls.arrow", ledger, len(bench.dataset.images))
    if calls is None:
        raise RuntimeError(str(fault))
    return memory, calls, ledger.close()


def _watch(
    run: Run, producer: subprocess.Popen[str], memory: Memory, servers: list[str], topic: str,
    seconds: float,
) -> None:  # fmt: skip
    """Sample and delete until the producer has ended; RuntimeError where it does not."""
    began = time.monotonic()
    next_sample = next_delete = began
    while producer.poll() is None:
        now = time.monotonic()
        if run.process.poll() is not None:
            raise run.error("it ended before the load")
        if now > began + seconds + START_TIMEOUT_S:
            raise RuntimeError("the producer did not end: give a lower --rate")
        if now >= next_sample:
            next_sample += SAMPLE_EVERY_S
            memory.sample(roles_of(run.process.pid), (now - began) / 60)
        if now >= next_delete:
            next_delete += DELETE_EVERY_S
            _delete_behind(run.directory, servers, topic)
        # Often enough for what is due every ten seconds.
        time.sleep(POLL_S)


def _delete_behind(directory: Path, servers: list[str], topic: str) -> None:
    """Delete what micro-batches have finished with: their calls are in the driver's file."""
    events = directory / "consumer/progress.jsonl"
    done = events.read_text("utf-8").splitlines() if events.exists() else []
    ends = [end for text in done[-2:-1] if (end := json.loads(text)["sources"][0]["endOffset"])]
    for end in ends:
        offsets = json.loads(end) if isinstance(end, str) else end
        with admin(servers) as client:
            client.delete_records(
                {
                    TopicPartition(topic, int(number)): int(at)
                    for number, at in offsets[topic].items()
                }
            )


def table(memory: Memory, calls: Calls, account: Account, rate: float) -> str:
    """Markdown."""
    lines = [
        f"{calls.images:,} images at {rate:,.0f} images/s, {memory.minutes[-1]:.0f} minutes, "
        f"{time.strftime('%Y-%m-%d')}: {account.lost} lost, {account.duplicated} repeated, "
        f"{calls.wrong} predicted wrongly.",
        "",
        "| | PSS after a third (MB) | at the end | growth (MB an hour) |",
        "|---|---:|---:|---:|",
    ]
    third = int(len(memory.minutes) * SETTLED)
    for role, title in TITLES.items():
        mb = memory.pss_mb[role]
        slope, twice = memory.growth(role)
        first, last = (statistics.median(part) for part in (mb[third : third + 6], mb[-6:]))
        lines.append(f"| {title} | {first:,.0f} | {last:,.0f} | {slope:+.1f} ± {twice:.1f} |")
    return "\n".join(lines)


def figure(memory: Memory) -> Drawing:
    """PSS over time."""

    def paint(figure: Figure) -> None:
        (axes,) = grid(figure)
        for number, (role, title) in enumerate(TITLES.items()):
            axes.plot(memory.minutes, memory.pss_mb[role], label=title, **line(number))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("time (minutes)", color=INK)
        axes.set_ylabel("PSS (MB)", color=INK)
        legend(figure, axes)

    rows = [
        [role, round(at, 3), round(mb, 1)]
        for role, own in memory.pss_mb.items()
        for at, mb in zip(memory.minutes, own, strict=True)
    ]
    return draw(
        "soak", "Memory at a fixed rate", "The largest process of each kind.", 3.6, paint,
        ("process", "minutes", "pss_mb"), rows,
    )  # fmt: skip


def run(args: argparse.Namespace, work: Path) -> int:
    """Measure, print, and write what was asked for; 1 where an image was lost, repeated or wrong."""
    ready(args.servers)
    check_marks(args.page, f"soak-{args.reader}")
    choices: dict[str, Any] = {
        "partitions": 4, "images": 4, "cores": 2, "images_per_call": 100, "trigger_ms": 1000,
        "images_per_trigger": 0, "paced_s": 0.0, "flink_jar": "",
    }  # fmt: skip
    with filled_bench(args.servers, work, 600.0, say, **choices) as (bench, _):
        memory, calls, account = soak(bench, args.reader, args.rate, 60 * args.minutes)
    if args.json:
        write_json(args.json, {"format": 1, "rate": args.rate, **asdict(memory)})
    text = table(memory, calls, account, args.rate)
    print(text)
    if args.figure:
        args.figure.write_text(standalone(figure(memory)), encoding="utf-8")
    if args.page:
        shown = ""
        if args.figure:
            shown = f"\n\n![memory over time]({os.path.relpath(args.figure, args.page.parent)})"
        write_page(args.page, f"soak-{args.reader}", text + shown)
    bad = account.lost or account.duplicated or account.never_sent or calls.faults
    return int(bool(bad or calls.wrong or calls.damaged or calls.malformed))


def main(argv: list[str] | None = None) -> int:
    """Soak: 0; 1 where the run fails, 2 where it cannot begin."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", required=True, help="ADDRESS:PORT[,...] of brokers")
    parser.add_argument("--rate", type=float, required=True, help="images/s")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--reader", choices=tuple(READERS), default="connector")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--figure", type=Path, help="file for the figure, .svg")
    parser.add_argument("--page", type=Path, help="Markdown page whose markers get the table")
    args = parser.parse_args(argv)
    if args.rate <= 0 or args.minutes < LEAST_MINUTES:
        parser.error(f"--rate must be above 0, and --minutes {LEAST_MINUTES:g} or more")
    return carry_out("soak", "its processes and topics", lambda work: run(args, work))


if __name__ == "__main__":
    sys.exit(main())
