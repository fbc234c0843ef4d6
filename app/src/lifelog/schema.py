"""The experiment file: read, overridden by `set=`, expanded to points, and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from lifelog.errors import UserError
from lifelog.settings import (
    MODES,
    NAME_PATTERN,
    SIZED_MODES,
    Settings,
    Share,
    Strict,
    contradictions,
    uses,
)
from lifelog.yamlfile import Document, load_document, nearest, parse_scalar


class _File(Strict):
    title: str = Field(min_length=1)
    question: str = Field(min_length=1)
    short: bool = False
    repetitions: int = Field(1, ge=1, le=1000)
    seed: int = Field(0, ge=0)
    min_duration_s: float = Field(60.0, ge=0)
    min_batches: int = Field(20, ge=0)
    settings: dict[str, Any] = Field(default_factory=dict)
    points: list[dict[str, Any]] | None = None
    factors: dict[str, list[Any]] | None = None
    claims: list[Any] = Field(default_factory=list, max_length=0)


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of settings; `factors` are those settings that differ between the points."""

    name: str
    settings: Settings
    factors: dict[str, Any]

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


def load_experiment(path: Path, overrides: str | None = None) -> Experiment:
    """Read and check an experiment file.

    `overrides`: "KEY=VALUE,..." which replace that setting in every point that has a use for it
    (and the file's own title to claims, but for points and factors). Raises UserError, worded
    `file:line: key: what is wrong and what is allowed`.
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
    points = _factor_values(_expand(document, file, settings))
    experiment = Experiment(
        name=path.stem,
        points=points,
        title=file.title,
        question=file.question,
        short=file.short,
        repetitions=file.repetitions,
        seed=file.seed,
        min_duration_s=file.min_duration_s,
        min_batches=file.min_batches,
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
    return [key for key in _File.model_fields if key not in ("settings", "points", "factors")]


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    own = {key: value for key, value in values.items() if key not in Settings.model_fields}
    return own, {key: value for key, value in values.items() if key not in own}


def _expand(document: Document, file: _File, overrides: dict[str, Any]) -> list[Point]:
    if (file.points is None) == (file.factors is None):
        raise document.fault((), "write either points or factors, one of the two")
    if file.points is not None:
        candidates = list(_listed(document, file.points))
    else:
        candidates = list(_grid(document, file.factors or {}, overrides))
    points: list[Point] = []
    taken: set[str] = set()
    for name, own, where in candidates:
        settings = _settings(document, own, where, file.settings, overrides)
        points.append(Point(name, settings, {}))
        _check_source(document, points, where)
    for key in overrides:
        taken |= {key for point in points if uses(point.settings.mode, key)}
    for key in overrides:
        if key not in taken:
            raise UserError(f"set: {key}: no point of this experiment has a mode that uses it")
    return points


def _listed(document: Document, points: list[dict[str, Any]]) -> Any:
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


def _grid(document: Document, factors: dict[str, list[Any]], overrides: dict[str, Any]) -> Any:
    if not factors:
        raise document.fault(("factors",), "name at least one factor with its levels")
    for key, levels in factors.items():
        if key not in Settings.model_fields:
            known = list(Settings.model_fields)
            raise document.fault(("factors", key), f"there is no such setting{nearest(key, known)}")
        if not levels or any(level in levels[:at] for at, level in enumerate(levels)):
            raise document.fault(("factors", key), "list its levels, each of them once")
    levels_of = {
        key: [overrides[key]] if key in overrides else levels for key, levels in factors.items()
    }
    for number, combination in enumerate(product(*levels_of.values()), start=1):
        own = dict(zip(levels_of, combination, strict=True))
        parts = (f"{key}-{value}" for key, value in own.items())
        name = re.sub(r"[^a-z0-9_.-]+", "-", "_".join(parts).lower())
        # Cut to the longest name, two points could be called the same.
        yield name if len(name) <= 80 else f"{name[:75]}-{number:04d}", own, ("factors",)


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
        return "must be an empty list: claims cannot be judged yet"
    if kind == "extra_forbidden":
        return f"there is no such setting{nearest(key, list(model.model_fields))}"
    given = details.get("input")
    if kind == "literal_error":
        expected = str(details["ctx"]["expected"])
        hint = nearest(given, re.findall(r"'([^']*)'", expected)) if isinstance(given, str) else ""
        return f"{given!r} is not one of {expected}{hint.partition(';')[0]}"
    message = details["msg"].replace("Input should", "must")
    return f"{message[0].lower()}{message[1:]}, not {given!r}"
