"""Prediction beside measurement, in words: for the table, the page and the list of residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEADINGS = (
    *("point", "measured images/s", "predicted (95 % interval)", "measured / predicted"),
    *("what binds, by the model", "next", "busiest, as measured"),
)
# What a table has room for.
SHORT = {
    "producers": "producers",
    "processor": "processor",
    "link into": "link in",
    "link out of": "link out",
    "slots": "task slots",
    "driver": "driver",
    "setting": "batch cap",
    "load": "offered load",
}
CONTRADICTED = "contradicted"
Point = Mapping[str, Any]


def rate(point: Point) -> str:
    """The predicted images/s; a dash where there is no prediction."""
    found = point.get("prediction")
    return "-" if not found else f"{found['images_per_s']:,.0f}"


def expected(point: Point) -> str:
    """The predicted images/s with their interval."""
    found = point.get("prediction")
    if not found:
        return "-"
    low, high = found["interval"]
    return f"{rate(point)} ({low:,.0f} to {high:,.0f})"


def binds(point: Point) -> str:
    """In a word: what binds by the model, and whether measurements contradict it."""
    found = point.get("prediction")
    if not found:
        return "-"
    word = SHORT[found["binding"]["kind"]]
    return f"{word}, {CONTRADICTED}" if found["contradictions"] else word


def busiest(point: Point) -> str:
    """In a word: which resource was full, and to what share."""
    found = point.get("bottleneck")
    if not isinstance(found, Mapping):
        return "-"
    return f"{SHORT.get(found['kind'], found['kind'])} {found['share']:.0%}"


def rows(points: Sequence[Point]) -> list[tuple[list[str], bool]]:
    """Cells under HEADINGS of each point that has a prediction, and whether it is contradicted."""
    made = []
    for point in points:
        found = point.get("prediction")
        if not found:
            continue
        mean = (point["throughput_images_per_s"] or {}).get("mean")
        following = found["following"]
        full = point.get("bottleneck")
        seen = f"{full['resource']}: {full['share']:.0%}" if full else "none was full"
        beyond = f" (+{found['distance']:.0%})" if found["distance"] is not None else ""
        cells = [
            point["point"],
            "-" if mean is None else f"{mean:,.0f}",
            expected(point),
            f"{found['measured_over_predicted']:.2f}",
            found["binding"]["resource"],
            f"{following['resource']}{beyond}" if following else "-",
            f"{seen}; {CONTRADICTED}" if found["contradictions"] else seen,
        ]
        made.append((cells, bool(found["contradictions"])))
    return made


def texts(points: Sequence[Point]) -> list[str]:
    """Why there is no prediction, what contradicts one, what it stretches, and its conditions."""
    found = [
        f"{point['point']}: the model is contradicted: {text}"
        for point in points
        for text in (point.get("prediction") or {}).get("contradictions", ())
    ]
    found += _shared("no prediction", {
        point["point"]: [(point.get("absent_because") or {}).get("prediction")] for point in points
        if not point.get("prediction")
    }, len(points))  # fmt: skip
    found += _shared("the prediction extrapolates", {
        point["point"]: point["prediction"]["extrapolated"] for point in points
        if point.get("prediction")
    }, len(points))  # fmt: skip
    found += _shared("what binds by the model cannot be checked", {
        point["point"]: [point["prediction"]["unchecked"]] for point in points
        if point.get("prediction")
    }, len(points))  # fmt: skip
    known = [point["prediction"] for point in points if point.get("prediction")]
    if known:
        found.append(_conditions(known))
    return found


def _shared(what: str, reasons: Mapping[str, Sequence[str | None]], total: int) -> list[str]:
    """A line for each reason, with the points that it holds for where that is not all."""
    of: dict[str, list[str]] = {}
    for point, own in reasons.items():
        for reason in filter(None, own):
            of.setdefault(reason, []).append(point)
    return [
        f"{'' if len(names) == total else ', '.join(names) + ': '}{what}: {reason.removeprefix('no calibration: ')}"
        for reason, names in of.items()
    ]


_SPEED = {
    "engine": "the bare engine's speed before the load, over that in the calibration {}",
    "reference": "the speed of the sampler's piece of work, over that in the calibration {}",
}


def _conditions(known: Sequence[Mapping[str, Any]]) -> str:
    others = _span([own["foreign_cores"] for own in known], "cores that others used {}")
    way = known[0]["speed_by"]
    speeds = [own["speed_factor"] for own in known if own["speed_factor"] is not None]
    if way not in _SPEED:
        speed = "; nothing tells the machines' speed in a run well enough to allow for it"
    else:
        speed = f" and {_span(speeds, _SPEED[way])}" if speeds else "; a run's speed is not known"
    return f"predictions allow for {others}{speed}"


def _span(values: Sequence[float], text: str) -> str:
    if not values:
        return ""
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return text.format(f"({low})" if low == high else f"({low} to {high})")
