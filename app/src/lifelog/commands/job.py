"""`lifelog job`: start a job of a run in the background, or stop all jobs of a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("job", help="start or stop the background jobs of one run")
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("directory", type=Path, help="run directory")
    parser.add_argument("argv", nargs=argparse.REMAINDER, help="start: the lifelog command")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.jobs import detach, stop_jobs

    if args.action == "start":
        command = [sys.executable, "-m", "lifelog", *args.argv]
        name = {"consume": "consumer", "produce": "producers"}[args.argv[0]]
        detach(args.directory, name, command)
    else:
        stop_jobs(args.directory)
    return 0
