"""A sweep: all runs that one start of an experiment owes, and what is still to do of them.

Everything here is computed from the sweep and the outcomes of its runs; `sweep.file` keeps it on the
disk. A *cell* is one repetition of one point: it is done with its first valid run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lifelog.experiment.definition import Experiment
from lifelog.experiment.placement import Cluster
from lifelog.experiment.plan import run_order
from lifelog.experiment.spec import resolved_settings

# valid: done. open: to do, or to do again. failed: tried max_attempts times without a valid run.
# blocked: its rate derives from a cell that failed, or whose valid run has no rate.
State = Literal["valid", "open", "failed", "blocked"]
Key = tuple[str, int]
# Where it is not set, a worker's memory is measured, and a kernel leaves some MB more than another.
_MEMORY_MB = 128


@dataclass(frozen=True, slots=True)
class Cell:
    """One repetition of one point; `needs_point`: whose result sets its rate."""

    point: str
    repetition: int
    needs_point: str | None = None

    @property
    def key(self) -> Key:
        """The point and the repetition."""
        return self.point, self.repetition

    @property
    def source(self) -> Key | None:
        """The cell whose result sets this one's rate."""
        return None if self.needs_point is None else (self.needs_point, self.repetition)

    def __str__(self) -> str:
        return f"{self.point}-r{self.repetition:02d}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """sweep.json. `opened`: names of the runs begun so far; times in ns since 1970."""

    id: str
    digest: str
    max_attempts: int
    runs: tuple[Cell, ...]
    started_ns: int
    finished_ns: int | None = None
    opened: tuple[str, ...] = ()


@dataclass(slots=True)
class Outcome:
    """What the attempts of one cell gave; `reasons` of those that count and are not valid."""

    valid: str | None = None
    # Whether the valid run has images/s, from which another point's rate can derive.
    rated: bool = True
    reasons: list[str] = field(default_factory=list)
    # Cut off from outside, which is no fault of the run: they do not count as attempts.
    interrupted: list[str] = field(default_factory=list)
    # A run.json that says nothing: cut off, or of another format version.
    unreadable: list[str] = field(default_factory=list)


def digest(experiment: Experiment, cluster: Cluster) -> str:
    """Equal for experiments whose runs belong to one sweep: points, order, rules, nodes, code."""
    parts = {
        "points": [
            [point.name, point.factors, resolved_settings(point, cluster)]
            for point in experiment.points
        ],
        "repetitions": experiment.repetitions,
        "seed": experiment.seed,
        "length": [experiment.short, experiment.min_duration_s, experiment.min_batches],
        "max_attempts": experiment.max_attempts,
        "nodes": [
            cluster.inventory,
            *([broker.host, broker.address] for broker in cluster.brokers),
            *(
                [worker.host, worker.address, worker.cores, round(worker.memory_mb / _MEMORY_MB)]
                for worker in cluster.workers
            ),
        ],
        "search": None if experiment.search is None else experiment.search.model_dump(),
        "code": cluster.app_sha256,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cells_of(experiment: Experiment) -> tuple[Cell, ...]:
    """The cells of an experiment in the order of running."""
    return tuple(
        Cell(point.name, repetition, point.source) for repetition, point in run_order(experiment)
    )


def states(sweep: Sweep, outcomes: Mapping[Key, Outcome]) -> dict[Key, State]:
    """The state of each cell, in the order of running (so a source comes before what needs it)."""
    found: dict[Key, State] = {}
    for cell in sweep.runs:
        outcome = outcomes.get(cell.key, Outcome())
        if outcome.valid is not None:
            found[cell.key] = "valid"
        elif len(outcome.reasons) >= sweep.max_attempts:
            found[cell.key] = "failed"
        elif cell.source is not None and (
            found.get(cell.source) in ("failed", "blocked")
            or not outcomes.get(cell.source, Outcome()).rated
        ):
            found[cell.key] = "blocked"
        else:
            found[cell.key] = "open"
    return found


def to_do(
    sweep: Sweep, state: Mapping[Key, State], only: Collection[str] | None = None
) -> list[Cell]:
    """The open cells in order; of the points `only`, with the open ones that these derive from."""
    wanted = {cell.key for cell in sweep.runs if only is None or cell.point in only}
    # Backwards, so that the source of a source is found as well.
    for cell in reversed(sweep.runs):
        if cell.key in wanted and state[cell.key] == "open" and cell.source is not None:
            wanted.add(cell.source)
    return [cell for cell in sweep.runs if cell.key in wanted and state[cell.key] == "open"]


def within_budget(cells: Sequence[Cell], seconds: Mapping[str, float], budget_s: float) -> int:
    """How many of the cells, from the first on, fit into `budget_s`.

    `seconds`: what a run of each point takes. Whole repetitions where one fits, otherwise as many
    runs as fit; a point is not parted from those that derive from it.
    """
    spent = 0.0
    runs = blocks = 0
    for at, cell in enumerate(cells, start=1):
        spent += seconds[cell.point]
        if spent > budget_s:
            break
        following = cells[at] if at < len(cells) else None
        if following is None or following.repetition != cell.repetition:
            runs = blocks = at
        elif following.source is None or following.source not in {c.key for c in cells[:at]}:
            runs = at
    return blocks or runs


def failures(sweep: Sweep, outcomes: Mapping[Key, Outcome]) -> list[str]:
    """A sentence for each cell that was tried, or cannot be, and has no valid run.

    Cells that nobody has tried yet are no failure: they are left for the next start.
    """
    state = states(sweep, outcomes)
    found = []
    for cell in sweep.runs:
        outcome = outcomes.get(cell.key, Outcome())
        if state[cell.key] == "blocked":
            found.append(f"{cell}: not run, because {cell.needs_point} has no valid rate")
        elif outcome.valid is None and outcome.reasons:
            tries = f"{len(outcome.reasons)} attempt{'' if len(outcome.reasons) == 1 else 's'}"
            found.append(f"{cell}: no valid run in {tries}: {outcome.reasons[-1]}")
    return found
