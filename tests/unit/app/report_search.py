"""`sustainable` of a summary.json, made up."""

from __future__ import annotations

from typing import Any


def _trial(number: int, rate: float, outcome: str, *reasons: str) -> dict[str, Any]:
    return {
        "run": f"t{number:02d}-r01-a01", "rate_images_per_s": rate, "duration_s": 120.0,
        "purpose": "bracket", "outcome": outcome, "reasons": list(reasons),
    }  # fmt: skip


SEARCH: dict[str, Any] = {
    "images_per_s": [20_000.0, 20_550.0],
    "confirmed": 3,
    "latency_limit_ms": 1000.0,
    "trials": [
        _trial(1, 20_000, "invalid", "failed: a disk was full"),
        _trial(1, 20_000, "undecided", "the lag grows by 100 to 300 images/s, and 200 are allowed"),
        _trial(2, 20_000, "pass"),
        _trial(3, 20_550, "fail", "the lag grows by 900 images/s [700, 1100], 205 are allowed"),
    ],
    "reason": None,
}
