"""The keys of an experiment file, and what is said of a wrong one."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from lifelog.errors import UserError, nearest
from lifelog.experiment.searchrules import SearchRules
from lifelog.experiment.settings import (
    Strict,
)
from lifelog.experiment.yamlfile import Document

# What a value must be, where pydantic's words are a programmer's.
_PLAIN = {
    "bool_type": "must be true or false",
    "dict_type": "must be keys and values, {KEY: VALUE, ...}",
    "float_type": "must be a number",
    "int_type": "must be an integer",
    "list_type": "must be a list, [A, B, ...]",
    "string_type": "must be text",
}


class Figure(Strict):
    """The figure in the paper's form: images/s over `x`, a line for each level of `series`."""

    x: str
    series: str | None = None
    panel: str | None = None

    def axes(self) -> dict[str, str]:
        """The factors by what they are in the figure."""
        return {axis: key for axis, key in self if key is not None}


class Full(Strict):
    """The inventory that an experiment is meant for."""

    brokers: int | None = Field(None, ge=1)
    workers: int | None = Field(None, ge=1)


class ExperimentFile(Strict):
    """An experiment file, key by key; points, factors and settings are checked later."""

    title: str = Field(min_length=1, description="a line for lists and the head of the report")
    question: str = Field(min_length=1, description="what the experiment answers, in plain words")
    short: bool = Field(
        False,
        description="the runs show that everything works: they are labelled so, print no interval "
        "and support no claim, and the length rules only mark them",
    )
    repetitions: int = Field(
        1, ge=1, le=1000, description="valid runs of each point; a claim needs 5"
    )
    seed: int = Field(0, ge=0, description="of the random order of each repetition's points")
    min_duration_s: float = Field(
        60.0,
        ge=0,
        description="a run measured for less is invalid (V7), but for fixed_size; `duration_s` "
        "is 1.25 times as long or longer, because the ends are not counted",
    )
    min_batches: int = Field(
        20, ge=0, description="a run of fewer micro-batches is invalid (V7), but for fixed_size"
    )
    max_attempts: int = Field(
        3, ge=1, le=100, description="how often a run is tried until it is valid"
    )
    figure: Figure | None = Field(
        None,
        description="the report's main figure: `{x: FACTOR, series: FACTOR, panel: FACTOR}`, the "
        "last two optional",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="settings of all points, see below"
    )
    points: list[dict[str, Any]] | None = Field(
        None, description="either the points one by one: `name` and the point's own settings"
    )
    factors: dict[str, list[Any]] | None = Field(
        None, description="or factors and their levels: every combination is a point"
    )
    search: SearchRules | None = Field(
        None,
        description="or, instead of both, find the highest paced load that is carried, see below",
    )
    exclude: list[dict[str, Any]] = Field(
        default_factory=list,
        description="combinations of the grid to leave out: "
        "`[{brokers: 1, replication: [2, 3]}, ...]`",
    )
    full: Full | None = Field(
        None,
        description="the inventory that is meant, `{brokers: 4, workers: 4}`: below it the "
        "experiment is reduced",
    )
    reduced: dict[str, Any] = Field(
        default_factory=dict,
        description="settings, or levels of a factor, that apply below `full`",
    )
    claims: list[Any] = Field(
        default_factory=list, description="statements about the points that are judged, see below"
    )


def fault(
    document: Document,
    where: tuple[Any, ...],
    model: type[BaseModel],
    error: ValidationError,
    overrides: dict[str, Any],
    places: dict[str, tuple[Any, ...]] | None = None,
) -> UserError:
    """The first of pydantic's errors, in our words and with its place."""
    details = error.errors()[0]
    key = str(details["loc"][0])
    parts: dict[str, type[BaseModel]] = {"figure": Figure, "full": Full, "search": SearchRules}
    part = parts.get(key) if model is ExperimentFile else None
    if part is not None and len(details["loc"]) > 1:
        details["loc"] = details["loc"][1:]
        return document.fault((key, details["loc"][0]), _wording(details, part))
    text = _wording(details, model)
    if key in overrides:
        return UserError(f"set: {key}: {text}")
    place = (places or {}).get(key, (*where, key))
    return document.fault(place, text, key)


def _wording(details: ErrorDetails, model: type[BaseModel]) -> str:
    key = str(details["loc"][0])
    kind = details["type"]
    if kind == "missing" and len(details["loc"]) == 1:
        return "is missing, and required"
    if key == "target_rate":
        return "must be images per second (above 0), or {share: ABOVE 0, of: POINT}"
    if key == "claims":
        return "must be a list of claims, each with id, text and one of ratio, same, rises, falls"
    if kind == "extra_forbidden":
        return f"there is no such setting{nearest(key, list(model.model_fields))}"
    given = details.get("input")
    if kind == "literal_error":
        expected = str(details["ctx"]["expected"])
        hint = nearest(given, re.findall(r"'([^']*)'", expected)) if isinstance(given, str) else ""
        return f"{given!r} is not one of {expected}{hint.partition(';')[0]}"
    if given is None:
        return "has no value: write one, or take the key away"
    message = _PLAIN.get(kind) or details["msg"].replace("Input should", "must")
    return f"{message[0].lower()}{message[1:]}, not {given!r}"
