"""When a run counts: the rules of docs/experiments.md.

Each rule looks at the evidence and gives its objections, worded `V4: what is wrong`; what these do
to the run is said in `judgement`. The thresholds of the rules are all here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifelog.experiment.settings import MODES, TIMED_MODES
from lifelog.stats.steady import LEAST_TESTED
from lifelog.verification.accounting import Account, ImageRange
from lifelog.verification.callsfile import Calls
from lifelog.verification.figures import Figures, counted_batches
from lifelog.verification.rundata import RunData

# Our own choices.
LEAST_SCHEDULE_SHARE = 0.99
CEILING_TOLERANCE = 0.02
MOST_DISTURBANCE = 0.05
# So much longer than the least: no two runs are alike, and warm-up is cut.
_MORE = 1.25


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a run. `account` and `calls` are None where raw data are missing.

    `node_metrics`: figures by host, see nodemetrics.
    """

    data: RunData
    calls: Calls | None
    account: Account | None
    figures: Figures
    same_app_runs: tuple[str, ...] = ()
    node_metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def v1(e: Evidence) -> Iterator[str]:
    """The mode is declared, and every part of the run kept to it."""
    mode = e.data.spec.settings["mode"]
    if mode not in MODES:
        yield f"V1: {mode!r} is not a mode"
        return
    consumer = e.data.consumer
    if not consumer.error and (
        consumer.start_ns is None or (mode in TIMED_MODES and consumer.end_ns is None)
    ):
        yield f"V1: the consumer was told no start or end, which mode {mode} needs"
    for report in e.data.producers.values():
        if (report.end_ns is not None) != (mode in TIMED_MODES):
            yield f"V1: producer {report.producer} has an end that does not fit mode {mode}"
        if consumer.start_ns is not None and report.start_ns != consumer.start_ns:
            off_ms = (report.start_ns - consumer.start_ns) / 1e6
            yield f"V1: producer {report.producer} started {off_ms:g} ms off the agreed instant"
        if (
            mode in TIMED_MODES
            and consumer.end_ns is not None
            and (report.end_ns not in (None, consumer.end_ns))
        ):
            yield f"V1: producer {report.producer} has another end than the consumer"
    if mode == "paced":
        if any(own.rate is None for own in e.data.spec.producers):
            yield "V1: a paced producer was given no rate"
    elif e.calls is not None and e.calls.latency_images:
        yield f"V1: latencies were recorded in mode {mode}"


def v2(e: Evidence) -> Iterator[str]:
    """A paced run has a latency of every image that shared no call with warm-up."""
    if e.data.spec.settings["mode"] != "paced" or e.calls is None:
        return
    expected = e.calls.images - e.calls.mixed
    if e.calls.latency_images != expected:
        yield f"V2: {e.calls.latency_images} latencies were recorded for {expected} images"


def v3(e: Evidence) -> Iterator[str]:
    """Producers kept their schedule."""
    if e.data.spec.settings["mode"] != "paced":
        return
    for report in e.data.producers.values():
        if report.scheduled_by_end <= 0:
            yield f"V3: producer {report.producer} had nothing scheduled"
            continue
        share = report.sent_by_end / report.scheduled_by_end
        if share < LEAST_SCHEDULE_SHARE:
            yield (
                f"V3: producer {report.producer} sent {share:.1%} of its schedule in time, under "
                f"{LEAST_SCHEDULE_SHARE:.0%}: the run measured its load generator"
            )


def v4_conservation(e: Evidence) -> Iterator[str]:
    """What producers and micro-batches say of their images adds up."""
    for report in e.data.producers.values():
        imbalance = report.sent().imbalance()
        if imbalance:
            yield f"V4: {imbalance}"
    if e.calls is None or e.data.batches is None:
        return
    for what, said, found in (
        ("images", {own.batch: own.images for own in e.data.batches}, e.calls.images_by_batch),
        (
            "images that were only checked",
            {own.batch: own.backlog_images for own in e.data.batches},
            e.calls.backlog_by_batch,
        ),
    ):
        for batch in sorted({*said, *found}):
            if said.get(batch, 0) != found.get(batch, 0):
                yield (
                    f"V4: micro-batch {batch} has {said.get(batch, 0)} {what} in batches.jsonl and "
                    f"{found.get(batch, 0)} in calls.arrow"
                )
                return
    yield from _backlog(e)
    if not e.calls.images:
        yield "V4: no image was processed"


