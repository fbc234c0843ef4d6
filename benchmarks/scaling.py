"""What does not grow with the network: how slots add up, and what a micro-batch costs that holds next to nothing.

*slots*: the emulated engine, which sleeps, stands for more cores than there are. Its calls are long,
so that time is dilated: what the pipeline itself needs stays a small part of these two cores.
*batches*: micro-batches of one image for each partition, one after the other, as fast as they go.

    PYTHONPATH=app/src .venv/bin/python benchmarks/scaling.py slots --servers ADDRESS:9092
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from comparison.command import carry_out, say
from comparison.measure import START_TIMEOUT_S, Bench, Run
from comparison.registry import READERS
from comparison.setup import filled_bench, ready
from lifelog.consumer.batches import EXPECTED_SHARE
from lifelog.jsonfiles import write_json
from lifelog.report.marked import check_marks, write_page
from profiling.window import Roles, batches, roles_of

IMAGES_PER_CALL = 100
# Of the machine, whatever the number of slots.
CORES = 2
# Executors of so many slots, as on a node of eight cores.
SLOTS_PER_WORKER = 8
# Slots and partitions; the last has more slots than partitions.
POINTS = ((1, 1), (2, 2), (4, 4), (8, 8), (16, 16), (32, 32), (32, 16))
PARTITIONS = (4, 8, 16, 32, 64, 128)
# Micro-batches that are looked at, and those before, in which code is compiled and workers start.
MEASURED, BEFORE = 6, 2
MEASURED_EMPTY, BEFORE_EMPTY = 60, 60
LONGEST_S = 900.0


@dataclass(frozen=True, slots=True)
class Slots:
    """`share`: images/s over those of all slots that have a partition, each at the engine's rate."""

    slots: int
    partitions: int
    images_per_s: float
    possible_images_per_s: float
    batch_s: float

    @property
    def share(self) -> float:
        """Of what is possible."""
        return self.images_per_s / self.possible_images_per_s


@dataclass(frozen=True, slots=True)
class Batch:
    """A micro-batch of one image a partition: milliseconds of its parts, and of each role's processor."""

    reader: str
    partitions: int
    parts_ms: dict[str, float]
    cpu_ms: dict[str, float]


