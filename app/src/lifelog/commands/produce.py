"""`lifelog produce`: run one broker node's producers in a run directory."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("produce", help="run this node's producers of one run")
    parser.add_argument("directory", type=Path, help="run directory that holds spec.json")
    parser.add_argument("--bundles", type=Path, required=True, help="where the datasets are")
    parser.add_argument("--host", required=True, help="inventory name of this node")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.producer.run import run_producers

    return run_producers(args.directory, args.bundles, args.host)
