"""The experiment file: read, overridden by `set=`, expanded to points, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from lifelog.errors import UserError
from lifelog.experiment.claims import Claim, compile_claims
from lifelog.experiment.grid import Candidate, check_factors, grid, listed
from lifelog.experiment.placement import Cluster
from lifelog.experiment.reduction import reduce
from lifelog.experiment.searchrules import SearchRules, check_search, search_points
from lifelog.experiment.settings import (
    MODES,
    NAME_PATTERN,
    SIZED_MODES,
    TIMED_MODES,
    Settings,
    Share,
    Strict,
    contradictions,
    uses,
)
from lifelog.experiment.yamlfile import Document, load_document, nearest, parse_scalar
from lifelog.stats.sustainable import Trial

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


class _File(Strict):
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
        60.0, ge=0, description="a run measured for less is invalid (V7), but for fixed_size"
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


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of settings; `factors` are those settings that differ between the points."""

    name: str
    settings: Settings
    factors: dict[str, Any]
    # Of a search: which load, and why.
    trial: Trial | None = None

    @property
    def source(self) -> str | None:
        """The point whose result this point's target rate is a share of."""
        rate = self.settings.target_rate
        return rate.of if isinstance(rate, Share) else None


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment as declared, checked as far as the file alone allows."""

    name: str
    title: str
    question: str
    short: bool
    repetitions: int
    seed: int
    min_duration_s: float
    min_batches: int
    points: tuple[Point, ...]
    max_attempts: int = 3
    figure: Figure | None = None
    # What became smaller because the inventory is; the title says it too.
    reduced: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    # Its points are then the seed, and the one that every trial is made from (see `search`).
    search: SearchRules | None = None

    def point(self, name: str) -> Point:
        """The point of that name; UserError where there is none."""
        for point in self.points:
            if point.name == name:
                return point
        names = [point.name for point in self.points]
        raise UserError(f"{self.name} has no point {name!r}{nearest(name, names)}")


def find_experiment(experiment: str, directory: Path) -> Path:
    """The file of an experiment: its name in `directory`, or a path; UserError where it is not."""
    path = Path(experiment)
    if path.suffix in (".yml", ".yaml") or len(path.parts) > 1:
        if path.is_file():
            return path
        raise UserError(f"{path}: there is no such file; give a path to one, or a name")
    if (directory / f"{experiment}.yml").is_file():
        return directory / f"{experiment}.yml"
    names = sorted(file.stem for file in directory.glob("*.yml"))
    if not names:
        raise UserError(f"{directory}: there are no experiment files (*.yml)")
    raise UserError(f"there is no experiment {experiment!r}{nearest(experiment, names)}")


def load_experiment(
    path: Path, overrides: str | None = None, cluster: Cluster | None = None
) -> Experiment:
    """Read and check an experiment file.

    `overrides`: "KEY=VALUE,..." which replace that setting in every point that has a use for it
    (and the file's own plain values). `cluster`: the inventory that the experiment is fitted to
    where it is smaller than `full`; without one the file counts as it stands. Raises UserError,
    worded `file:line: key: what is wrong and what is allowed`.
    """
    if not re.fullmatch(NAME_PATTERN, path.stem):
        raise UserError(
            f"{path}: name the file with lower-case letters, digits, '-', '_' and '.' only"
        )
    document = load_document(path)
    own, settings = _split(parse_overrides(overrides or ""))
    try:
        file = _File.model_validate({**document.plain, **own})
    except ValidationError as error:
        raise _fault(document, (), _File, error, own) from None
    if file.search is not None:
        check_search(document, file.settings, {**own, **settings})
    expanded, reduced = _expand(document, file, settings, cluster)
    points = tuple(expanded) if file.search is not None else _factor_values(expanded)
    _check_figure(document, file)
    experiment = Experiment(
        name=path.stem,
        points=points,
        title=f"{file.title} (reduced: {'; '.join(reduced.values())})" if reduced else file.title,
        question=file.question,
        short=file.short,
        repetitions=file.repetitions,
        seed=file.seed,
        min_duration_s=file.min_duration_s,
        min_batches=file.min_batches,
        max_attempts=file.max_attempts,
        figure=file.figure,
        reduced=tuple(reduced.values()),
        claims=compile_claims(document, file.claims, points, {*settings, *reduced}),
        search=file.search,
    )
    _check_length(document, experiment)
    return experiment


def parse_overrides(text: str) -> dict[str, Any]:
    """`KEY=VALUE,...` as a dictionary, values read as YAML does; UserError for a misspelt key."""
    values: dict[str, Any] = {}
    known = [*Settings.model_fields, *_own_keys()]
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UserError(f"set: {part}: write it as KEY=VALUE, several separated by commas")
        if key not in known:
            raise UserError(f"set: {key}: there is no such setting{nearest(key, known)}")
        if key in ("source_options", "spark_conf"):
            raise UserError(f"set: {key}: cannot be set here, write it in the experiment file")
        if key in values:
            raise UserError(f"set: {key}: is set twice, keep one of them")
        values[key] = parse_scalar(value)
    return values


def _own_keys() -> list[str]:
    nested = ("settings", "points", "factors", "search", "exclude", "figure", "full", "reduced")
    return [key for key in _File.model_fields if key not in nested]


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    own = {key: value for key, value in values.items() if key not in Settings.model_fields}
    return own, {key: value for key, value in values.items() if key not in own}


def _expand(
    document: Document, file: _File, overrides: dict[str, Any], cluster: Cluster | None
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
        key: text
        for key, text in small.told.items()
        if any(uses(mode, key) and (key != "duration_s" or mode in TIMED_MODES) for mode in modes)
    }


def _check_figure(document: Document, file: _File) -> None:
    axes = {} if file.figure is None else file.figure.axes()
    factors = list(file.factors or {}) or [
        key for key in Settings.model_fields if any(key in own for own in file.points or ())
    ]
    for axis, key in axes.items():
        if key not in factors:
            hint = nearest(key, factors) if factors else ", and there is none"
            raise document.fault(("figure", axis), f"{key} is not a factor{hint}")
    if len(set(axes.values())) < len(axes):
        raise document.fault(("figure",), "name each factor once")


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
            modes = "paced" if key == "target_rate" else " and ".join(SIZED_MODES)
            raise document.fault((*where, key), f"is for mode {modes} only, and this is {mode}")
        del merged[key]
    places = {key: ("settings", key) for key in shared} | {key: (*where, key) for key in own}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise _fault(document, where, Settings, error, overrides, places) from None
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


def _factor_values(points: list[Point]) -> tuple[Point, ...]:
    rows = [point.settings.model_dump() for point in points]
    varied = [key for key in Settings.model_fields if any(row[key] != rows[0][key] for row in rows)]
    return tuple(
        replace(point, factors={key: row[key] for key in varied})
        for point, row in zip(points, rows, strict=True)
    )


def _check_length(document: Document, experiment: Experiment) -> None:
    for point in experiment.points:
        mode, duration_s = point.settings.mode, point.settings.duration_s
        if experiment.short or mode in SIZED_MODES or duration_s >= experiment.min_duration_s:
            continue
        raise document.fault(
            (),
            f"{duration_s:g} s at point {point.name} are less than min_duration_s "
            f"{experiment.min_duration_s:g}: measure longer, or declare the experiment short: true",
            "duration_s",
        )


def _fault(
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
    part = parts.get(key) if model is _File else None
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
