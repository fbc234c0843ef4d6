"""`lifelog report`: write an experiment's summary and report, and print its table."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("report", help="summary, report and table of an experiment")
    parser.add_argument("directory", type=Path, help="results/NAME of the experiment")
    parser.add_argument(
        "--holder", type=int, metavar="PID", help="the process whose sweep ends with this report"
    )
    parser.add_argument("--rerun-command", default="", help="what the report gives to run it again")


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 when a point ended without its valid runs, after everything is written."""
    from lifelog.report.html import write_report
    from lifelog.report.table import show
    from lifelog.results.directory import read_results, trial_outcome
    from lifelog.results.prediction import with_predictions
    from lifelog.results.summary import (
        latest_settings,
        newest_attempts,
        read_claims,
        summarise,
        write_summary,
    )
    from lifelog.sweep.end import end_sweep
    from lifelog.sweep.search import latest_search, sustainable

    results = read_results(args.directory)
    runs = latest_search(latest_settings(results.runs))
    summary = summarise(runs, read_claims(args.directory))
    summary = with_predictions(args.directory, runs, summary)
    search = sustainable(runs)
    if search is not None:
        summary["sustainable"] = search
    summary["unusable_runs"] = [asdict(own) for own in results.unusable]
    write_summary(args.directory, summary)
    left_out = len(results.runs) - len(runs)
    write_report(args.directory, runs, args.rerun_command, summary, results.unusable, left_out)
    show(runs, args.directory, summary, results.unusable)
    bad, left = end_sweep(args.directory, args.holder, time.time_ns())
    if left:
        runs_left = "1 run is" if left == 1 else f"{left} runs are"
        print(f"sweep: {runs_left} still to do; the same command goes on from here")
    if bad is None:
        # Without a sweep a repetition is judged by its newest attempt, whatever came before it.
        bad = [
            f"{run['run']} is invalid: {'; '.join(run['invalid_reasons'])}"
            for run in newest_attempts(runs)
            if not run["valid"] and not trial_outcome(run)
        ]
        bad += [f"{own.run}: {own.reason}" for own in results.unusable if not own.replaced]
    for text in bad:
        print(text, file=sys.stderr)
    return 1 if bad else 0
