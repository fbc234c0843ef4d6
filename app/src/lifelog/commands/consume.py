"""`lifelog consume`: run the Spark driver of one run in a run directory."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("consume", help="run the Spark consumer of one run")
    parser.add_argument("directory", type=Path, help="run directory that holds spec.json")
    parser.add_argument("--bundles", type=Path, required=True, help="datasets and models")
    parser.add_argument("--jars", type=Path, required=True, help="the Spark-Kafka connector's jars")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.consumer.driver import consume

    return consume(args.directory, args.bundles, args.jars)