def _backlog(e: Evidence) -> Iterator[str]:
    """Images are checked and not inferred only where saturated producers have ended."""
    assert e.calls is not None
    assert e.data.batches is not None
    first, mode = e.data.consumer.backlog_from_batch, e.data.spec.settings["mode"]
    checked = {batch for batch, images in e.calls.backlog_by_batch.items() if images}
    if mode != "saturation" or first is None:
        if checked or first is not None:
            yield f"V4: {e.calls.backlog} images were not inferred, and this load leaves none"
        return
    ended_ns = e.data.consumer.end_ns or 0
    lines = {line.batch: line for line in e.data.batches}
    inferred = {batch for batch, images in e.calls.images_by_batch.items() if images}
    last = lines.get(first - 1)
    for batches, what in (
        (
            {n for n in checked if n < first},
            "holds images that were not inferred, before the backlog",
        ),
        ({n for n in inferred if n >= first}, "holds images that were inferred, in the backlog"),
        (
            {n for n in checked if n in lines and lines[n].started_ns <= ended_ns},
            "holds images that were not inferred, before the end of the load",
        ),
        (
            {first} if last is None or last.completed_ns <= ended_ns else set(),
            "begins the backlog, and none was inferred to the end of the load before it",
        ),
    ):
        if batches:
            yield f"V4: micro-batch {min(batches)} {what}"


def v4_twice(e: Evidence) -> Iterator[str]:
    """Each engine call counts exactly once."""
    if e.calls is not None and e.calls.faults:
        total = sum(fault.last - fault.first + 1 for fault in e.calls.faults)
        yield (
            f"V4: inferred twice: {total} engine calls are not counted exactly once "
            f"({_some([str(fault) for fault in e.calls.faults])})"
        )


def v4_silent_loss(e: Evidence) -> Iterator[str]:
    """Spark was not told to skip lost records in silence."""
    for key, value in (e.data.spec.settings.get("source_options") or {}).items():
        # Spark's options know no case.
        if key.lower() == "failondataloss" and str(value).lower() != "true":
            yield f"V4: source_options sets {key} to {value}: Spark then skips lost records in silence"


def v4_images(e: Evidence) -> Iterator[str]:
    """No image was lost or came twice."""
    if e.account is None:
        return
    for kind, count, ranges in (
        ("lost", e.account.lost, e.account.lost_ranges),
        ("duplicated", e.account.duplicated, e.account.duplicated_ranges),
    ):
        if count:
            yield f"V4: {count} images {kind} ({_some(names(ranges))})"


def v4_impossible(e: Evidence) -> Iterator[str]:
    """Nothing came that was never sent, damaged or malformed."""
    if e.account is not None and e.account.never_sent:
        yield (
            f"V4: {e.account.never_sent} images processed that were never sent "
            f"({_some(names(e.account.never_sent_ranges))})"
        )
    if e.calls is None:
        return
    for kind, count in (("damaged", e.calls.damaged), ("malformed", e.calls.malformed)):
        if count:
            what = "images" if kind == "damaged" else "records"
            yield f"V4: {count} {what} {kind} ({_some(e.calls.examples.get(kind, []))})"


def v5(e: Evidence) -> Iterator[str]:
    """Predictions are those that the same network made offline."""
    if e.calls is None or e.data.spec.settings["engine"] == "emulated" or not e.calls.wrong:
        return
    yield (
        f"V5: {e.calls.wrong} predictions differ from the offline ones "
        f"({_some(e.calls.examples.get('wrong', []))})"
    )


