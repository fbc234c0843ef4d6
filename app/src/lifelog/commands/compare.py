"""`lifelog compare`: two experiments side by side, with intervals of ratios."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "compare", help="two experiments side by side: ratios of their rates, and what else differs"
    )
    what = "results/NAME, its summary.json, or either with :POINT behind it"
    parser.add_argument("first", metavar="A", help=what)
    parser.add_argument("second", metavar="B", help="the same; the ratio is B / A")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page of it as well")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from lifelog.report.comparisontable import show
    from lifelog.results.comparison import compare, load_side

    found = compare(load_side(args.first), load_side(args.second))
    show(found)
    if args.html is not None:
        from lifelog.report.comparepage import write_comparison

        write_comparison(args.html, found)
        print(f"page: {args.html}")
    return 0
