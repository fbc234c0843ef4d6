"""One trial of a search for the sustainable rate: from its raw data to its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelog.stats.sustainable import WARM_UP_SHARE, Outcome, judge_trial
from lifelog.verification.figures import counted_batches
from lifelog.verification.rules import rule_of
from lifelog.verification.rundata import RunData

# What too high a load brings about: late producers; few and long micro-batches.
_OF_THE_LOAD = ("V3", "V7")


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """`outcome` None: the run says nothing of its load, and is to be repeated.

    `generator`: the load failed only because its producers could not offer it.
    """

    outcome: Outcome | None
    reasons: tuple[str, ...]
    generator: bool = False


def schedule_lag(data: RunData, rate: float) -> list[tuple[float, float, float]]:
    """(seconds since the start, images due and not completed, images completed) at completions.

    At the completions of the counted micro-batches. Images due are those of the schedule, so an
    image that its producer holds back waits like one in Kafka (as for latency, rule V2).
    """
    start_ns = data.consumer.start_ns
    if start_ns is None:
        return []
    counted = {line.batch for line in counted_batches(data) if line.images}
    points, completed = [], 0
    for line in data.batches or ():
        completed += line.images
        if line.batch in counted:
            seconds = (line.completed_ns - start_ns) / 1e9
            points.append((seconds, rate * seconds - completed, float(completed)))
    return points


def judge_run(
    data: RunData, invalid: Sequence[str], p99_ms: float | None, limit_ms: float | None
) -> TrialOutcome:
    """Whether a trial's load was carried; `invalid`: why the run is invalid, if it is."""
    drained = data.consumer.drained is not False
    faults = [text for text in invalid if rule_of(text) not in _OF_THE_LOAD]
    # A consumer that gave up draining leaves files that are cut off: those faults are no others.
    if faults and drained:
        return TrialOutcome(None, tuple(faults))
    rate = float(data.spec.settings["target_rate"])
    points = schedule_lag(data, rate)
    start_ns, end_ns = data.consumer.start_ns, data.consumer.end_ns
    if start_ns is None or end_ns is None or len(points) < 2:
        reason = f"{len(points)} micro-batches completed while the load lasted"
        if drained:
            return TrialOutcome("undecided", (reason,))
        return TrialOutcome("fail", (reason, "the lag did not drain after the producers stopped"))
    first, last = points[int(len(points) * WARM_UP_SHARE)], points[-1]
    found = judge_trial(
        [(seconds, lag) for seconds, lag, _ in points],
        (end_ns - start_ns) / 1e9,
        rate,
        last[2] - first[2],
        rate * (last[0] - first[0]),
        p99_ms,
        limit_ms,
        drained,
    )
    late = tuple(text for text in invalid if rule_of(text) == "V3")
    if found.outcome != "fail" and late:
        return TrialOutcome("fail", late, generator=True)
    too_short = tuple(text for text in invalid if rule_of(text) == "V7")
    if found.outcome == "pass" and too_short:
        return TrialOutcome("undecided", too_short)
    return TrialOutcome(found.outcome, found.reasons)