def v6(e: Evidence) -> Iterator[str]:
    """The rate is a capacity, not the cap of the micro-batches."""
    settings, cap = e.data.spec.settings, e.data.consumer.max_offsets_per_trigger
    if settings["mode"] not in ("saturation", "drain") or e.figures.throughput is None:
        return
    if cap is None:
        yield "V6: maxOffsetsPerTrigger is not set, and without it there is no steady state"
        return
    ceiling = cap * settings["images_per_record"] / (settings["trigger_ms"] / 1000)
    if e.figures.throughput >= (1 - CEILING_TOLERANCE) * ceiling:
        yield (
            f"V6: {e.figures.throughput:.0f} images/s are the setting itself, not a capacity: "
            f"maxOffsetsPerTrigger / trigger allows {ceiling:.0f}; raise batch_cap_s"
        )


def v7(e: Evidence) -> Iterator[str]:
    """The run was measured for long enough."""
    # So many images is the length of a fixed-size run.
    if e.data.spec.settings["mode"] == "fixed_size":
        return
    spec, figures = e.data.spec, e.figures
    seconds = figures.measured_s or 0.0
    if seconds < spec.min_duration_s or figures.micro_batches < spec.min_batches:
        yield (
            f"V7: {seconds:.1f} s and {figures.micro_batches} micro-batches were measured, "
            f"{spec.min_duration_s:g} s and {spec.min_batches} are asked for"
        )


def v7_rate(e: Evidence) -> Iterator[str]:
    """A timed run has a rate."""
    # Short or not, a run without a rate has measured nothing.
    mode = e.data.spec.settings["mode"]
    if mode in TIMED_MODES and e.calls is not None and e.figures.throughput is None:
        yield f"V7: no rate: {e.figures.micro_batches} micro-batches completed in the measured time"


def v8(e: Evidence) -> Iterator[str]:
    """The run reached a steady state, and kept it to the end of the load."""
    if e.figures.steady is not None and e.figures.steady.reason:
        yield f"V8: {e.figures.steady.reason}{_longer(e)}"
    if e.figures.final_stall_s is not None:
        # The rate ends with the last completion: it would leave this time out.
        yield (
            f"V8: a stall: no micro-batch completed in the last {e.figures.final_stall_s:.1f} s of "
            "the load"
        )


def _longer(e: Evidence) -> str:
    """What to change where micro-batches are too few to test: a repeated run has no more of them."""
    few, seconds = e.figures.micro_batches, e.figures.measured_s
    timed = e.data.spec.settings["mode"] in TIMED_MODES
    if e.data.spec.short or not timed or not seconds or few >= LEAST_TESTED:
        return ""
    each = seconds / few
    enough = 10 * math.ceil(_MORE * LEAST_TESTED * each / 10)
    return f"; they took {each:.1f} s each: set duration_s to {enough} or more"


def v10(e: Evidence) -> Iterator[str]:
    """Driver, executors, query and checkpoint were fresh."""
    for run in e.same_app_runs:
        yield f"V10: run {run} of another repetition used the same driver and executors"
    # What is left of a saturated load is checked by a query of its own.
    last = e.data.consumer.backlog_from_batch
    ids = {
        event.get("runId")
        for event in e.data.progress
        if last is None or event.get("batchId", 0) < last
    }
    if len(ids) > 1:
        yield "V10: the streaming query was restarted during the run"
    first = min((event.get("batchId", 0) for event in e.data.progress), default=0)
    if first != 0:
        yield f"V10: the first micro-batch is number {first}: the checkpoint was not fresh"


def v13(e: Evidence) -> Iterator[str]:
    """What the run was made of is recorded."""
    data = e.data
    # A run that failed says so; what it could not write any more is not a second reason.
    if data.consumer.error or any("consumer.json" in fault for fault in data.faults):
        return
    for name, present in (
        ("versions", data.consumer.versions),
        ("Spark settings", data.consumer.spark_conf),
        ("the application's id", data.consumer.app_id),
        ("the dataset's hash", data.spec.dataset.get("sha256")),
        ("the model's hash", data.spec.model.get("sha256")),
        ("the code's hash", data.cluster.get("app_sha256")),
        ("progress events", data.progress),
    ):
        if not present:
            yield (
                f"V13: {name} are not recorded"
                if name.endswith("s")
                else (f"V13: {name} is not recorded")
            )


