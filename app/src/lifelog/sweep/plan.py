"""What to do next of an experiment: a new sweep, or what is left of the one before.

With a holder the sweep is begun or gone on with, and results/NAME is written to; without one the
plan is only shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment
from lifelog.experiment.estimate import duration_estimate_s
from lifelog.experiment.placement import Cluster
from lifelog.experiment.plan import PlannedRun, plan_runs
from lifelog.experiment.runname import next_run_name
from lifelog.stats.sustainable import Search
from lifelog.sweep.cells import Key, Outcome, Sweep, cells_of, digest, states, to_do, within_budget
from lifelog.sweep.file import (
    FILE,
    close_interrupted,
    missing_directories,
    outcomes,
    parked_name,
    read_sweep,
    write_sweep,
)
from lifelog.sweep.lock import Hold, Holder, claim, locked, take
from lifelog.sweep.search import told, trial_point, with_next_trial


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asks for: some points, so many seconds, everything anew."""

    only: tuple[str, ...] | None = None
    budget_s: float | None = None
    again: bool = False


def wish(only: str, budget_s: float | None, again: bool) -> Wish:
    """What the command line asks for; UserError for a budget that is none."""
    if budget_s is not None and not budget_s > 0:
        raise UserError(f"--budget-s: {budget_s:g} is no time to run in: give seconds, above 0")
    names = tuple(dict.fromkeys(name.strip() for name in only.split(",") if name.strip()))
    return Wish(names or None, budget_s, again)


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The runs to do now. `resumed`: a sweep is gone on with; `finished`: nothing is left of it."""

    runs: tuple[PlannedRun, ...]
    resumed: bool
    finished: bool
    notes: tuple[str, ...]


def plan_sweep(
    experiment: Experiment,
    cluster: Cluster,
    results: Path,
    wish: Wish,
    now_ns: int,
    who: Holder | None = None,
    image_values: Mapping[str, int] | None = None,
) -> SweepPlan:
    """Plan the runs that are still to do.

    A sweep that was killed, or stopped at its budget, is gone on with; after a finished one a new
    one begins. Called again by the same holder it gives what is left of its sweep: runs to repeat,
    or none. UserError where another process does a sweep there, or the experiment changed under it.
    """
    if wish.only and experiment.search is not None:
        raise UserError("only: a search has no points to choose from: leave it out")
    for name in wish.only or ():
        experiment.point(name)
    everything = plan_runs(experiment, cluster, results, image_values)
    directory = results / experiment.name
    if who is None:
        sweep, resumed = _choose(experiment, cluster, directory, wish.again, now_ns)
        notes: list[str] = []
        spent_s = 0.0
    else:
        with locked(directory) as file:
            hold = claim(file, who, str(directory))
            held = read_sweep(directory) if hold is not None else None
            if hold is not None and held is not None and held.id == hold.sweep:
                sweep, resumed, notes, killed = held, False, [], False
                if sweep.digest != digest(experiment, cluster):
                    raise UserError(
                        f"{experiment.name}: the experiment, its nodes or the code changed while "
                        "its sweep ran: start it again"
                    )
            else:
                sweep, resumed, notes = _begin(experiment, cluster, directory, wish.again, now_ns)
                hold, killed = Hold(who, now_ns, sweep.id), True
                take(file, hold)
            spent_s = (now_ns - hold.taken_ns) / 1e9
            for run in close_interrupted(directory, sweep, killed):
                notes.append(f"{run} was not verified: it is kept with that reason, and repeated")
    if experiment.search is not None:
        before = sweep
        sweep, search = with_next_trial(directory, sweep)
        if who is not None and sweep != before:
            write_sweep(directory, sweep)
        if search is not None:
            everything = _trials(experiment, search, directory)
            notes += told(search)
    found = outcomes(directory, sweep)
    if resumed:
        notes.insert(0, _goes_on(experiment, sweep, found))
    state = states(sweep, found)
    cells = to_do(sweep, state, wish.only)
    seconds = {run.point: run.duration_estimate_s for run in everything}
    if wish.budget_s is not None:
        most = within_budget(cells, seconds, wish.budget_s - spent_s)
        notes += _left_out([seconds[cell.point] for cell in cells], most, wish.budget_s)
        cells = cells[:most]
    notes += _on_outcomes(directory, sweep, found, wish.only, {cell.key for cell in cells})
    keys = {cell.key for cell in cells}
    runs = tuple(run for run in everything if (run.point, run.repetition) in keys)
    return SweepPlan(runs, resumed, "open" not in state.values(), tuple(notes))


def _trials(experiment: Experiment, search: Search, directory: Path) -> list[PlannedRun]:
    """The trial that a search asks for now; none where it is over."""
    trial, rules = search.next_trial(), experiment.search
    if trial is None or rules is None:
        return []
    number = len(search.history) + 1
    point = trial_point(experiment, number, trial)
    return [
        PlannedRun(
            run=next_run_name(directory, point.name, 1),
            point=point.name,
            repetition=1,
            mode=point.settings.mode,
            needs_point=None,
            duration_estimate_s=round(duration_estimate_s(point.settings), 1),
            number=1 + number,
            of=1 + rules.most_trials,
        )
    ]


def _choose(
    experiment: Experiment, cluster: Cluster, directory: Path, again: bool, now_ns: int
) -> tuple[Sweep, bool]:
    """The sweep to go on with (and whether it is that), or a new one; nothing is written."""
    own = digest(experiment, cluster)
    for name in () if again else (FILE, parked_name(own)):
        sweep = read_sweep(directory, name)
        if sweep is not None and sweep.finished_ns is None and sweep.digest == own:
            return sweep, True
    new = Sweep(
        secrets.token_hex(8), own, experiment.max_attempts, cells_of(experiment), started_ns=now_ns
    )
    return new, False


def _goes_on(experiment: Experiment, sweep: Sweep, found: Mapping[Key, Outcome]) -> str:
    done = sum(outcome.valid is not None for outcome in found.values())
    begun = datetime.fromtimestamp(sweep.started_ns / 1e9).strftime("%Y-%m-%d %H:%M")
    of = "" if experiment.search is not None else f" of {len(sweep.runs)}"
    return f"goes on with the sweep of {begun}: {done}{of} runs are done"


def _begin(
    experiment: Experiment, cluster: Cluster, directory: Path, again: bool, now_ns: int
) -> tuple[Sweep, bool, list[str]]:
    """As `_choose`, and sweep.json says so; an unfinished sweep of other settings waits aside."""
    before = read_sweep(directory)
    sweep, resumed = _choose(experiment, cluster, directory, again, now_ns)
    notes = []
    if before is not None and before.finished_ns is None and before.id != sweep.id:
        if before.digest != sweep.digest:
            write_sweep(directory, before, parked_name(before.digest))
            notes.append(
                "an unfinished sweep of other settings, nodes or code waits: started with these "
                "again, it goes on"
            )
    write_sweep(directory, sweep)
    (directory / parked_name(sweep.digest)).unlink(missing_ok=True)
    return sweep, resumed, notes


def _left_out(seconds: list[float], most: int, budget_s: float) -> list[str]:
    left = len(seconds) - most
    if not left:
        return []
    runs = f"{left} run{'' if left == 1 else 's'} of about {sum(seconds[most:]) / 60:.0f} minutes"
    note = f"budget: {runs} left for the next start, which goes on from there"
    return [note if most else f"{note}; what is left of {budget_s:g} s is too little for one"]


def _on_outcomes(
    directory: Path,
    sweep: Sweep,
    found: Mapping[Key, Outcome],
    only: Collection[str] | None,
    planned: Collection[Key],
) -> list[str]:
    state = states(sweep, found)
    notes = [
        f"{run}: its directory is missing, so it is no result"
        for run in missing_directories(directory, sweep)
    ]
    for cell in sweep.runs:
        outcome = found[cell.key]
        notes += [f"{text}: it is no result" for text in outcome.unreadable]
        if cell.key in planned and outcome.reasons:
            attempt = f"attempt {len(outcome.reasons) + 1} of {sweep.max_attempts}"
            notes.append(f"{cell} is repeated ({attempt}): {outcome.reasons[-1]}")
        if state[cell.key] == "failed":
            notes.append(
                f"{cell} is not repeated, {sweep.max_attempts} attempts were not valid: "
                f"{outcome.reasons[-1]}"
            )
        elif state[cell.key] == "blocked":
            notes.append(f"{cell} cannot run: {cell.needs_point} has no valid rate")
        if only is not None and cell.key in planned and cell.point not in only:
            notes.append(f"{cell} runs too: its result sets a rate of {', '.join(only)}")
    if only is not None and not planned and "open" in state.values():
        notes.append(
            f"nothing is left to do of {', '.join(only)} in this sweep, of which other points are "
            "still to do: `again` begins a new one"
        )
    return notes
