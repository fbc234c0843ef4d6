"""`lifelog consume`: run the Spark application that serves the runs of a session directory."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("consume", help="serve the runs of a session directory")
    parser.add_argument("session", type=Path, help="session directory, made by `job consume`")
    parser.add_argument("--bundles", type=Path, required=True, help="datasets and models")
    parser.add_argument("--jars", type=Path, required=True, help="the Spark-Kafka connector's jars")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.consumer.serve import serve

    return serve(args.session, args.bundles, args.jars)