def placement(e: Evidence) -> Iterator[str]:
    """Partitions and executors were where the plan puts them."""
    data = e.data
    if data.consumer.error or any("consumer.json" in fault for fault in data.faults):
        return
    planned = [replicas[0] for replicas in data.spec.replica_assignment]
    if data.consumer.leaders_observed != planned:
        yield (
            f"V13: placement: the partitions were led by brokers {data.consumer.leaders_observed}, "
            f"planned were {planned}"
        )
    executors = sorted(set(data.consumer.executors))
    # Fewer partitions than workers cannot give all of them a task.
    wanted = min(data.spec.workers, len(planned))
    if len(executors) != wanted:
        yield (
            f"V13: placement: {len(executors)} workers ran executors "
            f"({', '.join(executors) or 'none'}), and {wanted} were planned"
        )
    strangers = sorted(set(executors) - set(data.spec.worker_addresses))
    if strangers:
        yield f"V13: placement: {', '.join(strangers)} ran executors and is no worker of ours"


def marks(e: Evidence) -> Iterator[str]:
    """What is worth knowing of a run and does not make it invalid."""
    if e.account is not None and e.account.unacknowledged_arrived:
        ranges = names(e.account.unacknowledged_arrived_ranges)
        yield f"V4: {e.account.unacknowledged_arrived} unacknowledged images came ({_some(ranges)})"
    if e.calls is not None and e.calls.mixed:
        yield f"V2: {e.calls.mixed} images shared a call with warm-up: no latency or accuracy of it"
    if e.figures.clock_fault:
        yield e.figures.clock_fault
    yield from _waiting(e)
    if any(own.yields_cpu for own in e.data.spec.producers):
        yield "V12: producers and workers shared processors: producers ran at a low priority"
    yield from _v12(e)
    if not e.data.nodes:
        yield "V13: no hardware facts of the nodes"


def _v12(e: Evidence) -> Iterator[str]:
    for host, figures in sorted(e.node_metrics.items()):
        for name, what in (
            ("steal_share", "of the processor time was taken by the hypervisor"),
            ("throttled_share", "of the time the processor was slowed for its heat"),
            ("foreign_share", "of the processor time was used by other programs"),
        ):
            share = figures.get(name)
            if share is not None and share > MOST_DISTURBANCE:
                yield f"V12: {host}: {share:.1%} {what}, {MOST_DISTURBANCE:.0%} are harmless"


def _waiting(e: Evidence) -> Iterator[str]:
    """Under saturation there is always more than the workers take: else they were not the limit."""
    cap, settings = e.data.consumer.max_offsets_per_trigger, e.data.spec.settings
    if settings["mode"] != "saturation" or cap is None:
        return
    batches = [line.images for line in counted_batches(e.data)]
    full = (1 - CEILING_TOLERANCE) * cap * settings["images_per_record"]
    waiting = sum(images < full for images in batches)
    if waiting:
        yield (
            f"V6: in {waiting} of {len(batches)} micro-batches the workers took all that there was: "
            "producers or brokers, not the workers alone, set this rate"
        )


def rule_of(text: str) -> str:
    """The rule that a reason names: `V4` of `V4: what is wrong`."""
    return text.partition(":")[0]


def names(ranges: list[ImageRange]) -> list[str]:
    """Ranges of images in words."""
    return [str(images) for images in ranges]


def _some(cases: list[str], most: int = 3) -> str:
    """The first few cases, and how many more there are."""
    rest = f" and {len(cases) - most} more" if len(cases) > most else ""
    return ", ".join(cases[:most]) + rest
