"""What the processes of the consumer do in a window of its micro-batches, by sampling profilers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from comparison.environments import async_profiler, python_of
from comparison.registry import SPARK_WORKERS

# Fine enough for thousands of samples in half a minute, at about a percent of a core.
SAMPLE_EVERY_MS = 5
DAEMON = "pyspark.daemon"


@dataclass(frozen=True, slots=True)
class Roles:
    """Processes of the consumer: executors' JVMs, their Python workers, the driver's JVM and Python."""

    executors: list[psutil.Process]
    workers: list[psutil.Process]
    drivers: list[psutil.Process]
    planners: list[psutil.Process]


@dataclass(frozen=True, slots=True)
class Profile:
    """`images` and `tasks` of the window, and by role processor time (s) and files of stacks."""

    images: int
    batches: int
    seconds: float
    cpu_s: dict[str, float]
    stacks: dict[str, list[Path]]


def roles_of(pid: int) -> Roles:
    """Who is who below a process."""
    root = psutil.Process(pid)
    found: dict[str, list[psutil.Process]] = {
        "executors": [],
        "workers": [],
        "drivers": [],
        # What starts the driver, and plans a Python data source.
        "planners": [root],
    }
    for process in root.children(recursive=True):
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            # It has ended.
            continue
        if SPARK_WORKERS in words:
            found["executors"].append(process)
        elif DAEMON in words:
            daemon = process.parent()
            if daemon is None or DAEMON not in " ".join(daemon.cmdline()):
                continue
            parent = daemon.parent()
            ours = parent is not None and SPARK_WORKERS in " ".join(parent.cmdline())
            found["workers" if ours else "planners"].append(process)
        elif "SparkSubmit" in words:
            found["drivers"].append(process)
    return Roles(**found)


def batches(directory: Path) -> list[tuple[int, int]]:
    """(completion in epoch ns, images) of the counted micro-batches so far of a run directory."""
    file = directory / "consumer" / "batches.jsonl"
    if not file.exists():
        return []
    # The last line may be half written.
    lines = file.read_text("utf-8").split("\n")[:-1]
    rows = [json.loads(line) for line in lines]
    return [(row["completed_ns"], row["images"]) for row in rows if row["images"]]


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (p.cpu_times() for p in processes))


def profile(
    pid: int, directory: Path, seconds: float, wait: Callable[[Callable[[], bool], str], None]
) -> Profile:
    """Sample the consumer below `pid` for about `seconds`, from one completion to another.

    `wait(done, what)` waits for a condition, or raises where the run ends before. RuntimeError where
    a profiler fails.
    """
    roles = roles_of(pid)
    asprof, library = async_profiler()
    pyspy = Path(python_of("profile")).with_name("py-spy")
    begun = len(batches(directory))
    wait(lambda: len(batches(directory)) > begun, "at the next micro-batch")
    named = {"executor": roles.executors, "worker": roles.workers, "driver": roles.drivers}
    before = {role: _cpu_s(own) for role, own in named.items()}
    first = len(batches(directory))
    stacks: dict[str, list[Path]] = {role: [] for role in named}
    running = []
    for role, processes in named.items():
        for process in processes:
            file = directory / f"{role}-{process.pid}.stacks"
            stacks[role].append(file)
            if role == "worker":
                command = [
                    str(pyspy), "record", "--pid", str(process.pid), "--duration", f"{seconds:.0f}",
                    "--rate", str(1000 // SAMPLE_EVERY_MS), "--format", "raw", "--function",
                    "--output", str(file),
                ]  # fmt: skip
            else:
                command = [
                    str(asprof), "--libpath", str(library), "-d", f"{seconds:.0f}", "-e", "itimer",
                    "-i", f"{SAMPLE_EVERY_MS}ms", "-t", "-o", "collapsed", "-f", str(file),
                    str(process.pid),
                ]  # fmt: skip
            running.append(
                (
                    command,
                    subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT),
                )
            )
    started = time.monotonic()
    for command, profiler in running:
        output, _ = profiler.communicate(timeout=seconds + 60)
        if profiler.returncode:
            said = output.decode("utf-8", "replace").strip().splitlines()[-3:]
            raise RuntimeError(f"{Path(command[0]).name} failed: {' / '.join(said)}")
    ended = len(batches(directory))
    wait(lambda: len(batches(directory)) > ended, "at the last micro-batch of the window")
    after = {role: _cpu_s(own) for role, own in named.items()}
    rows = batches(directory)
    inside = rows[first : len(rows)]
    return Profile(
        images=sum(images for _, images in inside),
        batches=len(inside),
        seconds=(inside[-1][0] - rows[first - 1][0]) / 1e9 if first else time.monotonic() - started,
        cpu_s={role: after[role] - before[role] for role in named},
        stacks=stacks,
    )
