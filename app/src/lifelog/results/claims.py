"""Claims judged: reproduced, not reproduced, or undecided, from the valid runs of their points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifelog.results.hardware import other_machines
from lifelog.stats.runs import MIN_RUNS_FOR_CLAIM, ratio_interval

REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"


def judge_claims(
    claims: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The verdict on each claim (of a spec.json) from runs (the content of run.json).

    A comparison holds where the 95 % interval of the ratio lies wholly inside its bounds, fails
    where it lies wholly beyond one of them, and else decides nothing. All must hold; one that fails
    refutes the claim. So many comparisons need no correction for "reproduced": each of them could
    prevent it. Points whose newest valid runs differ in more than the comparison is about (other
    settings, versions, data, code or machines) decide nothing. `runs`: those of each point may be
    pooled (see `latest_settings`), oldest first.
    """
    return [_judge(claim, runs) for claim in claims]


def _judge(claim: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    named = {one[side] for one in claim["comparisons"] for side in ("of", "over")}
    valid: dict[str, list[Mapping[str, Any]]] = {point: [] for point in named}
    for run in runs:
        if run["point"] in named and run["valid"] and run["throughput_images_per_s"]:
            valid[run["point"]].append(run)
    labels = sorted({label for own in valid.values() for run in own for label in run["labels"]})
    comparisons = [_compare(one, valid) for one in claim["comparisons"]]
    verdict, why = _verdict(comparisons)
    return {
        "id": claim["id"],
        "text": claim["text"],
        "verdict": verdict,
        "why": why,
        "labels": labels,
        "comparisons": comparisons,
    }


def _compare(
    one: Mapping[str, Any], valid: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    sides = [valid[one["of"]], valid[one["over"]]]
    counts = [len(side) for side in sides]
    result: dict[str, Any] = {**one, "n": counts, "ratio": None, "ci95": None, "holds": None}
    rates = [[float(run["throughput_images_per_s"]) for run in side] for side in sides]
    if all(counts):
        found = ratio_interval(rates[1], rates[0])
        result["ratio"] = found.ratio
        if any("short" in run["labels"] for side in sides for run in side):
            return {**result, "why": "short runs support no claim"}
        result["ci95"] = list(found.ci95) if found.ci95 else None
    for side, count in zip(("of", "over"), counts, strict=True):
        if count < MIN_RUNS_FOR_CLAIM:
            why = f"{count} valid runs of {one[side]}, {MIN_RUNS_FOR_CLAIM} are needed"
            return {**result, "why": why}
    others = _other_differences(one, sides[0][-1], sides[1][-1])
    if others:
        why = f"their runs differ in more: {', '.join(others)}; run both points again with the same"
        return {**result, "why": why}
    low, high = result["ci95"]
    holds, why = _inside(low, high, one["at_least"], one["at_most"])
    return {**result, "holds": holds, "why": why}


def _other_differences(
    one: Mapping[str, Any], of: Mapping[str, Any], over: Mapping[str, Any]
) -> list[str]:
    """What the runs of two points differ in beside what is compared; what one lacks is not."""
    settings = [run.get("settings") or {} for run in (of, over)]
    # Claims of older results do not say it: there any factor of the experiment may differ.
    meant = set(one.get("differ", {**of.get("factors", {}), **over.get("factors", {})}))
    found = [key for key in _unequal(*settings) if key not in meant]
    sides = [run.get("provenance") or {} for run in (of, over)]
    found += [f"version of {key}" for key in _unequal(*(own.get("versions") for own in sides))]
    of_data = meant & {"dataset", "dataset_source", "dataset_sha256"}
    # Other data train another model.
    allowed = {"dataset": of_data, "model": of_data | meant & {"model"}}
    hashes = _unequal(*(own.get("hashes") for own in sides))
    found += [f"hash of the {key}" for key in hashes if not allowed.get(key)]
    return found + other_machines(*sides)


def _unequal(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> list[str]:
    """Keys whose values differ, where both sides have any."""
    if not first or not second:
        return []
    return [key for key in {**first, **second} if first.get(key) != second.get(key)]


def _inside(
    low: float, high: float, at_least: float | None, at_most: float | None
) -> tuple[bool | None, str]:
    """Whether an interval lies inside the bounds, and the words for it."""
    if at_least is not None and high < at_least:
        return False, f"the interval lies below {at_least:.4g}"
    if at_most is not None and low > at_most:
        return False, f"the interval lies above {at_most:.4g}"
    across = [
        f"{bound:.4g}"
        for bound in (at_least, at_most)
        if bound is not None and low <= bound <= high
    ]
    if across:
        return None, f"the interval covers {' and '.join(across)}"
    bounds = [f"above {at_least:.4g}"] if at_least is not None else []
    bounds += [f"below {at_most:.4g}"] if at_most is not None else []
    return True, f"the interval lies {' and '.join(bounds)}"


def _verdict(comparisons: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The verdict, and the comparison that decided it in words."""
    if not comparisons:
        return UNDECIDED, "the points that it compares are not in this experiment"
    total = len(comparisons)
    for holds, verdict in ((False, NOT_REPRODUCED), (None, UNDECIDED)):
        cases = [one for one in comparisons if one["holds"] is holds]
        if cases:
            return verdict, f"{_words(cases[0])} ({len(cases)} of {total} comparisons)"
    # What holds by least is what the verdict hangs on.
    closest = min(comparisons, key=_room)
    return REPRODUCED, f"{_words(closest)} (the closest of {total} comparisons)"


def _room(one: Mapping[str, Any]) -> float:
    low, high = one["ci95"]
    room = [low / one["at_least"]] if one["at_least"] else []
    return float(min([*room, *([one["at_most"] / high] if one["at_most"] else [])]))


def _words(one: Mapping[str, Any]) -> str:
    if one["ratio"] is None:
        return f"{one['what']}: {one['why']}"
    interval = "" if one["ci95"] is None else f" [{one['ci95'][0]:.3f}, {one['ci95'][1]:.3f}]"
    return f"{one['what']}: ratio {one['ratio']:.3f}{interval}, {one['why']}"
