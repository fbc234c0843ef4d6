"""Run the producers of one broker node: one operating-system process for each.

Delivery guarantee: that of the client's `acks`; each producer reports exactly which sequences were
sent, and which of them were not acknowledged.
"""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelog.bundle import load_dataset_bundle
from lifelog.encodings import encoding
from lifelog.jsonfiles import read_json, write_json
from lifelog.node.jobs import Job, end_process_tree, lease_left_s, watch, yield_cpu
from lifelog.producer.clients import Client, make_client
from lifelog.producer.ranges import to_ranges
from lifelog.record import pack_key, start_index

REPORT_EVERY_NS = 500_000_000
# A paced producer sleeps no shorter than this, then sends all that is due: a wake-up for each record
# costs several times what the record does. Latency counts from the scheduled time all the same.
TICK_S = 0.005


@dataclass(frozen=True, slots=True)
class Load:
    """What one producer has to send."""

    producer: int
    images: int | None
    rate: float | None
    start_ns: int
    end_ns: int | None
    images_per_record: int
    partitions: int


@dataclass(slots=True)
class Sent:
    """What one producer did send; sequences run from 0 to `images` - 1."""

    images: int = 0
    by_end: int = 0
    first_send_ns: int = 0
    max_late_ms: float = 0.0


class Source:
    """Record values, cut from the encoded stream images laid end to end."""

    def __init__(self, images: Any, encoding_name: str, images_per_record: int) -> None:
        raw = encoding(encoding_name).encode(images.reshape(len(images), -1))
        self.count = len(raw)
        self._width = raw.shape[1]
        once = raw.tobytes()
        # Laid out often enough that a record may start at any image and run past the last one.
        self._blob = once * (1 + -(-images_per_record // self.count))

    def value(self, index: int, images: int) -> bytes:
        """Encoded pixels of `images` images from dataset index `index` on."""
        return self._blob[index * self._width : (index + images) * self._width]


def send_load(client: Client, load: Load, source: Source, progress: Any) -> Sent:
    """Send one producer's load, as fast as the client takes it or on its absolute schedule."""
    sent = Sent()
    first = start_index(load.producer, source.count)
    interval_ns = None if load.rate is None else 1e9 / load.rate
    number = 0
    while load.images is None or sent.images < load.images:
        n = load.images_per_record
        if load.images is not None:
            n = min(n, load.images - sent.images)
        now = time.time_ns()
        if interval_ns is None:
            if load.end_ns is not None and now >= load.end_ns:
                break
            timestamp_ns = now
        else:
            timestamp_ns = load.start_ns + int(sent.images * interval_ns)
            late_s = (now - timestamp_ns) / 1e9
            if load.end_ns is not None and (
                timestamp_ns >= load.end_ns or now >= load.end_ns + TICK_S * 1e9
            ):
                break
            if late_s < 0:
                time.sleep(max(-late_s, TICK_S))
            elif late_s * 1e3 > sent.max_late_ms:
                sent.max_late_ms = late_s * 1e3
        index = (first + sent.images) % source.count
        client.send(
            number,
            (load.producer + number) % load.partitions,
            pack_key(load.producer, index, sent.images),
            source.value(index, n),
            timestamp_ns // 1_000_000,
        )
        if not number:
            sent.first_send_ns = now
        number += 1
        sent.images += n
        progress(sent.images)
    sent.by_end = sent.images
    return sent


def scheduled_images(load: Load, sent: Sent) -> int:
    """Images that the load asked for; as fast as possible asks for what was sent."""
    if load.images is not None:
        return load.images
    if load.rate is None or load.end_ns is None:
        return sent.images
    asked = int((load.end_ns - load.start_ns) / 1e9 * load.rate)
    # Whole records only: the last one may reach past the end of the schedule.
    return max(asked - asked % load.images_per_record, sent.images)


def produce(spec: dict[str, Any], own: dict[str, Any], directory: str, bundles: str) -> None:
    """Body of one producer process; writes `producer-ID.json` whatever happens."""
    end_with_parent()
    run = Path(directory)
    producer = int(own["id"])
    report_file = run / f"producer-{producer}.json"
    try:
        report = _produce(spec, own, run, Path(bundles))
    except Exception as error:
        # The boundary of the process: the error travels in the report, the traceback in the log.
        write_json(report_file, {"producer": producer, "error": f"{type(error).__name__}: {error}"})
        raise
    write_json(report_file, report)


def end_with_parent() -> None:
    """End this process when its parent has ended: killed, that one cannot end its children.

    Does nothing in a process that multiprocessing has not started.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait(sentinel: int = parent.sentinel) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()


def _produce(spec: dict[str, Any], own: dict[str, Any], run: Path, bundles: Path) -> dict[str, Any]:
    settings = spec["settings"]
    producer = int(own["id"])
    images = load_dataset_bundle(bundles / spec["dataset_file"]).images
    source = Source(images, settings["encoding"], settings["images_per_record"])
    client = make_client(spec["bootstrap_servers"], spec["topic"], settings)
    progress_file = run / f"producer-{producer}.progress"
    write_json(progress_file, {"images": 0})
    start_ns = _wait_for_start(run)
    paced_or_saturated = settings["mode"] in ("saturation", "paced")
    load = Load(
        producer=producer,
        images=own["images"],
        rate=own["rate"],
        start_ns=start_ns,
        end_ns=start_ns + int(settings["duration_s"] * 1e9) if paced_or_saturated else None,
        images_per_record=settings["images_per_record"],
        partitions=settings["partitions"],
    )
    next_report = start_ns + REPORT_EVERY_NS

    def progress(count: int) -> None:
        nonlocal next_report
        if count % 256 == 0 and (now := time.time_ns()) >= next_report:
            next_report = now + REPORT_EVERY_NS
            write_json(progress_file, {"images": count})

    collect_seldom()
    cpu_start, wall_start = time.process_time(), time.perf_counter()
    sent = send_load(client, load, source, progress)
    failed_records = client.close()
    cpu_s, wall_s = time.process_time() - cpu_start, time.perf_counter() - wall_start
    write_json(progress_file, {"images": sent.images})
    failed_ranges = _image_ranges(failed_records, load.images_per_record, sent.images)
    failed = sum(last - first + 1 for first, last in failed_ranges)
    scheduled = scheduled_images(load, sent)
    return {
        "producer": producer,
        "client": settings["client"],
        "scheduled": scheduled,
        "acknowledged": sent.images - failed,
        "failed": failed,
        "unsent": scheduled - sent.images,
        "failed_ranges": failed_ranges,
        "start_ns": start_ns,
        "end_ns": load.end_ns,
        "first_send_ns": sent.first_send_ns,
        "last_ack_ns": client.last_ack_ns,
        "scheduled_by_end": scheduled,
        "sent_by_end": sent.by_end,
        "max_late_ms": round(sent.max_late_ms, 3),
        "request_latency_ms": client.request_latency_ms,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "error": None,
    }


def collect_seldom() -> None:
    """Look for cyclic garbage in what is new only, and seldom.

    A record on its way is six objects, and tens of thousands are on their way. The client breaks its
    cycles when a record is acknowledged, so that hardly any garbage is left to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


def _wait_for_start(run: Path) -> int:
    while (start := read_json(run / "start.json")) is None:
        time.sleep(0.05)
    start_ns = int(start["start_ns"])
    late_s = time.time() - start_ns / 1e9
    if late_s > 0:
        raise RuntimeError(f"the start was announced {late_s:.1f} s too late for this producer")
    time.sleep(-late_s)
    return start_ns


def _image_ranges(records: set[int], images_per_record: int, sent: int) -> list[list[int]]:
    """Inclusive ranges of image sequences of the given record numbers."""
    return [
        [first * images_per_record, min((last + 1) * images_per_record, sent) - 1]
        for first, last in to_ranges(sorted(records))
    ]


def run_producers(directory: Path, bundles: Path, host: str) -> int:
    """Run this host's producers to their end; returns 0 when each wrote a good report."""
    job = Job(directory, "producers")
    watch(lambda: lease_left_s(directory), job.end_without_lease)
    own = [p for p in job.spec["producers"] if p["host"] == host]
    job.report(phase="starting", pid=os.getpid(), producers=len(own))
    if any(p["yields_cpu"] for p in own):
        yield_cpu()
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=produce, args=(job.spec, p, str(directory), str(bundles)))
        for p in own
    ]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        counts = [read_json(directory / f"producer-{p['id']}.progress") for p in own]
        ready = sum(count is not None for count in counts)
        started = (start := job.start_ns()) is not None and time.time_ns() >= start
        phase = "producing" if started else "ready" if ready == len(own) else "starting"
        job.report(phase=phase, images=sum(count["images"] for count in counts if count))
        if not started and any(process.exitcode for process in processes):
            break
        time.sleep(0.25)
    bad = [p["id"] for p, process in zip(own, processes, strict=True) if process.exitcode]
    errors = [_error_of(directory, identifier) for identifier in bad]
    job.report(phase="failed" if bad else "done", error="; ".join(errors) or None)
    if bad:
        end_process_tree()
    return 0


def _error_of(directory: Path, producer: int) -> str:
    report = read_json(directory / f"producer-{producer}.json") or {}
    return f"producer {producer}: {report.get('error') or 'ended without a report'}"
