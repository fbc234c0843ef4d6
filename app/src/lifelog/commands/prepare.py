"""`lifelog prepare`: make the dataset and model bundles that nodes receive."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("prepare", help="make the dataset and model bundles")
    parser.add_argument("--dataset", default="mnist-t10k")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--bundles", type=Path, required=True, help="where to write them")
    parser.add_argument("--dataset-dir", type=Path, help="where the dataset's files are")


def run(args: argparse.Namespace) -> int:
    """Run the command; the last line printed is the bundles' description as JSON."""
    from lifelog.prepare import prepare

    def show(line: str) -> None:
        print(line, flush=True)

    print(json.dumps(prepare(args.dataset, args.model, args.bundles, args.dataset_dir, show)))
    return 0
