"""`lifelog residuals`: predictions of runs that the calibration was not fitted to, and their errors."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "residuals", help="measured and predicted images/s of points that were held out"
    )
    parser.add_argument("directories", type=Path, nargs="+", metavar="DIR", help="results/NAME")
    parser.add_argument(
        "--calibration", type=Path, default=Path("results/calibration"), metavar="DIR",
        help="results of the experiment calibration",
    )  # fmt: skip
    parser.add_argument(
        "--page", type=Path, metavar="FILE",
        help="put the table between the marks <!-- residuals --> of this page",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 where too few held-out points are predicted well enough."""
    from lifelog.report.marked import write_page
    from lifelog.report.residuals import markdown, residuals, within
    from lifelog.results.prediction import load_calibration

    known = load_calibration(args.calibration)
    found = residuals(known, args.directories)
    text = markdown(known, found)
    print(text)
    if args.page is not None:
        write_page(args.page, "residuals", text)
    return 0 if within(found) else 1
