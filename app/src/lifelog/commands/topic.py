"""`lifelog topic`: delete the topic of one run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("topic", help="delete the topic of one run")
    parser.add_argument("action", choices=("delete",))
    parser.add_argument("directory", type=Path, help="run directory that holds spec.json")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.node import topics

    spec = json.loads((args.directory / "spec.json").read_text("utf-8"))
    topics.delete_topic(spec["bootstrap_servers"], spec["topic"])
    return 0
