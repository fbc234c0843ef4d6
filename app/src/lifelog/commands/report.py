"""`lifelog report`: write an experiment's summary and report, and print its table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("report", help="summary, report and table of an experiment")
    parser.add_argument("directory", type=Path, help="results/NAME of the experiment")
    parser.add_argument("--rerun-command", default="", help="what the report gives to run it again")


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 when a point has no valid run, after everything is written."""
    from lifelog.report.html import write_report
    from lifelog.results import latest_settings, read_runs, summarise, write_summary
    from lifelog.table import newest_by_point, show

    runs = latest_settings(read_runs(args.directory))
    write_summary(args.directory, summarise(runs))
    write_report(args.directory, runs, args.rerun_command)
    show(runs, args.directory)
    # A point is judged by its newest run: an older valid one does not excuse it.
    bad = [run for run in newest_by_point(runs) if not run["valid"]]
    for run in bad:
        print(f"{run['run']} is invalid: {'; '.join(run['invalid_reasons'])}", file=sys.stderr)
    return 1 if bad else 0
