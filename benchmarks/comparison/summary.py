"""Medians over the rounds, ratios within them, and the table of both; pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comparison.registry import BARE, OURS, PEERS

# One round: results of each peer by its name; {"saturated": {...}, "paced": {...}, "attempts": []}.
Round = Mapping[str, Mapping[str, Any]]
RATES = ("images_per_s", "images_per_worker_cpu_s", "images_per_cpu_s")
SATURATED = (*RATES, "first_prediction_s", "peak_worker_pss_mb", "peak_pss_mb", "accuracy")
ABSENT = "-"


def values(rounds: Sequence[Round], peer: str, figure: str, kind: str = "saturated") -> list[float]:
    """A figure of a peer in each round that has it."""
    found = []
    for results in rounds:
        result = results.get(peer, {}).get(kind) or {}
        value = result.get("latency_ms", {}).get(figure) if kind == "paced" else result.get(figure)
        if value is not None:
            found.append(float(value))
    return found


def ratios(rounds: Sequence[Round], peer: str, other: str, figure: str) -> list[float]:
    """Ratio of a figure of two peers in each round that has both: what the machine does to one
    round, it does to both."""
    return [
        pair[0][0] / pair[1][0]
        for results in rounds
        if all(pair := (values([results], peer, figure), values([results], other, figure)))
    ]


def _spread(numbers: Sequence[float]) -> dict[str, float] | None:
    if not numbers:
        return None
    return {"median": statistics.median(numbers), "least": min(numbers), "most": max(numbers)}


def summarise(rounds: Sequence[Round], names: Sequence[str]) -> dict[str, Any]:
    """Median, least and most of each figure of each peer, and of its ratios to bare and to ours.

    None where no round has the figure.
    """
    return {
        name: {
            "rounds": len(values(rounds, name, RATES[0])),
            **{figure: _spread(values(rounds, name, figure)) for figure in SATURATED},
            "latency_ms": {
                q: _spread(values(rounds, name, q, "paced")) for q in ("p50", "p95", "p99")
            },
            "of_bare": {f: _spread(ratios(rounds, name, BARE, f)) for f in RATES},
            "ours_of_it": {f: _spread(ratios(rounds, OURS, name, f)) for f in RATES},
        }
        for name in names
    }


def _cell(spread: Mapping[str, float] | None, form: Callable[[float], str]) -> str:
    return ABSENT if spread is None else form(spread["median"])


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def table(summary: Mapping[str, Any]) -> str:
    """The summary as a Markdown table; a peer without a figure has a dash."""
    heads = (
        "peer", "images/s", "of bare", "images per CPU-second, workers", "of bare",
        "with driver", "p50 latency at half load (ms)", "peak PSS, workers (MB)", "all (MB)",
        "first prediction (s)", "accuracy", "rounds",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for name, found in summary.items():
        of_bare = found["of_bare"]
        cells = (
            PEERS[name].title,
            _cell(found["images_per_s"], _whole),
            _cell(of_bare["images_per_s"], "{:.2f}".format),
            _cell(found["images_per_worker_cpu_s"], _whole),
            _cell(of_bare["images_per_worker_cpu_s"], "{:.2f}".format),
            _cell(found["images_per_cpu_s"], _whole),
            _cell(found["latency_ms"]["p50"], _whole),
            _cell(found["peak_worker_pss_mb"], _whole),
            _cell(found["peak_pss_mb"], _whole),
            _cell(found["first_prediction_s"], "{:.1f}".format),
            _cell(found["accuracy"], "{:.2%}".format),
            str(found["rounds"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def missing(rounds: Sequence[Round], names: Sequence[str]) -> list[str]:
    """A sentence for each peer that no round measured: both attempts' command and error."""
    sentences = []
    for name in names:
        attempts = [a for results in rounds for a in results.get(name, {}).get("attempts", [])]
        if attempts and not values(rounds, name, RATES[0]):
            told = "; ".join(f"`{a['command']}`: {a['error']}" for a in attempts[:2])
            sentences.append(f"{PEERS[name].title} is missing: {told}.")
    return sentences


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`, from 0: each peer comes first, second, ... in turn."""
    at = number % len(names)
    return [*names[at:], *names[:at]]
