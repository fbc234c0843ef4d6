"""`lifelog plan`: the runs of an experiment that are still to do, in order, as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command on an experiment takes."""
    parser.add_argument("experiment", help="name of a file in the experiments directory, or a path")
    parser.add_argument("--experiments-dir", type=Path, default=Path("experiments"))
    parser.add_argument(
        "--set", default="", metavar="KEY=VALUE,...", help="settings that override the file's"
    )


def add_wishes(parser: argparse.ArgumentParser) -> None:
    """Add what narrows a sweep down."""
    parser.add_argument("--only", default="", metavar="POINT,...", help="runs of these points only")
    parser.add_argument(
        "--budget-s", type=float, metavar="N", help="no more runs than fit into so many seconds"
    )
    parser.add_argument(
        "--again", action="store_true", help="begin anew, even where a sweep is not finished"
    )


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("plan", help="print the runs to do of an experiment as JSON")
    add_arguments(parser)
    add_wishes(parser)
    parser.add_argument("--cluster", type=Path, required=True, help="cluster.json")
    parser.add_argument("--results", type=Path, required=True, help="directory of all results")
    parser.add_argument("--bundle", default="[]", help="JSON that `lifelog prepare` prints")
    parser.add_argument(
        "--holder",
        type=int,
        metavar="PID",
        help="begin the sweep, or go on with it, for this process; without it nothing is written",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json
    import time
    from dataclasses import asdict

    from lifelog.experiment.estimate import disk_bytes_per_broker
    from lifelog.experiment.load import find_experiment, load_experiment
    from lifelog.experiment.placement import load_cluster
    from lifelog.experiment.plan import image_values
    from lifelog.sweep.lock import holder, occupy
    from lifelog.sweep.plan import plan_sweep, wish

    cluster = load_cluster(args.cluster)
    path = find_experiment(args.experiment, args.experiments_dir)
    experiment = load_experiment(path, args.set, cluster)
    values = image_values(json.loads(args.bundle))
    now_ns = time.time_ns()
    who = None if args.holder is None else holder(args.holder)
    if who is not None:
        occupy(args.cluster, cluster.inventory, who, experiment.name, now_ns)
    planned = plan_sweep(
        experiment,
        cluster,
        args.results,
        wish(args.only, args.budget_s, args.again),
        now_ns,
        who,
        values,
    )
    # A trial is a point of its own, of the same data and disk need as those that are declared.
    planned_points = {run.point for run in planned.runs}
    trials = experiment.search is not None and planned.runs
    points = [p for p in experiment.points if trials or p.name in planned_points]
    pairs = dict.fromkeys((p.settings.dataset, p.settings.model) for p in points)
    plan = {
        "experiment": experiment.name,
        "title": experiment.title,
        "datasets": [{"dataset": dataset, "model": model} for dataset, model in pairs],
        "runs": [asdict(run) for run in planned.runs],
        "duration_estimate_s": round(sum(run.duration_estimate_s for run in planned.runs), 1),
        "disk_bytes_per_broker": disk_bytes_per_broker(points, cluster, values),
        "resumed": planned.resumed,
        "finished": planned.finished,
        # Each further round repeats what gave no valid run, or does the next trial of a search.
        "rounds": experiment.max_attempts
        + (1 if experiment.search is None else 1 + experiment.search.most_trials),
        # Words for the line before a run: how many trials a search takes nobody knows.
        "of": "of" if experiment.search is None else "of at most",
        "ends": "all done" if experiment.search is None else "done",
        "notes": planned.notes,
    }
    print(json.dumps(plan, indent=1))
    return 0
