"""`lifelog experiments`: list the experiments, or show the runs of one before anything runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifelog.experiment.definition import Experiment, Point


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    from lifelog.commands.plan import add_wishes

    parser = subparsers.add_parser("experiments", help="list experiments, or show one")
    parser.add_argument("experiment", nargs="?", help="show the runs of this one, in their order")
    parser.add_argument(
        "--experiments-dir", type=Path, default=Path("experiments"), help="where the files are"
    )
    parser.add_argument(
        "--set", default="", metavar="KEY=VALUE,...", help="settings that override the file's"
    )
    add_wishes(parser)
    parser.add_argument("--cluster", type=Path, help="cluster.json: fit the points to it")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="directory of all results"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    lines = (
        list_experiments(args.experiments_dir, args.cluster)
        if args.experiment is None
        else show_experiment(args)
    )
    print("\n".join(lines))
    return 0


def list_experiments(directory: Path, cluster_file: Path | None) -> list[str]:
    """One line per experiment file; a faulty one shows its fault instead of its title."""
    from lifelog.errors import UserError
    from lifelog.experiment.load import load_experiment
    from lifelog.experiment.placement import load_cluster

    cluster = None if cluster_file is None else load_cluster(cluster_file)
    paths = sorted(directory.glob("*.yml"))
    if not paths:
        raise UserError(f"{directory}: there are no experiment files (*.yml)")
    lines = []
    for path in paths:
        try:
            experiment = load_experiment(path, cluster=cluster)
            short = ", short" if experiment.short else ""
            count = len(experiment.points)
            points = f"{count} point{'' if count == 1 else 's'}"
            of = points if experiment.search is None else "a search"
            about = f"{experiment.title} ({of}{short})"
        except UserError as error:
            about = f"faulty: {error}"
        lines.append(f"{path.stem:24} {about}")
    return lines


def show_experiment(args: argparse.Namespace) -> list[str]:
    """The next runs of an experiment in order with their time, and the disk that a broker needs.

    Without a cluster.json: all runs of the file as it stands, whether any inventory can hold them.
    """
    import time

    from lifelog.errors import UserError
    from lifelog.experiment.estimate import disk_bytes_per_broker, duration_estimate_s
    from lifelog.experiment.load import find_experiment, load_experiment
    from lifelog.experiment.placement import load_cluster
    from lifelog.experiment.plan import run_order
    from lifelog.experiment.searchrules import TRIAL
    from lifelog.sweep.plan import plan_sweep, wish
    from lifelog.sweep.search import expected

    cluster = None if args.cluster is None else load_cluster(args.cluster)
    path = find_experiment(args.experiment, args.experiments_dir)
    experiment = load_experiment(path, args.set, cluster)
    wanted = wish(args.only, args.budget_s, args.again)
    if cluster is None and wanted != wish("", None, False):
        raise UserError("--only, --budget-s and --again need --cluster: give the cluster.json")
    notes: tuple[str, ...] = ()
    if cluster is None:
        runs = [(r, p, duration_estimate_s(p.settings)) for r, p in run_order(experiment)]
        numbers = list(range(1, len(runs) + 1))
    else:
        plan = plan_sweep(experiment, cluster, args.results, wanted, time.time_ns())
        notes = plan.notes
        runs = [
            (run.repetition, _point(experiment, run.point), run.duration_estimate_s)
            for run in plan.runs
        ]
        numbers = [run.number for run in plan.runs]
    width = max((len(point.name) for _, point, _ in runs), default=0)
    lines = [experiment.title, experiment.question, ""]
    for number, (repetition, point, seconds) in zip(numbers, runs, strict=True):
        factors = ", ".join(
            f"{key}={_plain(value)}" for key, value in point.factors.items() if value is not None
        )
        when = f"{number:4}  repetition {repetition}"
        lines.append(f"{when}  {point.name:{width}}  about {seconds:4.0f} s  {factors}".rstrip())
    minutes = sum(seconds for _, _, seconds in runs) / 60
    lines += ["", f"{len(runs)} run{'' if len(runs) == 1 else 's'}, about {minutes:.0f} minutes"]
    if experiment.search is not None and runs:
        trial = experiment.point(TRIAL).settings
        text = expected(experiment.search, duration_estimate_s(trial), trial.duration_s)
        lines.append(text)
    if cluster is not None:
        room = disk_bytes_per_broker([point for _, point, _ in runs], cluster)
        lines.append(f"up to {room / 1e9:.1f} GB of disk on each broker")
    return lines + [f"note: {note}" for note in notes]


def _point(experiment: Experiment, name: str) -> Point:
    """A point of the file; of a search, a trial by its own name."""
    from dataclasses import replace

    from lifelog.experiment.searchrules import SEED, TRIAL

    if experiment.search is None or name == SEED:
        return experiment.point(name)
    return replace(experiment.point(TRIAL), name=name)


def _plain(value: object) -> str:
    if isinstance(value, dict) and "share" in value:
        return f"{value['share']:g} of {value['of']}"
    return str(value)
