"""`lifelog collect`: pack what a run left on this node, or unpack what has been fetched."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("collect", help="pack or unpack the files of one run")
    parser.add_argument("action", choices=("pack", "unpack"))
    parser.add_argument("path", type=Path, help="pack: the archive; unpack: where archives are")
    parser.add_argument("--host", default="", help="pack: inventory name of this node")
    parser.add_argument("--run", type=Path, help="pack: run directory, where this node has one")
    parser.add_argument(
        "--log", action="append", default=[], metavar="NAME=PATH", help="pack: a log to add"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.node.collect import pack, unpack

    if args.action == "unpack":
        unpack(args.path)
    else:
        logs = [
            (name, Path(path)) for name, _, path in (entry.partition("=") for entry in args.log)
        ]
        pack(args.path, args.host, args.run, logs)
    return 0
