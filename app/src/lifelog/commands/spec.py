"""`lifelog spec`: resolve every setting of one run and open its run directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

# The run cannot be done now, and others can: the point that sets its rate has no valid result.
NO_SOURCE = 3


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
    """Run the command; 3 where the run must wait for a valid result of another point."""
    import json
    import sys

    from lifelog.experiment.load import find_experiment
    from lifelog.experiment.spec import NoSourceError

    path = find_experiment(args.experiment, args.experiments_dir)
    try:
        spec = open_run(path, args.set, args.cluster, args.results, args.run, args.bundle)
    except NoSourceError as error:
        print(f"lifelog: {error}", file=sys.stderr)
        return NO_SOURCE
    print(json.dumps(spec, indent=1))
    return 0


def open_run(
    path: Path, overrides: str, cluster_file: Path, results: Path, run: str, bundle: str
) -> dict[str, Any]:
    """Make results/NAME/RUN with spec.json and cluster.json; returns the spec.

    The run is counted to the sweep that goes on there, if this is the same experiment. UserError
    where the run's directory exists (results are never overwritten), or where the run cannot be
    resolved.
    """
    import json
    import shutil

    from lifelog.errors import UserError
    from lifelog.experiment.load import load_experiment
    from lifelog.experiment.placement import load_cluster
    from lifelog.experiment.spec import build_spec, point_of, resolve_rate
    from lifelog.jsonfiles import write_json
    from lifelog.sweep.cells import digest
    from lifelog.sweep.file import note_opened, read_sweep
    from lifelog.sweep.search import with_trial

    cluster = load_cluster(cluster_file)
    experiment = load_experiment(path, overrides, cluster)
    try:
        bundles = json.loads(bundle)
    except ValueError:
        raise UserError("--bundle: give the JSON that `lifelog prepare` prints") from None
    sweep = read_sweep(results / experiment.name)
    if sweep is not None and (
        sweep.finished_ns is not None or sweep.digest != digest(experiment, cluster)
    ):
        sweep = None
    if experiment.search is not None:
        experiment = with_trial(experiment, run, results / experiment.name, sweep)
    point, repetition = point_of(experiment, run)
    rate = resolve_rate(experiment, point, repetition, results, cluster)
    spec = build_spec(experiment, run, cluster, bundles, rate, None if sweep is None else sweep.id)
    directory = results / experiment.name / run
    if directory.exists():
        raise UserError(
            f"{directory} exists, and results are never overwritten: take the next name that "
            "`lifelog plan` gives"
        )
    # The directory appears with its files in it: a kill in between leaves no run of nothing.
    draft = directory.with_name(f".{run}.draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"{directory} cannot be made ({error.strerror}): give --results a directory that you "
            "may write to"
        ) from None
    write_json(draft / "cluster.json", cluster.model_dump())
    write_json(draft / "spec.json", spec)
    draft.rename(directory)
    if sweep is not None:
        note_opened(results / experiment.name, run)
    return spec
