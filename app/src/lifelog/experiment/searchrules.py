"""What an experiment file says of a search for the sustainable rate, and the points that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from lifelog.errors import UserError
from lifelog.experiment.grid import Candidate
from lifelog.experiment.settings import Strict
from lifelog.experiment.yamlfile import Document
from lifelog.stats.sustainable import CONFIRMATIONS, RESOLUTION

# The saturation run that a search begins with, and the point that all its trials are made from.
SEED, TRIAL = "seed", "trial"
# What makes points of its own, or compares them.
_NOT_WITH = ("points", "factors", "exclude", "figure", "claims", "repetitions")
_DECIDED = ("mode", "target_rate")


class SearchRules(Strict):
    """How a search goes."""

    resolution: float = Field(
        RESOLUTION,
        gt=0,
        le=1,
        description="the search ends where the lowest load that fails is so much, as a share, "
        "above the highest that passes",
    )
    confirmations: int = Field(
        CONFIRMATIONS, ge=0, le=100, description="how often the highest load must pass once more"
    )
    most_trials: int = Field(20, ge=1, le=1000, description="no more trials than these")
    latency_limit_ms: float | None = Field(
        None,
        gt=0,
        description="a load whose 99th percentile of latency is higher fails; that takes 299 "
        "micro-batches, so `duration_s` is 374 times `trigger_ms` or longer",
    )


def check_search(
    document: Document, settings: Mapping[str, Any], overrides: Mapping[str, Any]
) -> None:
    """UserError where a file with `search` says what the search decides."""
    for key in _NOT_WITH:
        if key in overrides:
            raise UserError(f"set: {key}: a search makes its own runs, so it has no {key}")
        if key in document.plain:
            raise document.fault((key,), f"a search makes its own runs: leave {key} out")
    for key in _DECIDED:
        if key in overrides:
            raise UserError(f"set: {key}: the search decides it")
    if settings.get("mode", "paced") != "paced":
        raise document.fault(("settings", "mode"), "the trials of a search are paced: leave it out")
    if "target_rate" in settings:
        raise document.fault(("settings", "target_rate"), "the search decides it: leave it out")


def search_points() -> list[Candidate]:
    """The seed, and the point of the trials; its rate is the seed's until a trial decides it."""
    rate = {"share": 1.0, "of": SEED}
    return [
        (SEED, {"mode": "saturation"}, ("search",)),
        (TRIAL, {"mode": "paced", "target_rate": rate}, ("search",)),
    ]
