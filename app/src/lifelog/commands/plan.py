"""`lifelog plan`: the runs of an experiment in order, with the time and disk they need, as JSON."""

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


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("plan", help="print the runs of an experiment as JSON")
    add_arguments(parser)
    parser.add_argument("--cluster", type=Path, required=True, help="cluster.json")
    parser.add_argument("--results", type=Path, required=True, help="directory of all results")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json
    from dataclasses import asdict

    from lifelog.placement import load_cluster
    from lifelog.plan import disk_bytes_per_broker, plan_runs
    from lifelog.schema import find_experiment, load_experiment

    path = find_experiment(args.experiment, args.experiments_dir)
    experiment = load_experiment(path, args.set)
    cluster = load_cluster(args.cluster)
    runs = plan_runs(experiment, cluster, args.results)
    pairs = dict.fromkeys((p.settings.dataset, p.settings.model) for p in experiment.points)
    plan = {
        "experiment": experiment.name,
        "datasets": [{"dataset": dataset, "model": model} for dataset, model in pairs],
        "runs": [asdict(planned) for planned in runs],
        "disk_bytes_per_broker": disk_bytes_per_broker(experiment, cluster),
    }
    print(json.dumps(plan, indent=1))
    return 0
