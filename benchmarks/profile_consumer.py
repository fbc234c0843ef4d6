"""Where the processor time of the testbed's consumer goes: microseconds an image of each part.

The consumer works through a filled topic as in `peers.py`; when it is warm, sampling profilers look
at its executors, Python workers and driver (async-profiler, py-spy; fetched on first use).

    PYTHONPATH=app/src .venv/bin/python benchmarks/profile_consumer.py --servers ADDRESS:9092
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from comparison.command import carry_out, say
from comparison.environments import async_profiler, python_of
from comparison.measure import START_TIMEOUT_S, Bench, Run
from comparison.registry import OURS, PEERS
from comparison.setup import filled_bench, ready
from lifelog.jsonfiles import write_json
from lifelog.report.marked import check_marks, write_page
from profiling.stacks import JVM_PARTS, PYTHON_PARTS, Part, parse, shares
from profiling.window import Profile, batches, profile

PARTS = {"executor": JVM_PARTS, "worker": PYTHON_PARTS, "driver": JVM_PARTS}
MARKERS = {"connector": "profile", "direct": "profile-direct"}
TITLES = {"executor": "executors' JVMs", "worker": "Python workers", "driver": "driver's JVM"}


def measure(bench: Bench, warm_share: float, seconds: float) -> Profile:
    """Profile of one saturated run, after `warm_share` of its images; PeerError where it fails."""
    directory = bench.directory("profile")
    with Run(PEERS[OURS], replace(bench.task, directory=str(directory))) as run:

        def wait(done: Any, what: str) -> None:
            run.wait(done, what, START_TIMEOUT_S + bench.longest_s)

        enough = warm_share * bench.task.images
        wait(lambda: sum(n for _, n in batches(directory)) >= enough, "warm")
        say(f"sampling for {seconds:.0f} s")
        return profile(run.process.pid, directory, seconds, wait)


def rows(found: Profile) -> list[dict[str, Any]]:
    """A row of each part of each role: {role, part, per, us_per_image}."""
    result = []
    for role, files in found.stacks.items():
        parts: tuple[Part, ...] = PARTS[role]
        lines = (line for file in files for line in file.read_text("utf-8").splitlines())
        for name, share in shares(parse(lines), parts).items():
            (per,) = (part.per for part in parts if part.name == name)
            us = share * found.cpu_s[role] / found.images * 1e6
            result.append({"role": role, "part": name, "per": per, "us_per_image": us})
    return result


def table(found: Profile, parts: list[dict[str, Any]], partitions: int, call: int) -> str:
    """Markdown: each part per image, and per call or task where it grows with these."""
    per_task = found.images / (found.batches * partitions)
    scale = {"image": 1.0, "call": float(call), "task": per_task, "start": 1.0}
    lines = [
        "| process | part | us an image | grows with | us of each |",
        "|---|---|---:|---|---:|",
    ]
    for role in found.stacks:
        own = [row for row in parts if row["role"] == role]
        total = found.cpu_s[role] / found.images * 1e6
        lines.append(f"| **{TITLES[role]}** | all | **{total:.1f}** | | |")
        for row in sorted(own, key=lambda row: -row["us_per_image"]):
            us = row["us_per_image"]
            if us < 0.05:
                continue
            each = "-" if row["per"] == "start" else f"{us * scale[row['per']]:,.1f}"
            lines.append(f"| | {row['part']} | {us:.1f} | {row['per']} | {each} |")
    return "\n".join(lines)


def run(args: argparse.Namespace, work: Path) -> int:
    """Measure, print, and write what was asked for."""
    ready(args.servers)
    check_marks(args.page, MARKERS[args.reader])
    # Fetched before the consumer starts.
    async_profiler(), python_of("profile")
    choices = {
        "partitions": args.partitions, "images": args.images, "cores": 2, "images_per_call": 100,
        "trigger_ms": 1000, "images_per_trigger": 50_000, "paced_s": 0.0, "flink_jar": "",
        "reader": args.reader,
    }  # fmt: skip
    with filled_bench(args.servers, work, 600.0, say, **choices) as (bench, _):
        found = measure(bench, args.warm, args.seconds)
        parts = rows(found)
    rate = found.images / found.seconds
    head = (
        f"{found.images:,} images in {found.batches} micro-batches of {args.partitions} tasks, "
        f"{rate:,.0f} images/s while profiled, {time.strftime('%Y-%m-%d')}."
    )
    text = "\n\n".join([head, table(found, parts, args.partitions, 100)])
    print(text)
    if args.json:
        kept = {key: value for key, value in asdict(found).items() if key != "stacks"}
        write_json(args.json, {"format": 1, **kept, "parts": parts})
    if args.page:
        write_page(args.page, MARKERS[args.reader], text)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Profile the consumer: 0; 1 where a run or a profiler fails, 2 where it cannot begin."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", required=True, help="ADDRESS:PORT[,...] of brokers")
    parser.add_argument("--images", type=int, default=2_000_000, help="in the topic")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--reader", choices=tuple(MARKERS), default="connector")
    parser.add_argument("--warm", type=float, default=0.5, help="share of the images before it")
    parser.add_argument("--seconds", type=float, default=20.0, help="of sampling")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--page", type=Path, help="Markdown page whose markers get the table")
    parser.add_argument("--keep", type=Path, help="directory in which the stacks of the run stay")
    args = parser.parse_args(argv)
    if args.keep and not args.keep.is_dir():
        parser.error(f"--keep {args.keep}: there is no such directory")
    return carry_out(
        "profile_consumer",
        "its processes and topic",
        lambda work: run(args, (args.keep or work).resolve()),
    )


if __name__ == "__main__":
    sys.exit(main())