def _run(bench: Bench, reader: str, enough: int, **task: Any) -> tuple[Path, dict[str, float]]:
    """The directory of a run that has done `enough` micro-batches, and processor time by role.

    Processor time, in seconds, is of the last half of them.
    """
    directory = bench.directory(f"{reader}-scaling")
    own = replace(bench.task, directory=str(directory), reader=reader, **task)
    with Run(READERS[reader], own, CORES) as run:

        def wait(count: int) -> None:
            run.wait(lambda: len(batches(directory)) >= count, "done", START_TIMEOUT_S + LONGEST_S)

        wait(enough // 2)
        roles = roles_of(run.process.pid)
        before = _cpu_s(roles)
        wait(enough)
        return directory, {role: s - before[role] for role, s in _cpu_s(roles).items()}


def _cpu_s(roles: Roles) -> dict[str, float]:
    """Processor time so far by role; of a process that has ended, none."""

    def used(processes: list[psutil.Process]) -> float:
        total = 0.0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                total += sum(process.cpu_times()[:2])
        return total

    return {
        "executors": used(roles.executors),
        "workers": used(roles.workers),
        "driver": used([*roles.drivers, *roles.planners]),
    }


def slots(servers: str, work: Path, reader: str, call_ms: float, batch_s: float) -> list[Slots]:
    """Images/s of POINTS, from the completions of micro-batches that hold about `batch_s` of work."""
    found = []
    rate = IMAGES_PER_CALL / call_ms * 1e3
    for count, partitions in POINTS:
        busy = min(count, partitions)
        images = int((MEASURED + BEFORE + 2) * batch_s * rate * busy)
        choices: dict[str, Any] = {
            "partitions": partitions, "images": images, "cores": count, "trigger_ms": 100,
            "images_per_call": IMAGES_PER_CALL, "images_per_trigger": 0, "paced_s": 0.0,
            "flink_jar": "", "engine": "emulated", "emulated_call_ms": call_ms,
            # The consumer caps by what it expects of the engine.
            "batch_cap_s": batch_s / EXPECTED_SHARE,
            "cores_per_worker": min(count, SLOTS_PER_WORKER),
        }  # fmt: skip
        with filled_bench(servers, work, LONGEST_S, say, **choices) as (bench, _):
            directory, _ = _run(bench, reader, BEFORE + MEASURED + 1)
        done = np.array(batches(directory)[BEFORE : BEFORE + MEASURED + 1], float)
        seconds = (done[-1, 0] - done[0, 0]) / 1e9
        found.append(
            Slots(count, partitions, done[1:, 1].sum() / seconds, rate * busy, seconds / MEASURED)
        )
        own = found[-1]
        say(f"{count} slots, {partitions} partitions: {own.images_per_s:,.0f} images/s, "
            f"{own.share:.1%} of what is possible")  # fmt: skip
    return found


def empty_batches(servers: str, work: Path, reader: str) -> list[Batch]:
    """What micro-batches of PARTITIONS images cost, each in a partition of its own."""
    found = []
    for partitions in PARTITIONS:
        enough = BEFORE_EMPTY + MEASURED_EMPTY
        choices: dict[str, Any] = {
            "partitions": partitions, "images": (enough + 20) * partitions, "cores": 2,
            "trigger_ms": 10, "images_per_call": IMAGES_PER_CALL, "images_per_trigger": 0,
            "paced_s": 0.0, "flink_jar": "", "engine": "emulated", "emulated_call_ms": 0.01,
            # Less than one record a partition, so that one is what it is.
            "batch_cap_s": 1e-9,
        }  # fmt: skip
        with filled_bench(servers, work, LONGEST_S, say, **choices) as (bench, _):
            directory, cpu_s = _run(bench, reader, enough)
        lines = (directory / "consumer/progress.jsonl").read_text("utf-8").splitlines()
        last = [json.loads(line)["durationMs"] for line in lines][-MEASURED_EMPTY:]
        parts = {part: float(np.median([ms.get(part, 0) for ms in last])) for part in last[-1]}
        measured = enough - enough // 2
        cpu_ms = {role: 1e3 * seconds / measured for role, seconds in cpu_s.items()}
        found.append(Batch(reader, partitions, parts, cpu_ms))
        say(f"{reader}, {partitions} partitions: {parts['triggerExecution']:.0f} ms")
    return found


def slots_table(found: list[Slots]) -> str:
    """Markdown."""
    lines = [
        "| slots | partitions | images/s | of slots x service rate | micro-batch (s) |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {own.slots} | {own.partitions} | {own.images_per_s:,.0f} | {own.share:.3f} "
        f"| {own.batch_s:.1f} |"
        for own in found
    ]
    return "\n".join(lines)


def batches_table(found: list[Batch]) -> str:
    """Markdown, with the straight line through each reader's micro-batches."""
    lines = [
        "| reader | partitions | micro-batch (ms) | tasks and results | offsets and plan | two logs "
        "| processor: executors | Python workers | driver |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for own in found:
        ms, cpu = own.parts_ms, own.cpu_ms
        plan = ms["latestOffset"] + ms["queryPlanning"] + ms.get("getBatch", 0)
        logs = ms["walCommit"] + ms["commitOffsets"]
        lines.append(
            f"| {own.reader} | {own.partitions} | {ms['triggerExecution']:.0f} | {ms['addBatch']:.0f} "
            f"| {plan:.0f} | {logs:.0f} | {cpu['executors']:.0f} | {cpu['workers']:.0f} "
            f"| {cpu['driver']:.0f} |"
        )
    for reader in dict.fromkeys(own.reader for own in found):
        rows = [own for own in found if own.reader == reader]
        slope, fixed = np.polyfit(
            [own.partitions for own in rows], [own.parts_ms["triggerExecution"] for own in rows], 1
        )
        lines.append(
            f"\n`{reader}`: a micro-batch takes {fixed:.0f} ms and {slope:.1f} ms for each partition."
        )
    return "\n".join(lines)


def run(args: argparse.Namespace, work: Path) -> int:
    """Measure, print, and write what was asked for."""
    ready(args.servers)
    check_marks(args.page, f"scaling-{args.what}")
    if args.what == "slots":
        reader = args.reader or "direct"
        rows: list[Any] = slots(args.servers, work, reader, args.call_ms, args.batch)
        text = slots_table(rows)
    else:
        readers = [args.reader] if args.reader else list(READERS)
        rows = [own for name in readers for own in empty_batches(args.servers, work, name)]
        text = batches_table(rows)
    print(text)
    if args.json:
        kept = [asdict(own) for own in rows]
        write_json(args.json, {"format": 1, "what": args.what, "rows": kept})
    if args.page:
        write_page(args.page, f"scaling-{args.what}", text)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Measure: 0; 1 where a run fails, 2 where it cannot begin."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("slots", "batches"))
    parser.add_argument("--servers", required=True, help="ADDRESS:PORT[,...] of brokers")
    parser.add_argument(
        "--reader", choices=tuple(READERS), help="one only; slots: direct if absent"
    )
    parser.add_argument("--call-ms", type=float, default=100.0, help="slots: time of a call")
    parser.add_argument("--batch", type=float, default=8.0, help="slots: seconds of a micro-batch")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--page", type=Path, help="Markdown page whose markers get the table")
    args = parser.parse_args(argv)
    if args.call_ms <= 0 or args.batch <= 0:
        parser.error("--call-ms and --batch must be above 0")
    return carry_out("scaling", "its processes and topics", lambda work: run(args, work))


if __name__ == "__main__":
    sys.exit(main())
