"""A search for the sustainable rate as runs: which trial is next, and what the trials gave.

The runs of its sweep are all that a search is: the seed's images/s and the outcomes of its trials.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment, Point
from lifelog.experiment.searchrules import SEED, TRIAL, SearchRules
from lifelog.results.directory import trial_outcome
from lifelog.stats.sustainable import Search, Trial
from lifelog.sweep.cells import Cell, Outcome, Sweep
from lifelog.sweep.file import outcomes

Run = Mapping[str, Any]
_TRIAL_PATTERN = r"t(\d{2,})"


def trial_name(number: int) -> str:
    """The point of a trial, counted from 1."""
    return f"t{number:02d}"


def replay(runs: Sequence[Run]) -> Search | None:
    """The search that the runs of one sweep make; None where there is no seed yet.

    UserError where a trial is not the one that the search asked for.
    """
    seeds = [r for r in runs if r["point"] == SEED and r["valid"] and r["throughput_images_per_s"]]
    if not seeds or not seeds[-1].get("search"):
        return None
    rules = seeds[-1]["search"]
    search = Search(
        float(seeds[-1]["throughput_images_per_s"]),
        float(rules["resolution"]),
        int(rules["confirmations"]),
        int(rules["most_trials"]),
    )
    trials = {run["point"]: run for run in runs if trial_outcome(run)}
    while (run := trials.get(trial_name(len(search.history) + 1))) is not None:
        trial = search.next_trial()
        own = run["search"]["trial"]
        if trial is None or asdict(trial) != {key: own.get(key) for key in asdict(trial)}:
            raise UserError(
                f"{run['run']} is not the trial that its search asks for: begin anew with `again`"
            )
        search.record(own["outcome"])
    return search


def runs_of(directory: Path, found: Mapping[Any, Outcome]) -> list[dict[str, Any]]:
    """run.json of each cell of a sweep that is done."""
    names = [outcome.valid for outcome in found.values() if outcome.valid is not None]
    return [json.loads((directory / name / "run.json").read_text("utf-8")) for name in names]


def with_next_trial(directory: Path, sweep: Sweep) -> tuple[Sweep, Search | None]:
    """The sweep with a cell for the trial that its search asks for now.

    Returned as it is where it is no search, or nothing is to be tried.
    """
    if not any(cell.point == SEED for cell in sweep.runs):
        return sweep, None
    search = replay(runs_of(directory, outcomes(directory, sweep)))
    if search is None or search.next_trial() is None:
        return sweep, search
    cell = Cell(trial_name(len(search.history) + 1), 1)
    return (sweep if cell in sweep.runs else replace(sweep, runs=(*sweep.runs, cell))), search


def trial_point(experiment: Experiment, number: int, trial: Trial) -> Point:
    """The point of a trial: the experiment's settings at its rate, for its time."""
    settings = experiment.point(TRIAL).settings
    own = {"target_rate": trial.rate, "duration_s": settings.duration_s * trial.duration_factor}
    factors = {"target_rate": trial.rate}
    return Point(trial_name(number), settings.model_copy(update=own), factors, trial)


def with_trial(
    experiment: Experiment, run: str, directory: Path, sweep: Sweep | None
) -> Experiment:
    """The experiment with the point that a run of its search stands for.

    UserError where the search does not ask for that run now.
    """
    match = re.match(rf"{_TRIAL_PATTERN}-r", run)
    if match is None:
        return experiment
    search = None if sweep is None else with_next_trial(directory, sweep)[1]
    trial = None if search is None else search.next_trial()
    if search is None or trial is None or int(match[1]) != len(search.history) + 1:
        raise UserError(f"run {run!r}: it is not the next one of a search that goes on here")
    point = trial_point(experiment, int(match[1]), trial)
    return replace(experiment, points=(*experiment.points, point))


def expected(rules: SearchRules, trial_s: float, duration_s: float) -> str:
    """How many trials there may be and how long they take, for lists; seconds of one trial."""
    least = min(
        Search(1.0, rules.resolution, rules.confirmations).least_trials(), rules.most_trials
    )
    most_s = rules.most_trials * (trial_s + duration_s / 2)
    return (
        f"which trials follow, the outcomes say: {least} to {rules.most_trials} of about "
        f"{trial_s:.0f} s (twice the load's time where one is undecided), "
        f"{math.ceil(least * trial_s / 60)} to {math.ceil(most_s / 60)} minutes"
    )


def told(search: Search) -> list[str]:
    """Of a search that is not over: what the newest trial came to, and what is tried next."""
    trial = search.next_trial()
    if trial is None:
        return []
    words = {"bracket": "to bracket the rate", "bisect": "between", "confirm": "once more"}
    twice = ", for twice the time" if trial.duration_factor > 1 else ""
    number = len(search.history) + 1
    notes = [
        f"{trial_name(number)} tries {trial.rate:,.0f} images/s, {words[trial.purpose]}{twice}"
    ]
    if search.history:
        last, outcome = search.history[-1]
        notes.insert(0, f"{trial_name(number - 1)}: {last.rate:,.0f} images/s: {outcome}")
    return notes


def latest_search(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a search only the runs of its newest sweep, which belong together; else all of them."""
    if not runs or not runs[-1].get("search"):
        return runs
    return [run for run in runs if run.get("sweep") == runs[-1].get("sweep")]


def sustainable(runs: Sequence[Run]) -> dict[str, Any] | None:
    """`sustainable` of summary.json, from all runs of one sweep; None where it is no search."""
    rules = next((run["search"] for run in reversed(runs) if run.get("search")), None)
    if rules is None:
        return None
    search = replay(runs)
    trials = [_told(run) for run in runs if (run.get("search") or {}).get("trial")]
    found: dict[str, Any] = {
        "images_per_s": [None, None],
        "confirmed": 0,
        "latency_limit_ms": rules["latency_limit_ms"],
        "trials": trials,
        "reason": "no valid saturation run to begin with",
    }
    if search is None:
        return found
    result = search.result()
    low, high, reason = result.low, result.high, result.reason
    confirmed = sum(
        (trial.rate, trial.purpose, outcome) == (low, "confirm", "pass")
        for trial, outcome in search.history
    )
    at_high = [run for run in runs if trial_outcome(run) and run["search"]["trial"]["rate"] == high]
    missing = trial_name(len(search.history) + 1)
    failed = [run for run in runs if run["point"] == missing and not trial_outcome(run)]
    if search.next_trial() is not None and failed:
        reason = f"{failed[-1]['run']} is not valid: {'; '.join(failed[-1]['invalid_reasons'])}"
    elif reason is None and any(run["search"]["trial"]["generator"] for run in at_high):
        reason = f"the load generator set the upper end: it could not offer {high:,.0f} images/s"
    elif reason is None and result.high_undecided:
        reason = "the upper end did not fail: it was undecided in the longer trial too"
    return found | {"images_per_s": [low, high], "confirmed": confirmed, "reason": reason}


def _told(run: Run) -> dict[str, Any]:
    trial = run["search"]["trial"]
    return {
        "run": run["run"],
        "rate_images_per_s": trial["rate"],
        "duration_s": run["settings"]["duration_s"],
        "purpose": trial["purpose"],
        "outcome": trial["outcome"] or "invalid",
        "reasons": trial["reasons"],
    }
