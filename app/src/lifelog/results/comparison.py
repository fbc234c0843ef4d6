"""Two experiments side by side: which points both have, the ratio of their rates, what differs.

The *run* is the unit: a ratio's interval comes from the valid runs of both sides. Results of
different hardware, versions or settings are compared, and never silently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.results.directory import read_results
from lifelog.results.summary import latest_settings, summarise
from lifelog.stats.runs import MIN_RUNS_FOR_CLAIM, Ratio, ratio_interval
from lifelog.verification.rundata import FORMAT

SHORT = "short: no interval"
_MACHINE_FACTS = ("processor", "cores", "memory_gib", "system", "kernel")


@dataclass(frozen=True, slots=True)
class Side:
    """One experiment, or one point of it: `name` as it was asked for, the points of its summary.

    `left_out`: runs that cannot be read, each with its reason.
    """

    name: str
    summary: Mapping[str, Any]
    points: tuple[Mapping[str, Any], ...]
    chosen_point: bool
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A point that both sides have; `ratio` is second / first.

    Rates in images/s of the valid runs, whose numbers are `runs`; where a summary of an older
    version does not list them, their mean alone.
    """

    point: str
    first: tuple[float, ...]
    second: tuple[float, ...]
    runs: tuple[int, int]
    ratio: Ratio | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found; `differences` in sentences, points of one side by name."""

    first: Side
    second: Side
    pairs: tuple[Pair, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    differences: tuple[str, ...]
    remarks: tuple[str, ...]


def load_side(text: str) -> Side:
    """The side named by results/NAME, its summary.json, or either with `:POINT` behind it.

    UserError where there is none, where it is of another format, or where it has no valid run.
    """
    path, point = Path(text), ""
    if not path.exists() and ":" in text:
        start, _, point = text.rpartition(":")
        path = Path(start)
    summary = _summary(path)
    points = [own for own in summary["points"] if not point or own["point"] == point]
    if not points:
        names = ", ".join(own["point"] for own in summary["points"])
        raise UserError(f"{path} has no point {point}: it has {names}")
    if not any(_rates(own) for own in points):
        raise UserError(f"{text} has no valid run: there is nothing to compare")
    left_out = [f"{own['run']}: {own['reason']}" for own in summary.get("unusable_runs") or ()]
    return Side(text, summary, tuple(points), bool(point), tuple(left_out))


def _summary(path: Path) -> dict[str, Any]:
    if path.is_dir():
        results = read_results(path)
        summary = summarise(latest_settings(results.runs))
        return summary | {"unusable_runs": [asdict(own) for own in results.unusable]}
    if not path.is_file():
        raise UserError(f"{path} does not exist: give results/NAME or its summary.json")
    try:
        summary = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a summary ({error}): `lifelog report` writes it anew"
        ) from None
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        own = summary.get("format") if isinstance(summary, dict) else None
        raise UserError(f"{path} has format {own} and this version reads format {FORMAT}")
    points = summary.get("points")
    needed = ("point", "factors", "mode", "throughput_images_per_s", "labels")
    if not isinstance(points, list) or not all(
        isinstance(own, dict) and all(key in own for key in needed) for own in points
    ):
        raise UserError(f"{path} is no whole summary: `lifelog report` writes it anew")
    return summary


def _rates(point: Mapping[str, Any]) -> tuple[float, ...]:
    """The rate of each valid run; of a summary that does not list them, their mean."""
    rates = point.get("valid_runs_images_per_s")
    if isinstance(rates, list):
        return tuple(float(rate) for rate in rates)
    mean = (point["throughput_images_per_s"] or {}).get("mean")
    return () if mean is None else (float(mean),)


def compare(first: Side, second: Side) -> Comparison:
    """Match the points of two sides and compare them; UserError where no point is in both."""
    if first.chosen_point != second.chosen_point:
        raise UserError("give a point for both sides, as NAME:POINT, or for neither")
    if first.chosen_point:
        matched = [(first.points[0], second.points[0])]
    else:
        matched = _matched(first, second)
    if not matched:
        raise UserError(
            f"{first.name} and {second.name} have no point of the same factors: name one of each, "
            f"as {first.name}:{first.points[0]['point']} {second.name}:{second.points[0]['point']}"
        )
    only = [
        tuple(own["point"] for own in side.points if all(own is not pair[at] for pair in matched))
        for at, side in enumerate((first, second))
    ]
    pairs = tuple(_pair(*own) for own in matched)
    return Comparison(
        first,
        second,
        pairs,
        only[0],
        only[1],
        tuple(_differences(first, second, matched)),
        tuple(_remarks(matched, pairs)),
    )


def _matched(first: Side, second: Side) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Pairs whose factors, those of either side, and mode are the same.

    A factor of one side that the other keeps fixed is looked up among its settings.
    """
    factors = sorted({key for side in (first, second) for p in side.points for key in p["factors"]})

    def place(point: Mapping[str, Any]) -> str:
        known = {**(point.get("settings") or {}), **point["factors"]}
        return json.dumps([point["mode"], [known.get(key) for key in factors]], sort_keys=True)

    there: dict[str, Mapping[str, Any]] = {}
    for point in second.points:
        there.setdefault(place(point), point)
    return [(own, there[place(own)]) for own in first.points if place(own) in there]


