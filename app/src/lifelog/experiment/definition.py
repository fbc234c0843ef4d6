"""An experiment as its file declares it, checked as far as the file alone allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifelog.errors import UserError, nearest
from lifelog.experiment.claims import Claim
from lifelog.experiment.schema import Figure
from lifelog.experiment.searchrules import SearchRules
from lifelog.experiment.settings import (
    Settings,
    Share,
)
from lifelog.stats.sustainable import Trial


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
