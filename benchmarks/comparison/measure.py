"""One run of one peer: start it, wait for its images, end it, and work out its figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from comparison import brokers
from comparison.environments import PEERS_DIRECTORY, python_of, without_paths
from comparison.judge import judge
from comparison.registry import Peer
from comparison.rows import count_rows, read_rows
from comparison.task import Task
from comparison.tree import Tree
from comparison.window import counts_over_time, grown, latencies_ms, measured_window
from lifelog.bundle import DatasetBundle, ModelBundle
from lifelog.node.topics import create_topic, delete_topic
from lifelog.record import WARMUP_PRODUCER

POLL_S = 0.1
# Spark, its executors and the imports of a peer, on two busy cores.
START_TIMEOUT_S = 180.0
STALL_TIMEOUT_S = 60.0
# No micro-batch is planned and committed for longer than this.
LONGEST_PAUSE_S = 10.0
# METHOD: a generator under this share of its schedule has measured itself.
LEAST_SCHEDULE_SHARE = 0.99
PACED_WARMUP_S = 10.0
PATHS = (Path(__file__).parents[2] / "app" / "src", Path(__file__).parents[1], PEERS_DIRECTORY)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class PeerError(Exception):
    """A peer failed; `command` is what was run, the message what it said."""

    def __init__(self, command: str, message: str) -> None:
        super().__init__(message)
        self.command = command


class Run:
    """A peer's processes and its directory; a context that ends the processes.

    `cores`: what it may use of the machine; as many as the task has workers where not given.
    """

    def __init__(self, peer: Peer, task: Task, cores: int | None = None) -> None:
        cores = cores or task.cores
        self.peer = peer
        self.directory = Path(task.directory)
        task_file = self.directory / "task.json"
        task.save(task_file)
        self.command = [
            python_of(peer.environment), str(PEERS_DIRECTORY / peer.script), str(task_file),
        ]  # fmt: skip
        self._log = (self.directory / "peer.log").open("wb")
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            self.command,
            # Closes when this process ends, however it does: the peer's guard waits for that.
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            cwd=self.directory,
            start_new_session=True,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(map(str, PATHS))},
        )
        if (os.cpu_count() or 1) > cores:
            # Descendants inherit it.
            os.sched_setaffinity(self.process.pid, sorted(os.sched_getaffinity(0))[:cores])
        self.tree = Tree(self.process.pid, peer.worker_mark)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.tree.end()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=STALL_TIMEOUT_S)
        self._log.close()

    def error(self, what: str) -> PeerError:
        """The error that says `what`, and the last lines of the peer's log."""
        self._log.flush()
        text = (self.directory / "peer.log").read_text("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        told = " ".join(self.command), " / ".join([what, *lines[-5:]])
        return PeerError(*(without_paths(text, self.directory) for text in told))

    def wait(self, done: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Wait until `done`; PeerError where the peer ends early or it takes too long."""
        deadline = time.monotonic() + timeout_s
        while not done():
            ended = self.process.poll()
            # The last rows may have come with the end.
            if ended is not None and not done():
                raise self.error(f"it ended with status {ended} before {what}")
            if time.monotonic() > deadline:
                raise self.error(f"not {what} after {timeout_s:g} s")
            time.sleep(POLL_S)

    def wait_for_rows(self, count: int, what: str, longest_s: float | None = None) -> None:
        """Wait for `count` rows, no more than `longest_s` after the first one where it is given."""
        self.wait(lambda: count_rows(self.directory) > 0, "its first prediction", START_TIMEOUT_S)
        first = time.monotonic()
        seen, changed = 0, first

        def done() -> bool:
            nonlocal seen, changed
            now, rows = time.monotonic(), count_rows(self.directory)
            if rows != seen:
                seen, changed = rows, now
            over = longest_s is not None and now - first > longest_s
            quiet_s = now - changed
            # A rate up to the last prediction would not show that a peer has stopped.
            if quiet_s > (LONGEST_PAUSE_S if over else STALL_TIMEOUT_S) and rows < count:
                raise self.error(f"no prediction for {quiet_s:.0f} s, {rows} of {count} done")
            return rows >= count or over

        self.wait(done, what, 3600)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share; `task` is completed for each.

    A saturated run ends with its topic, or `longest_s` after its first prediction.
    """

    task: Task
    dataset: DatasetBundle
    model: ModelBundle
    longest_s: float
    work: Path

    def directory(self, name: str) -> Path:
        """A new directory of one run."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))


def _task(bench: Bench, peer: Peer, directory: Path) -> Task:
    settings = dict(peer.settings)
    reader = settings.pop("reader", bench.task.reader)
    spark = {key: value for key, value in settings.items() if key.startswith("spark.")}
    source = {key: value for key, value in settings.items() if key not in spark}
    return replace(
        bench.task,
        directory=str(directory),
        reader=reader,
        spark_conf=spark,
        source_options=source,
    )


def _figures(run: Run, bench: Bench) -> tuple[Any, dict[str, Any]]:
    """Rows of a run that has ended, and what is judged of them."""
    rows = read_rows(run.directory)
    rows = rows[rows["producer"] != WARMUP_PRODUCER]
    if not len(rows):
        raise run.error("it left no predictions")
    judged = run.directory / "judged.json"
    counts = json.loads(judged.read_text("utf-8")) if judged.exists() else None
    verdict = judge(rows, bench.dataset, bench.model, counts)
    if verdict.fault:
        raise run.error(verdict.fault)
    return rows, asdict(verdict)


def saturated(peer: Peer, bench: Bench) -> dict[str, Any]:
    """Figures of a peer that reads the filled topic from its beginning; PeerError where it fails."""
    directory = bench.directory(f"{peer.name}-saturated")
    task = _task(bench, peer, directory)
    with Run(peer, task) as run:
        if peer.ends:
            timeout_s = START_TIMEOUT_S + 10 * bench.longest_s
            run.wait(lambda: run.process.poll() is not None, "done", timeout_s)
            if run.process.returncode:
                raise run.error(f"it ended with status {run.process.returncode}")
        else:
            run.wait_for_rows(task.images, "done", bench.longest_s)
    rows, verdict = _figures(run, bench)
    samples = run.tree.samples
    # A peer that is ended before its topic goes on until it has ended, unsampled.
    rows = rows[rows["end_ns"] <= samples.at_ns[-1]]
    window = measured_window(rows["end_ns"])
    worker_cpu_s = grown(samples.at_ns, samples.worker_cpu_s, window)
    other_cpu_s = grown(samples.at_ns, samples.other_cpu_s, window)
    return {
        **verdict,
        "images_per_s": window.images_per_s,
        "window_s": window.seconds,
        "window_images": window.images,
        "worker_cpu_s": worker_cpu_s,
        "other_cpu_s": other_cpu_s,
        "images_per_worker_cpu_s": window.images / worker_cpu_s,
        "images_per_cpu_s": window.images / (worker_cpu_s + other_cpu_s),
        "peak_worker_pss_mb": max(samples.worker_pss_mb, default=0.0),
        "peak_pss_mb": max(
            map(sum, zip(samples.worker_pss_mb, samples.other_pss_mb, strict=True)), default=0.0
        ),
        "first_prediction_s": (int(rows["end_ns"][0]) - run.started_ns) / 1e9,
        "images_each_half_second": counts_over_time(rows["end_ns"]),
        "complete": len(rows) == task.images,
    }


def paced(peer: Peer, bench: Bench, rate: float) -> dict[str, Any]:
    """Latencies of a warm peer at a paced `rate` (images/s) on a topic of its own.

    PeerError where the peer fails, or the producer fell behind its schedule.
    """
    directory = bench.directory(f"{peer.name}-paced")
    topic = f"{brokers.PREFIX}-{directory.name}"
    each = bench.task.images_per_record
    count = int(rate * bench.task.paced_s) // each * each
    task = replace(_task(bench, peer, directory), topic=topic, mode="paced", images=count)
    warm = 0 if peer.warms_itself else int(rate * PACED_WARMUP_S) // each * each
    servers = task.servers.split(",")
    create_topic(servers, topic, brokers.layout(task.partitions))
    try:
        if warm:
            where = task.servers, topic, task.partitions
            brokers.send(*where, bench.dataset.images, warm, each, WARMUP_PRODUCER)
        with Run(peer, task) as run:
            if peer.warms_itself:
                run.wait((directory / "ready").exists, "warm", START_TIMEOUT_S)
            else:
                run.wait_for_rows(warm, "warm")
            due_ns, producer = paced_producer(run, rate, count)
            # On the clock of the rows.
            start_ns = due_ns + time.monotonic_ns() - time.time_ns()
            sent = wait_for_producer(run, producer, count / rate)
            (directory / "drain").touch()
            if peer.ends:
                run.wait(lambda: run.process.poll() is not None, "drained", STALL_TIMEOUT_S)
            else:
                run.wait_for_rows(warm + count, "drained")
        rows, verdict = _figures(run, bench)
    finally:
        delete_topic(servers, topic)
    late = latencies_ms(rows[rows["producer"] == brokers.PRODUCER], start_ns, rate, count)
    percentiles = {f"p{q}": float(np.percentile(late, q)) for q in (50, 95, 99)}
    return {**verdict, "rate": rate, "producer": sent, "latency_ms": percentiles}


def paced_producer(run: Run, rate: float, count: int) -> tuple[int, subprocess.Popen[str]]:
    """A process that sends `count` images at `rate`, and when the first one is due (epoch ns)."""
    start_ns = time.time_ns() + int(3e9)
    (run.directory / "start.json").write_text(json.dumps({"start_ns": start_ns}), "utf-8")
    command = [
        sys.executable, "-m", "comparison.paced", str(run.directory / "task.json"), repr(rate),
        str(count), str(start_ns),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, PATHS))}
    return start_ns, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def wait_for_producer(
    run: Run, producer: subprocess.Popen[str], schedule_s: float
) -> dict[str, Any]:
    """What a paced producer says; PeerError where it failed, or fell behind its schedule."""
    try:
        told, said = producer.communicate(timeout=schedule_s + STALL_TIMEOUT_S)
    finally:
        producer.kill()
    if producer.returncode:
        raise run.error(f"the producer failed: {said.strip().splitlines()[-1:]}")
    sent: dict[str, Any] = json.loads(told)
    if schedule_s / sent["took_s"] < LEAST_SCHEDULE_SHARE:
        raise run.error(
            f"the producer took {sent['took_s']:.1f} s for a schedule of {schedule_s:.1f} s"
        )
    return sent
