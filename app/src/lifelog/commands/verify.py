"""`lifelog verify`: judge one run by the rules and write its run.json."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("verify", help="judge one run and write its run.json")
    parser.add_argument("directory", type=Path, help="results/NAME/RUN")
    parser.add_argument(
        "--unpack", action="store_true", help="unpack the archives of the nodes there first"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; a run that is invalid was verified all the same (exit 0)."""
    if args.unpack:
        from lifelog.node.collect import unpack

        unpack(args.directory)
    from lifelog.verification.verify import verify

    result = verify(args.directory)
    for reason in result["invalid_reasons"]:
        print(f"invalid: {reason}")
    for mark in result["marks"]:
        print(f"note: {mark}")
    if result["valid"]:
        rate = result["throughput_images_per_s"]
        shown = "no rate" if rate is None else f"{rate:,.0f} images/s"
        images = result["processed"] + result["backlog"]
        print(f"valid: {result['run']}: {shown}, {images:,} images, none lost")
    return 0
