"""What is to be known about the runs' figures, for someone who has not read the rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Each rule of lifelog.verification.rules: what broke when it objects, and what it looks at.
RULES: dict[str, tuple[str, str]] = {
    "V1": (
        "the load was not the declared one",
        "The kind of load is fixed before the run: as fast as possible, on a schedule, or so many "
        "images. Only load on a schedule has a latency.",
    ),
    "V2": (
        "latencies are incomplete",
        "Latency counts from the scheduled send time of each image, so that a stall cannot hide.",
    ),
    "V3": (
        "the load generator fell behind its schedule",
        "Producers that cannot keep their schedule would measure themselves.",
    ),
    "V4": (
        "the images do not add up",
        "Every image is followed by its own number: what was acknowledged and never processed is "
        "lost, what came twice is repeated. A checksum of the pixels finds damage.",
    ),
    "V5": (
        "predictions are wrong",
        "Each prediction is compared with what the same network predicts offline.",
    ),
    "V6": (
        "the rate is a setting, not a capacity",
        "A rate equal to the largest micro-batch that Spark was allowed to fetch says nothing.",
    ),
    "V7": (
        "measured too short",
        "A least duration and a least number of micro-batches are asked for.",
    ),
    "V8": (
        "the figures had not settled",
        "Warm-up is found by a test and cut off; the two halves of the rest must agree, and no "
        "stall may last to the end.",
    ),
    "V9": (
        "too few micro-batches",
        "A high percentile needs enough micro-batches, or it is not given.",
    ),
    "V10": (
        "the run did not start fresh",
        "Each run has a topic and a checkpoint of its own, each repetition a driver and executors.",
    ),
    "V11": (
        "the clocks of the machines are not known well enough",
        "A latency between machines needs clocks whose difference is known, and far smaller.",
    ),
    "V12": (
        "other load on the machines",
        "What other programs, a hypervisor or heat take of the processors is measured; much of it "
        "is noted.",
    ),
    "V13": (
        "the records are incomplete",
        "Versions, settings, placement, hashes and raw data belong to every result.",
    ),
    "failed": ("the run failed", ""),
}
SHORT = "short run: shows that everything works; it gives no interval and supports no claim"
_SHORT_MARK = "declared short"
# Details of one kind beyond these are counted only: run.json has them all.
_MOST_DETAILS = 3
_FIELDS = {
    "throughput_images_per_s": "images/s",
    "within_run_ci95": "interval of the rate",
    "measured_s": "measured time",
    "latency_ms.p50": "median latency",
    "latency_ms.p99": "99th percentile of the latency",
}
_BOTH_LATENCIES = [_FIELDS["latency_ms.p50"], _FIELDS["latency_ms.p99"]]


@dataclass(frozen=True, slots=True)
class Note:
    """`kind`: invalid, mark or absent; `rule`: as in RULES or empty; `plain`: in plain words."""

    kind: str
    rule: str
    plain: str
    details: tuple[str, ...]
    points: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Plain words first, then the details."""
        details = list(self.details[:_MOST_DETAILS])
        if len(self.details) > _MOST_DETAILS:
            details.append(f"and {len(self.details) - _MOST_DETAILS} more, see run.json")
        return f"{self.plain}: {'; '.join(details)}" if details else self.plain


def split_rule(text: str) -> tuple[str, str]:
    """`V4: what is wrong` -> its rule and the rest; an empty rule where the text names none."""
    match = re.match(r"(V\d+|failed): (.*)", text, re.DOTALL)
    return (match[1], match[2]) if match and match[1] in RULES else ("", text)


def notes(runs: Iterable[dict[str, Any]]) -> list[Note]:
    """The notes on all runs, invalid runs first; what several points share is one note."""
    points: dict[Note, list[str]] = {}
    for run in runs:
        for note in run_notes(run):
            points.setdefault(note, []).append(run["point"])
    merged = [
        Note(note.kind, note.rule, note.plain, note.details, tuple(dict.fromkeys(of)))
        for note, of in points.items()
    ]
    return sorted(merged, key=lambda note: ("invalid", "mark", "absent").index(note.kind))


def brief(remarks: Iterable[Note]) -> list[Note]:
    """Notes that differ in their details only as one, with the details of the first of them."""
    alike: dict[tuple[str, str, str], list[Note]] = {}
    for note in remarks:
        # A mark that counts something is the same mark with another count.
        words = re.sub(r"[\d,.]*\d", "#", note.plain)
        alike.setdefault((note.kind, note.rule, words), []).append(note)
    found = []
    for same in alike.values():
        first, points = same[0], tuple(dict.fromkeys(p for note in same for p in note.points))
        others = (f"so at {first.points[0]}, and alike at the others",) if len(same) > 1 else ()
        found.append(Note(first.kind, first.rule, first.plain, first.details + others, points))
    return found


def run_notes(run: dict[str, Any]) -> list[Note]:
    """The notes on one run."""
    found = _invalid(run["invalid_reasons"])
    short = "short" in run["labels"]
    if short:
        found.append(Note("mark", "", SHORT, ()))
    for mark in run["marks"]:
        if not (short and _SHORT_MARK in mark):
            rule, text = split_rule(mark)
            found.append(Note("mark", rule, text, ()))
    fields: dict[str, list[str]] = {}
    for name, reason in run["absent_because"].items():
        # What nobody judges yet, what the short run's note says, and what made the run invalid.
        if name == "bottleneck" or _SHORT_MARK in reason or reason in run["invalid_reasons"]:
            continue
        fields.setdefault(reason, []).append(_FIELDS.get(name, name.replace("_", " ")))
    for reason, names in fields.items():
        rule, detail = split_rule(reason)
        if names == _BOTH_LATENCIES:
            names = ["latency"]
        found.append(Note("absent", rule, f"no {', '.join(names)}", (detail,)))
    return found


def _invalid(texts: list[str]) -> list[Note]:
    details: dict[str, list[str]] = {}
    for text in texts:
        rule, detail = split_rule(text)
        details.setdefault(rule, []).append(detail)
    found = []
    for rule, of_rule in details.items():
        if rule:
            found.append(Note("invalid", rule, RULES[rule][0], tuple(of_rule)))
        else:
            found += [Note("invalid", "", text, ()) for text in of_rule]
    return found