def _pair(first: Mapping[str, Any], second: Mapping[str, Any]) -> Pair:
    same = first["point"] == second["point"]
    name = first["point"] if same else f"{first['point']} : {second['point']}"
    rates, runs = (_rates(first), _rates(second)), (_valid(first), _valid(second))
    if not all(rates) or min(*rates[0], *rates[1]) <= 0:
        return Pair(name, *rates, runs, None, "no valid run")
    ratio = ratio_interval(*rates)
    if "short" in first["labels"] or "short" in second["labels"]:
        return Pair(name, *rates, runs, Ratio(ratio.ratio, None), SHORT)
    if ratio.ci95 is None:
        words = "one run: no interval" if min(runs) < 2 else "runs not listed: no interval"
        return Pair(name, *rates, runs, ratio, words)
    return Pair(name, *rates, runs, ratio, ratio.verdict)


def _valid(point: Mapping[str, Any]) -> int:
    return int(point.get("runs", 1)) - int(point.get("invalid_runs", 0))


def _remarks(
    matched: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], pairs: Sequence[Pair]
) -> list[str]:
    remarks = []
    if any(own["mode"] == "paced" for pair in matched for own in pair):
        remarks.append("paced points: their rate is the schedule's, not what the cluster can carry")
    if any("valid_runs_images_per_s" not in own for pair in matched for own in pair):
        remarks.append(
            "a summary.json of an older version does not list its runs: it gives no interval"
        )
    few = [p.point for p in pairs if p.ratio and p.ratio.ci95 and min(p.runs) < MIN_RUNS_FOR_CLAIM]
    if few:
        remarks.append(
            f"fewer than {MIN_RUNS_FOR_CLAIM} runs on a side, which support no claim: "
            + ", ".join(few)
        )
    return remarks


def _differences(
    first: Side, second: Side, matched: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> list[str]:
    records = [side.summary.get("provenance") or {} for side in (first, second)]
    found = _hardware(*(record.get("hardware") or {} for record in records))
    for kind, words in (("versions", "version of {}"), ("hashes", "{} (SHA-256)")):
        both = [record.get(kind) or {} for record in records]
        if not all(both):
            found.append(f"{kind}: not recorded on both sides")
            continue
        found += [_told(words.format(k), *values) for k, *values in _unequal(*both)]
    found += _settings(matched)
    labels = [sorted({label for own in matched for label in own[at]["labels"]}) for at in (0, 1)]
    if labels[0] != labels[1]:
        found.append(_told("labels", *(", ".join(own) or "none" for own in labels)))
    return found


def _settings(matched: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[str]:
    found: dict[str, None] = {}
    for own in matched:
        first, second = (point.get("settings") for point in own)
        if not first or not second:
            return ["settings: not recorded on both sides"]
        for key, *values in _unequal(first, second):
            # A share of another point's rate is the setting, what it came to is not.
            shares = [isinstance(point["factors"].get(key), dict) for point in own]
            if not all(shares):
                found[_told(f"setting {key}", *values)] = None
    return list(found)


def _hardware(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What the machines of both sides, hosts without regard to their names, differ in."""
    if not first or not second:
        return ["hardware: not recorded on both sides"]
    found = []
    numbers = [len({own.get("machine_id") or host for host, own in side.items()})
               for side in (first, second)]  # fmt: skip
    if numbers[0] != numbers[1]:
        found.append(_told("machines", *numbers))
    for fact in _MACHINE_FACTS:
        values = [sorted({str(own.get(fact)) for own in s.values()}) for s in (first, second)]
        if values[0] != values[1]:
            found.append(_told(fact.replace("_gib", " (GiB)"), *(", ".join(v) for v in values)))
    return found


def _unequal(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = dict.fromkeys([*first, *second])
    return [(k, first.get(k), second.get(k)) for k in keys if first.get(k) != second.get(k)]


def _told(what: str, first: Any, second: Any) -> str:
    texts = [
        "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        for value in (first, second)
    ]
    short = [text if len(text) <= 60 else f"{text[:12]}..." for text in texts]
    return f"{what}: {short[0]} against {short[1]}"
