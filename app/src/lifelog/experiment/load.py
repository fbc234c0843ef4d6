"""An experiment file is found, read, overridden by `set=`, and checked."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lifelog.errors import UserError, nearest
from lifelog.experiment.claims import compile_claims
from lifelog.experiment.definition import Experiment
from lifelog.experiment.placement import Cluster
from lifelog.experiment.points import expand, factor_values
from lifelog.experiment.schema import ExperimentFile, fault
from lifelog.experiment.searchrules import TRIAL, check_search
from lifelog.experiment.settings import (
    NAME_PATTERN,
    SIZED_MODES,
    Settings,
)
from lifelog.experiment.yamlfile import Document, load_document, parse_scalar
from lifelog.stats.latency import required_batches

# Our own choice: of the time that producers send, what is cut off at both ends takes a fifth at most.
_LENGTH_ROOM = 1.25


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
        file = ExperimentFile.model_validate({**document.plain, **own})
    except ValidationError as error:
        raise fault(document, (), ExperimentFile, error, own) from None
    if file.search is not None:
        check_search(document, file.settings, {**own, **settings})
    expanded, reduced = expand(document, file, settings, cluster)
    points = tuple(expanded) if file.search is not None else factor_values(expanded)
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
    _check_latency(document, experiment)
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
    return [key for key in ExperimentFile.model_fields if key not in nested]


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    own = {key: value for key, value in values.items() if key not in Settings.model_fields}
    return own, {key: value for key, value in values.items() if key not in own}


def _check_figure(document: Document, file: ExperimentFile) -> None:
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


def _check_length(document: Document, experiment: Experiment) -> None:
    for point in experiment.points:
        own = point.settings
        if experiment.short or own.mode in SIZED_MODES:
            continue
        for what, least_s in (
            (f"min_duration_s {experiment.min_duration_s:g}", experiment.min_duration_s),
            (
                f"min_batches {experiment.min_batches} of {own.trigger_ms} ms or longer",
                experiment.min_batches * own.trigger_ms / 1000,
            ),
        ):
            needed_s = _LENGTH_ROOM * least_s
            if own.duration_s < needed_s:
                raise document.fault(
                    (),
                    f"{own.duration_s:g} s at point {point.name} leave no room for {what}, because "
                    "the first and the last micro-batch are not counted: send for "
                    f"{_LENGTH_ROOM:g} times as long, {needed_s:g} s or more, or declare the "
                    "experiment short: true",
                    "duration_s",
                )


def _check_latency(document: Document, experiment: Experiment) -> None:
    # Short or not, without its percentile a trial decides nothing (V9).
    if experiment.search is None or experiment.search.latency_limit_ms is None:
        return
    settings = experiment.point(TRIAL).settings
    trigger_s, batches = settings.trigger_ms / 1000, required_batches(99)
    needed_s = _LENGTH_ROOM * batches * trigger_s
    if settings.duration_s < needed_s:
        raise document.fault(
            ("search", "latency_limit_ms"),
            f"the 99th percentile of latency needs {batches} micro-batches, and "
            f"{settings.duration_s:g} s have room for {settings.duration_s / trigger_s:.0f} of "
            f"{settings.trigger_ms} ms at most: set duration_s to {math.ceil(needed_s)} or more, or "
            "a shorter trigger_ms",
        )
