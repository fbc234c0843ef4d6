"""The candidates for points of an experiment: listed one by one, or a grid of factors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from lifelog.errors import nearest
from lifelog.experiment.settings import NAME_PATTERN, Settings
from lifelog.experiment.yamlfile import Document

# A point's name, its own settings, and where they stand in the file.
Candidate = tuple[str, dict[str, Any], tuple[Any, ...]]


def listed(document: Document, points: Sequence[Mapping[str, Any]]) -> Iterator[Candidate]:
    """The points that the file lists; UserError for one without a name of its own."""
    names: set[str] = set()
    if not points:
        raise document.fault(("points",), "list at least one point")
    for number, own in enumerate(points):
        where = ("points", number)
        name = own.get("name")
        if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
            raise document.fault(
                (*where, "name"),
                "give each point a name of lower-case letters, digits, '-', '_' and '.'",
            )
        if name in names:
            raise document.fault((*where, "name"), f"{name} is taken by an earlier point")
        names.add(name)
        yield name, {key: value for key, value in own.items() if key != "name"}, where


def check_factors(
    document: Document,
    factors: Mapping[str, Sequence[Any]],
    exclude: Sequence[Mapping[str, Any]],
) -> None:
    """UserError where a factor, one of its levels or an exclusion is not what it can be."""
    if not factors:
        raise document.fault(("factors",), "name at least one factor with its levels")
    for key, levels in factors.items():
        if key not in Settings.model_fields:
            known = list(Settings.model_fields)
            raise document.fault(("factors", key), f"there is no such setting{nearest(key, known)}")
        if not levels or any(level in levels[:at] for at, level in enumerate(levels)):
            raise document.fault(("factors", key), "list its levels, each of them once")
    for number, exclusion in enumerate(exclude):
        where = ("exclude", number)
        if not exclusion:
            raise document.fault(where, "name factors with the levels that do not go together")
        for key, value in exclusion.items():
            if key not in factors:
                raise document.fault(
                    (*where, key), f"is not a factor of the grid{nearest(key, list(factors))}"
                )
            for level in _as_list(value):
                if level not in factors[key]:
                    levels = ", ".join(map(str, factors[key]))
                    raise document.fault(
                        (*where, key), f"{level} is not one of its levels: there is {levels}"
                    )


def grid(
    document: Document,
    factors: Mapping[str, Sequence[Any]],
    exclude: Sequence[Mapping[str, Any]],
    overrides: Mapping[str, Any],
) -> Iterator[Candidate]:
    """Every combination of the factors' levels but the excluded ones."""
    levels_of = {
        key: [overrides[key]] if key in overrides else levels for key, levels in factors.items()
    }
    left = 0
    for number, combination in enumerate(product(*levels_of.values()), start=1):
        own = dict(zip(levels_of, combination, strict=True))
        if any(_matches(own, exclusion) for exclusion in exclude):
            continue
        left += 1
        parts = (f"{key}-{value}" for key, value in own.items())
        name = re.sub(r"[^a-z0-9_.-]+", "-", "_".join(parts).lower())
        # Cut to the longest name, two points could be called the same.
        yield name if len(name) <= 80 else f"{name[:75]}-{number:04d}", own, ("factors",)
    if not left:
        raise document.fault(("exclude",), "leaves no combination: take one of them away")


def _matches(own: Mapping[str, Any], exclusion: Mapping[str, Any]) -> bool:
    return all(own[key] in _as_list(value) for key, value in exclusion.items())


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
