"""Measured and predicted images/s of points that the calibration was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.report.predictions import SHORT
from lifelog.results.directory import read_results
from lifelog.results.prediction import Known, predicted
from lifelog.results.summary import latest_settings, point_order

# What is asked of the model on the local inventory: so near, for so many of the points.
NEAR = 0.15
SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Residual:
    """One point: mean of its valid runs, and its prediction as in summary.json, or why it has none."""

    experiment: str
    point: str
    runs: int
    images_per_s: float
    prediction: dict[str, Any] | None
    reason: str = ""

    @property
    def error(self) -> float | None:
        """Measured over predicted, less one."""
        found = self.prediction
        return None if found is None else float(found["measured_over_predicted"]) - 1


def residuals(known: Known, directories: Sequence[Path]) -> list[Residual]:
    """All points with valid runs of these results; UserError where there are none.

    The calibration's own directory is left out: its points are not held out.
    """
    found = []
    for directory in directories:
        if directory.resolve() == known.directory.resolve():
            continue
        runs = latest_settings(read_results(directory).runs)
        for point in point_order(runs):
            valid = [
                run
                for run in runs
                if run["point"] == point and run["valid"] and run["throughput_images_per_s"]
            ]
            if not valid:
                continue
            own = predicted(directory, valid, known)
            mean = sum(run["throughput_images_per_s"] for run in valid) / len(valid)
            named = valid[-1]["experiment"], point, len(valid), mean
            found.append(
                Residual(*named, None, own) if isinstance(own, str) else Residual(*named, own)
            )
    if not found:
        raise UserError("no valid run beside the calibration's own: there is nothing to compare")
    return found


def counted(found: Sequence[Residual]) -> list[float]:
    """Errors of the points whose rate is a capacity: a paced load's is a setting."""
    return [
        own.error
        for own in found
        if own.error is not None and (own.prediction or {})["binding"]["kind"] != "load"
    ]


def within(found: Sequence[Residual]) -> bool:
    """Whether enough held-out points are near enough."""
    errors = counted(found)
    return bool(errors) and sum(abs(e) <= NEAR for e in errors) >= SHARE * len(errors)


def markdown(known: Known, found: Sequence[Residual]) -> str:
    """The table, a row for each point, with what it comes to."""
    errors = counted(found)
    near = sum(abs(error) <= NEAR for error in errors)
    lines = [
        "| experiment | point | runs | measured | predicted | 95 % interval | error | binds | measured bottleneck agrees |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(own) for own in found),
        "",
        f"{near} of {len(errors)} held-out points are within {NEAR:.0%} (paced points, whose rate is a "
        f"setting, are not counted). Calibration: {len(known.observations)} runs; predicted by the "
        f"others, one is off by {known.calibration.typical_error:.0%} (median).",
    ]
    return "\n".join(lines)


def _line(own: Residual) -> str:
    start = f"| `{own.experiment}` | {own.point} | {own.runs} | {own.images_per_s:,.0f} |"
    found, error = own.prediction, own.error
    if found is None or error is None:
        return f"{start} - | - | - | - | {own.reason} |"
    low, high = found["interval"]
    agrees = "; ".join(found["contradictions"]) or found["unchecked"] or "yes"
    return (
        f"{start} {found['images_per_s']:,.0f} | {low:,.0f} to {high:,.0f} | {error:+.0%} | "
        f"{SHORT[found['binding']['kind']]} | {agrees} |"
    )
