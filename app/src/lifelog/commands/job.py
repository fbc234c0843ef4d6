"""`lifelog job`: start a job of a run in the background, stop jobs, or sweep up after them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lifelog.commands import sample


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("job", help="start or stop the background jobs of one run")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    consume = actions.add_parser(
        "consume", help="create the run's topic, and hand the run to the session's consumer"
    )
    consume.add_argument("directory", type=Path, help="run directory that holds spec.json")
    consume.add_argument("--session", type=Path, required=True, help="where that consumer lives")
    consume.add_argument("--jars", type=Path, required=True, help="the connector's jars")
    produce = actions.add_parser("produce", help="start this node's producers of the run")
    produce.add_argument("directory", type=Path, help="run directory that holds spec.json")
    produce.add_argument("--host", required=True, help="inventory name of this node")
    for action in (consume, produce):
        action.add_argument("--bundles", type=Path, required=True, help="datasets and models")
    sample.add_arguments(
        actions.add_parser("sample", help="start to sample this machine each second")
    )
    stop = actions.add_parser("stop", help="end every job of a run or session directory")
    stop.add_argument("directory", type=Path, help="run or session directory")
    sweep = actions.add_parser("sweep", help="remove what interrupted runs have left")
    sweep.add_argument("directory", type=Path, help="where this node keeps its run directories")
    sweep.add_argument("--host", required=True, help="inventory name of this node")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.node.jobs import detach, stop_jobs

    if args.action == "consume":
        from lifelog.consumer.serve import hand_over
        from lifelog.node.topics import create_topic

        spec = json.loads((args.directory / "spec.json").read_text("utf-8"))
        assignments = dict(enumerate(spec["replica_assignment"]))
        create_topic(spec["bootstrap_servers"], spec["topic"], {"assignments": assignments})
        hand_over(args.directory, args.session, args.bundles, args.jars)
    elif args.action == "produce":
        options = ["--bundles", str(args.bundles), "--host", args.host]
        command = [sys.executable, "-m", "lifelog", "produce", str(args.directory), *options]
        detach(args.directory, "producers", command)
    elif args.action == "sample":
        command = [sys.executable, "-m", "lifelog", "sample", *sample.options(args)]
        detach(args.directory, "sampler", command)
    elif args.action == "stop":
        stop_jobs(args.directory)
    else:
        _sweep(args.directory, args.host)
    return 0


def _sweep(runs: Path, host: str) -> None:
    import shutil

    from lifelog.errors import UserError
    from lifelog.jsonfiles import read_json
    from lifelog.node.jobs import abandoned, stop_jobs
    from lifelog.node.topics import delete_topic

    for directory in abandoned(runs, host):
        stop_jobs(directory)
        spec = read_json(directory / "spec.json")
        if spec is not None:
            try:
                delete_topic(spec["bootstrap_servers"], spec["topic"])
            except UserError as error:
                print(f"topic {spec['topic']} may be left: {error}")
        shutil.rmtree(directory)
        print(f"removed {directory.name}")
