"""`lifelog sample`: sample this machine once a second during one run."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("sample", help="sample this machine during one run")
    add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `lifelog sample` and `lifelog job sample` have in common."""
    parser.add_argument("directory", type=Path, help="run directory")
    parser.add_argument(
        "--interface-of", required=True, metavar="ADDRESS", help="whose network traffic is counted"
    )
    parser.add_argument(
        "--limit", type=float, required=True, metavar="SECONDS", help="end then, whatever happens"
    )
    parser.add_argument(
        "--installed-in",
        required=True,
        nargs="+",
        metavar="DIR",
        help="directories of this testbed on the machine: by them its processes are known",
    )
    parser.add_argument(
        "--project",
        required=True,
        metavar="DIR",
        help="directory of the playbooks, by which they are known where they run on this machine",
    )
    parser.add_argument(
        "--replica-lag",
        action="store_true",
        help="also record how far the followers of the topic in spec.json are behind",
    )


def options(args: argparse.Namespace) -> list[str]:
    """The arguments once more, for the process in the background."""
    lag = ["--replica-lag"] if args.replica_lag else []
    limits = ["--interface-of", args.interface_of, "--limit", str(args.limit)]
    testbed = ["--installed-in", *args.installed_in, "--project", args.project]
    return [str(args.directory), *limits, *testbed, *lag]


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import os

    from lifelog.node.components import Testbed
    from lifelog.node.sampler import NICENESS, sample_machine

    os.nice(NICENESS)
    testbed = Testbed(args.installed_in, args.project)
    reason = sample_machine(
        args.directory, args.interface_of, args.limit, args.replica_lag, testbed
    )
    print(f"ended: {reason}")
    return 0
