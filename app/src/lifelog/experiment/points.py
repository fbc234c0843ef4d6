"""From an experiment file to its points: reduced, expanded, and each checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from lifelog.errors import UserError, nearest
from lifelog.experiment.definition import Point
from lifelog.experiment.grid import Candidate, check_factors, grid, listed
from lifelog.experiment.placement import Cluster
from lifelog.experiment.reduction import reduce
from lifelog.experiment.schema import ExperimentFile, fault
from lifelog.experiment.searchrules import search_points
from lifelog.experiment.settings import (
    MODES,
    Settings,
    contradictions,
    modes_of,
    uses,
)
from lifelog.experiment.yamlfile import Document


def expand(
    document: Document, file: ExperimentFile, overrides: dict[str, Any], cluster: Cluster | None
) -> tuple[list[Point], dict[str, str]]:
    """The points, and what was reduced: the text by the setting."""
    if file.search is None and (file.points is None) == (file.factors is None):
        both = " and not both: take one of them away" if file.factors is not None else ", or search"
        raise document.fault((), f"write either points or factors{both}")
    if file.factors is not None:
        check_factors(document, file.factors, file.exclude)
    elif file.exclude:
        raise document.fault(("exclude",), "is for factors: leave the point out of points")
    for number, own in enumerate(file.points or ()):
        for key in file.reduced:
            if key in own:
                raise document.fault(("points", number, key), "is reduced: give it in settings")
    full = {} if file.full is None else file.full.model_dump(exclude_none=True)
    small = reduce(document, file.factors, file.settings, file.reduced, full, overrides, cluster)
    shared = small.settings
    candidates: Iterable[Candidate]
    if file.search is not None:
        candidates = search_points()
        shared = {key: value for key, value in shared.items() if key != "mode"}
    elif small.factors is not None:
        candidates = grid(document, small.factors, file.exclude, overrides)
    else:
        candidates = listed(document, file.points or [])
    points: list[Point] = []
    for name, own, where in candidates:
        settings = _settings(document, own, where, shared, overrides)
        points.append(Point(name, settings, {}))
        _check_source(document, points, where)
    taken = {key for key in overrides for point in points if uses(point.settings.mode, key)}
    for key in overrides:
        if key not in taken:
            raise UserError(f"set: {key}: no point of this experiment has a mode that uses it")
    modes = {point.settings.mode for point in points}
    return points, {
        key: text for key, text in small.told.items() if any(uses(mode, key) for mode in modes)
    }


def _settings(
    document: Document,
    own: dict[str, Any],
    where: tuple[Any, ...],
    shared: dict[str, Any],
    overrides: dict[str, Any],
) -> Settings:
    merged = {**shared, **own, **overrides}
    mode = merged.get("mode", "saturation")
    # A point's own setting that its mode has no use for is a fault; a shared one is just not used.
    idle = [key for key in merged if not uses(mode, key)]
    for key in idle:
        if own.get(key) is not None and mode in MODES and "mode" not in overrides:
            modes = " and ".join(modes_of(key))
            raise document.fault((*where, key), f"is for mode {modes} only, and this is {mode}")
        del merged[key]
    places = {key: ("settings", key) for key in shared} | {key: (*where, key) for key in own}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise fault(document, where, Settings, error, overrides, places) from None
    for key, text in contradictions(settings):
        if key in overrides:
            raise UserError(f"set: {key}: {text}")
        if where == ("factors",) and key in ("replication", "compression"):
            text += ", or leave the combination out with exclude"
        raise document.fault(places.get(key, where), text, key)
    return settings


def _check_source(document: Document, points: list[Point], where: tuple[Any, ...]) -> None:
    point = points[-1]
    if point.source is None:
        return
    earlier = [other.name for other in points[:-1]]
    if point.source not in earlier:
        hint = nearest(point.source, earlier) if earlier else ", and none comes before this one"
        raise document.fault(
            (*where, "target_rate"),
            f"of: {point.source} is not an earlier point{hint}",
            "target_rate",
        )


def factor_values(points: list[Point]) -> tuple[Point, ...]:
    """The points, each with those of its settings that differ between them as its factors."""
    rows = [point.settings.model_dump() for point in points]
    varied = [key for key in Settings.model_fields if any(row[key] != rows[0][key] for row in rows)]
    return tuple(
        replace(point, factors={key: row[key] for key in varied})
        for point, row in zip(points, rows, strict=True)
    )
