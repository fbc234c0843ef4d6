"""`lifelog prepare`: make the dataset and model bundles that nodes receive."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("prepare", help="make the dataset and model bundles")
    parser.add_argument("--dataset", default="mnist-t10k")
    parser.add_argument("--dataset-source", help="directory or URL of the dataset's files")
    parser.add_argument("--dataset-sha256", help="what the dataset must hash to")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--bundles", type=Path, required=True, help="where to write them")
    parser.add_argument(
        "--experiment", help="instead: make all that its points name, a file's name or path"
    )
    parser.add_argument("--experiments-dir", type=Path, default=Path("experiments"))
    parser.add_argument("--set", default="", metavar="KEY=VALUE,...")
    parser.add_argument("--cluster", type=Path, help="cluster.json: first check the points with it")
    parser.add_argument("--only", default="", metavar="POINT,...", help="what these points name")


def run(args: argparse.Namespace) -> int:
    """Run the command; the last line printed describes the bundles as JSON.

    One object; a list of them for an experiment.
    """
    import json

    from lifelog.experiment.load import find_experiment, load_experiment
    from lifelog.experiment.placement import load_cluster
    from lifelog.experiment.plan import check_points
    from lifelog.prepare import Wanted, prepare, wanted_by
    from lifelog.sweep.plan import wish

    def show(line: str) -> None:
        print(line, flush=True)

    if args.experiment is None:
        wanted = Wanted(args.dataset, args.model, args.dataset_source, args.dataset_sha256)
        print(json.dumps(prepare(wanted, args.bundles, show)))
        return 0
    path = find_experiment(args.experiment, args.experiments_dir)
    cluster = None if args.cluster is None else load_cluster(args.cluster)
    experiment = load_experiment(path, args.set, cluster)
    if cluster is not None:
        # Training takes minutes: an experiment that cannot run is refused before it.
        check_points(experiment, cluster)
    wanted_all = wanted_by(experiment, wish(args.only, None, False).only or ())
    print(json.dumps([prepare(one, args.bundles, show) for one in wanted_all]))
    return 0
