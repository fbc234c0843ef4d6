"""One run in the Spark driver: calibrate, warm up, measure, drain, report.

What saturated producers have piled up is not inferred: a second query goes on where the first one
ended and checks, without the engine, that every image is there once and undamaged (the backlog).

Delivery: exactly the records of the topic, each inferred once; any deviation shows in the keys of
the calls and is judged by `lifelog.verification.verify`, not here.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifelog.bundle import load_dataset_bundle
from lifelog.consumer.application import Application
from lifelog.consumer.batches import backlog_records, expected_images_per_s, most_records
from lifelog.consumer.calls import CALL_SCHEMA, unpack
from lifelog.consumer.lag import LagMeter
from lifelog.consumer.progress import progress_listener
from lifelog.consumer.session import provenance, start_query, work_of
from lifelog.consumer.warmup import warm_up
from lifelog.jsonfiles import append_line, write_json
from lifelog.node.jobs import Job
from lifelog.node.topics import leaders
from lifelog.record import WARMUP_PRODUCER

RATE_OVER_S = 5.0
STATUS_EVERY_S = 0.5
# Longest time between the end of a query and its last progress event.
EVENTS_S = 5.0
# A load without a set end is over when no image has come for so long.
IDLE_S = 15.0


def root_cause(text: str) -> str:
    """The line of an error's text that says what happened.

    Spark wraps an error of a task, Java's or Python's, several times: the innermost comes last, among
    stack traces (whose lines are indented) and before the description of the query.
    """
    told = text.partition("=== Streaming Query ===")[0]
    lines = [
        line.strip()
        for line in told.splitlines()
        if line.strip() and not line[0].isspace() and line.strip() != "Driver stacktrace:"
    ]
    return lines[-1].removeprefix("Caused by: ") if lines else ""


class LoadOver(Exception):
    """Ends the query between two micro-batches."""


class Results:
    """Writes what the workers return, micro-batch by micro-batch, and counts it."""

    def __init__(self, directory: Path) -> None:
        self._batches = directory / "batches.jsonl"
        self._schema = pa.schema([("batch", pa.int64()), *CALL_SCHEMA])
        self._writer = pa.ipc.new_stream(str(directory / "calls.arrow"), self._schema)
        self.images = 0
        self.warmup_images = 0
        self.completed_ns = 0
        # Set to end the query once a micro-batch has completed after it; the one before which it ended.
        self.load_end_ns: int | None = None
        self.ended_before: int | None = None
        self.recent: list[tuple[float, int]] = []
        self.workers: set[str] = set()
        self.executors: set[str] = set()

    def on_batch(self, frame: Any, batch: int) -> None:
        """The one action of a micro-batch: collect its rows, so no image is inferred twice."""
        over = self.load_end_ns is not None and self.completed_ns > self.load_end_ns
        if over and self.ended_before is None:
            # Planned and not begun: the next query of this checkpoint begins with it.
            self.ended_before = batch
            raise LoadOver("the load is over: another query checks what is left of it")
        started = time.time_ns()
        packed: pa.Table = frame.toArrow()
        completed = self.completed_ns = time.time_ns()
        table = unpack(packed)
        table = table.add_column(0, "batch", pa.array([batch] * len(table), pa.int64()))
        self._writer.write_table(table)
        counted = warmup = backlog = 0
        for keys, images, worker, call in zip(
            *(table[name].to_pylist() for name in ("keys", "images", "worker", "call")),
            strict=True,
        ):
            self.workers.add(worker)
            if int.from_bytes(keys[:4], "little") == WARMUP_PRODUCER:
                warmup += images
            elif not call:
                backlog += images
            else:
                counted += images
                self.executors.add(worker.rpartition(":")[0])
        append_line(
            self._batches,
            {
                "batch": batch,
                "started_ns": started,
                "completed_ns": completed,
                "images": counted,
                "warmup_images": warmup,
                "backlog_images": backlog,
            },
        )
        self.images += counted
        self.warmup_images += warmup
        now = time.monotonic()
        if not backlog:
            recent = [own for own in self.recent if now - own[0] < 4 * RATE_OVER_S]
            self.recent = [*recent, (now, counted)]

    def rate(self) -> float:
        """Images/s over the last few micro-batches, for the progress line only."""
        if len(self.recent) < 2:
            return 0.0
        span = self.recent[-1][0] - self.recent[0][0]
        return sum(images for _, images in self.recent[1:]) / span if span > 0 else 0.0

    def close(self) -> None:
        """End the Arrow stream."""
        self._writer.close()


class Consumer:
    """One run of the consumer in its run directory."""

    def __init__(self, directory: Path, bundles: Path, jars: Path) -> None:
        self.job = Job(directory, "consumer")
        self.spec = self.job.spec
        self.jars = jars
        self.bundles = bundles
        self.output = directory / "consumer"
        self.output.mkdir()
        self.report: dict[str, Any] = {"error": None, "stages_s": {}, "start_ns": None}
        self._stage_started = self._last_change = time.monotonic()
        self._last_images = 0
        self._drain_until: float | None = None

    def stage(self, name: str) -> None:
        """Close the stage that ends now under `name`."""
        now = time.monotonic()
        self.report["stages_s"][name] = round(now - self._stage_started, 3)
        self._stage_started = now

    def run(self, application: Application | None) -> Application:
        """Run to the end, in the given application or a new one, and return that.

        The caller reports an exception with `fail`, and the end with `finish`.
        """
        spec, settings = self.spec, self.spec["settings"]
        self.job.report(phase="starting Spark", pid=os.getpid())
        if application is None:
            application = Application(spec, self.jars)
        session, work = application.session, work_of(spec, self.bundles)
        self.report |= provenance(session, spec)
        self.stage("start")
        self.job.report(phase="loading the model", app_id=self.report["app_id"])
        application.load(work, spec["slots"])
        partitions, images_per_record = settings["partitions"], settings["images_per_record"]
        expected = expected_images_per_s(application.bare_images_per_s, partitions, spec["slots"])
        # Paced load needs no cap: a backlog there is the finding.
        cap = most_records(settings["batch_cap_s"], expected, images_per_record, partitions)
        self.report |= {
            "calibration": application.calibration,
            "max_offsets_per_trigger": None if settings["mode"] == "paced" else cap,
        }
        self.stage("load")
        results = Results(self.output)
        lag = LagMeter(spec["bootstrap_servers"], spec["topic"], settings["partitions"])

        def on_progress(text: str) -> None:
            progress = json.loads(text)
            append_line(self.output / "progress.jsonl", progress)
            if end := progress["sources"][0].get("endOffset"):
                lag.processed(end)

        listener = progress_listener(session, on_progress)
        session.streams.addListener(listener)

        def query_of(most: int | None, infer: bool) -> Any:
            checkpoint = self.job.directory / "checkpoint"
            return start_query(session, spec, work, checkpoint, most, results.on_batch, infer)

        query = query_of(self.report["max_offsets_per_trigger"], infer=True)

        def check() -> None:
            if not query.isActive and results.ended_before is None:
                raise RuntimeError(f"the streaming query ended: {query.exception()}")

        self.job.report(phase="warming up")
        if settings["mode"] != "drain":
            self.report["warmup"] = warm_up(
                spec,
                load_dataset_bundle(Path(work.dataset_file)).images,
                expected,
                lambda: results.warmup_images,
                check,
                application.rounds_of(work, settings),
                application.warm,
            )
            application.warm = True
        self.stage("warm_up")
        self.job.report(phase="ready")
        self._measure(results, lag, check)
        query.stop()
        if results.ended_before is not None:
            self.report["backlog_from_batch"] = results.ended_before
            record_bytes = images_per_record * spec["dataset"]["image_bytes"]
            most = backlog_records(record_bytes, partitions)
            self._check_backlog(lambda: query_of(most, infer=False), results, lag)
        self.report["drained"] = True
        self.stage("drain")
        session.streams.removeListener(listener)
        results.close()
        lag.close()
        self.report |= {
            "leaders_observed": leaders(spec["bootstrap_servers"], spec["topic"]),
            "executors": sorted(results.executors),
            "model_loads": len(results.workers),
        }
        self.stage("stop")
        return application

    def finish(self) -> None:
        """Write the report and say that the run is done."""
        write_json(self.output / "consumer.json", self.report)
        self.job.report(phase="done")

    def fail(self, error: Exception) -> None:
        """Write the report and say why the run failed."""
        self.report["error"] = f"{type(error).__name__}: {root_cause(str(error))}"
        write_json(self.output / "consumer.json", self.report)
        self.job.report(phase="failed", error=self.report["error"])

    def _measure(self, results: Results, lag: LagMeter, check: Any) -> None:
        settings = self.spec["settings"]
        timed = settings["mode"] in ("saturation", "paced")
        next_lag = 0.0
        behind = 0
        while True:
            check()
            if time.monotonic() >= next_lag:
                next_lag = time.monotonic() + 1.0
                behind = self._lag(results, lag)
            start_ns = self.job.start_ns()
            phase = "ready"
            if start_ns is not None:
                end_ns = start_ns + int(settings["duration_s"] * 1e9) if timed else None
                self.report |= {"start_ns": start_ns, "end_ns": end_ns}
                phase = "measuring"
                if self._is_measured(end_ns, results.images):
                    phase = "measured"
            if self.job.told_to_drain():
                if self._drain_until is None:
                    self._drain_until = time.monotonic() + settings["drain_timeout_s"]
                    self.stage("measure")
                    next_lag = 0.0
                    behind = lag.lag_records()
                    if settings["mode"] == "saturation":
                        results.load_end_ns = self.report.get("end_ns")
                phase = "draining"
                if behind <= 0 or results.ended_before is not None:
                    return
                self._check_drain(behind)
            self._tell(phase, results, behind)
            time.sleep(STATUS_EVERY_S)

    def _check_backlog(self, start: Callable[[], Any], results: Results, lag: LagMeter) -> None:
        """Check what saturated producers have piled up, by queries that `start` starts, until nothing is left.

        A query ends with what was in the topic when it began, and replicas may still be catching up.
        """
        behind = self._lag(results, lag)
        while behind > 0:
            query = start()
            while not query.awaitTermination(STATUS_EVERY_S):
                self._check_drain(behind)
                behind = self._lag(results, lag)
                self._tell("checking the backlog", results, behind)
            # Its last progress event comes after its end.
            waited_until = time.monotonic() + EVENTS_S
            while (behind := self._lag(results, lag)) > 0 and time.monotonic() < waited_until:
                time.sleep(STATUS_EVERY_S)
            self._check_drain(behind)

    def _lag(self, results: Results, lag: LagMeter) -> int:
        """Records that no finished micro-batch holds; written down."""
        behind = lag.lag_records()
        append_line(
            self.output / "lag.jsonl",
            {"at_ns": time.time_ns(), "lag_records": behind, "images": results.images},
        )
        return behind

    def _check_drain(self, behind: int) -> None:
        """RuntimeError where the time to process what is left is over."""
        if self._drain_until is not None and time.monotonic() > self._drain_until:
            # Only here: whatever else ends a drain is a fault, and says nothing of the load.
            self.report["drained"] = False
            raise RuntimeError(
                f"{behind} records were still unprocessed after drain_timeout_s = "
                f"{self.spec['settings']['drain_timeout_s']} s"
            )

    def _tell(self, phase: str, results: Results, behind: int) -> None:
        """Say how far the run is."""
        self.job.report(
            phase=phase,
            images=results.images,
            images_per_s=round(results.rate()),
            lag_images=behind * self.spec["settings"]["images_per_record"],
        )

    def _is_measured(self, end_ns: int | None, images: int) -> bool:
        """Whether the time is over, or all images have come (or no more do) where none is set."""
        if end_ns is not None:
            return time.time_ns() >= end_ns
        if images != self._last_images:
            self._last_images, self._last_change = images, time.monotonic()
        expected = sum(producer["images"] for producer in self.spec["producers"])
        idle_s = time.monotonic() - self._last_change
        return images >= expected or (images > 0 and idle_s > IDLE_S)
