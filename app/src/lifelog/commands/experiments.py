"""`lifelog experiments`: list the experiments, or show the runs of one before anything runs."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("experiments", help="list experiments, or show one")
    parser.add_argument("experiment", nargs="?", help="show the runs of this one, in their order")
    parser.add_argument("--experiments-dir", type=Path, default=Path("experiments"))
    parser.add_argument("--set", default="", metavar="KEY=VALUE,...")
    parser.add_argument("--cluster", type=Path, help="cluster.json: check the points against it")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    lines = (
        list_experiments(args.experiments_dir)
        if args.experiment is None
        else show_experiment(args.experiment, args.experiments_dir, args.set, args.cluster)
    )
    print("\n".join(lines))
    return 0


def list_experiments(directory: Path) -> list[str]:
    """One line per experiment file; a faulty one shows its fault instead of its title."""
    from lifelog.errors import UserError
    from lifelog.schema import load_experiment

    paths = sorted(directory.glob("*.yml"))
    if not paths:
        raise UserError(f"{directory}: there are no experiment files (*.yml)")
    lines = []
    for path in paths:
        try:
            experiment = load_experiment(path)
            short = ", short" if experiment.short else ""
            about = f"{experiment.title} ({len(experiment.points)} points{short})"
        except UserError as error:
            about = f"faulty: {error}"
        lines.append(f"{path.stem:24} {about}")
    return lines


def show_experiment(
    name: str, directory: Path, overrides: str, cluster_file: Path | None
) -> list[str]:
    """The runs of an experiment in order with their time, and the disk that a broker needs."""
    from lifelog.placement import load_cluster
    from lifelog.plan import disk_bytes_per_broker, duration_estimate_s, run_order
    from lifelog.plan import plan_runs as check
    from lifelog.schema import find_experiment, load_experiment

    experiment = load_experiment(find_experiment(name, directory), overrides)
    lines = [experiment.title, experiment.question, ""]
    total_s = 0.0
    for number, (repetition, point) in enumerate(run_order(experiment), start=1):
        seconds = duration_estimate_s(point.settings)
        total_s += seconds
        factors = ", ".join(f"{key}={_plain(value)}" for key, value in point.factors.items())
        when = f"{number:4}  repetition {repetition}"
        lines.append(f"{when}  {point.name:24} about {seconds:4.0f} s  {factors}")
    lines += ["", f"{number} runs, about {total_s / 60:.0f} minutes"]
    if cluster_file is not None:
        cluster = load_cluster(cluster_file)
        check(experiment, cluster, Path())
        room = disk_bytes_per_broker(experiment, cluster)
        lines.append(f"up to {room / 1e9:.1f} GB of disk on each broker")
    return lines


def _plain(value: object) -> str:
    if isinstance(value, dict) and "share" in value:
        return f"{value['share']:g} of {value['of']}"
    return str(value)
