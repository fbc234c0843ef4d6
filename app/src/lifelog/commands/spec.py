"""`lifelog spec`: resolve every setting of one run and open its run directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    from lifelog.commands.plan import add_arguments

    parser = subparsers.add_parser("spec", help="write spec.json and cluster.json of one run")
    add_arguments(parser)
    parser.add_argument("--cluster", type=Path, required=True, help="cluster.json")
    parser.add_argument("--results", type=Path, required=True, help="directory of all results")
    parser.add_argument("--run", required=True, help="the run's name, as `lifelog plan` prints it")
    parser.add_argument("--bundle", required=True, help="JSON that `lifelog prepare` prints")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from lifelog.schema import find_experiment

    path = find_experiment(args.experiment, args.experiments_dir)
    spec = open_run(path, args.set, args.cluster, args.results, args.run, args.bundle)
    print(json.dumps(spec, indent=1))
    return 0


def open_run(
    path: Path, overrides: str, cluster_file: Path, results: Path, run: str, bundle: str
) -> dict[str, Any]:
    """Make results/NAME/RUN with spec.json and cluster.json; returns the spec.

    UserError where the run's directory exists (results are never overwritten), or where the run
    cannot be resolved.
    """
    import json

    from lifelog.errors import UserError
    from lifelog.jobs import write_json
    from lifelog.placement import load_cluster
    from lifelog.plan import build_spec, point_of, resolve_rate
    from lifelog.schema import load_experiment

    experiment = load_experiment(path, overrides)
    cluster = load_cluster(cluster_file)
    try:
        bundles = json.loads(bundle)
    except ValueError:
        raise UserError("--bundle: give the JSON that `lifelog prepare` prints") from None
    point, repetition = point_of(experiment, run)
    rate = resolve_rate(experiment, point, repetition, results, cluster)
    spec = build_spec(experiment, run, cluster, bundles, rate)
    directory = results / experiment.name / run
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"{directory} exists, and results are never overwritten: take the next name that "
            "`lifelog plan` gives"
        ) from None
    except OSError as error:
        raise UserError(
            f"{directory} cannot be made ({error.strerror}): give --results a directory that you "
            "may write to"
        ) from None
    write_json(directory / "cluster.json", cluster.model_dump())
    write_json(directory / "spec.json", spec)
    return spec
