"""From a run directory to run.json: what the run gave, and whether it counts.

The raw files are never touched. A raw file that is cut off or missing makes the run invalid with a
reason; what would have been computed from it is absent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lifelog.errors import UserError
from lifelog.experiment.runname import RUN_PATTERN
from lifelog.jsonfiles import write_json
from lifelog.verification.accounting import Ledger
from lifelog.verification.callsfile import read_calls
from lifelog.verification.figures import compute
from lifelog.verification.judgement import judge
from lifelog.verification.nodemetrics import node_metrics
from lifelog.verification.rules import Evidence
from lifelog.verification.rundata import RunData, SpecFile, read_run, read_spec
from lifelog.verification.runfile import document, finite, search_part, unreadable


def verify(directory: Path) -> dict[str, Any]:
    """Judge the run in `directory`, write its run.json atomically and return it.

    UserError where it does not exist, or is none of a run's.
    """
    named = RUN_PATTERN.fullmatch(directory.resolve().name)
    if not directory.is_dir() or not (named or (directory / "spec.json").exists()):
        raise UserError(f"{directory} is not a run directory: give one of results/NAME/RUN")
    spec, fault = read_spec(directory)
    run = unreadable(directory, fault) if spec is None else _verify(directory, spec)
    write_json(directory / "run.json", finite(run))
    return run


def _verify(directory: Path, spec: SpecFile) -> dict[str, Any]:
    data = read_run(directory, spec)
    reports = [report.sent() for report in data.producers.values()]
    # A report that does not add up opens no account: a size that it made up could be any.
    sound = [report for report in reports if not report.imbalance()]
    stream = int(spec.dataset["images"])
    ledger = Ledger(sound, stream)
    calls, fault = read_calls(directory / "consumer/calls.arrow", ledger, stream)
    if fault:
        data.faults.append(fault)
    complete = calls is not None and len(sound) == len(spec.producers)
    account = ledger.close() if complete else None
    figures = compute(data, calls)
    machines = node_metrics(data.directory, _machines(data), figures.interval_ns)
    evidence = Evidence(data, calls, account, figures, _same_app_runs(data), machines)
    judgement = judge(evidence)
    return document(evidence, judgement) | search_part(evidence, judgement)


def _machines(data: RunData) -> dict[str, Any]:
    """Machine id by host, of every host whose facts were kept."""
    nodes = data.nodes.items()
    return {host: f.get("machine_id") if isinstance(f, dict) else None for host, f in nodes}


def _same_app_runs(data: RunData) -> tuple[str, ...]:
    """Runs of other repetitions beside this one that name the same Spark application (V10)."""
    if not data.consumer.app_id:
        return ()
    found = []
    for path in sorted(data.directory.parent.glob("*/consumer/consumer.json")):
        other = path.parent.parent
        match = RUN_PATTERN.fullmatch(other.name)
        if other == data.directory or not match:
            continue
        try:
            app_id = json.loads(path.read_text(encoding="utf-8")).get("app_id")
        except (OSError, ValueError, AttributeError):
            continue
        # Of a search every run is a repetition of its own.
        alone = data.spec.search is not None
        if app_id == data.consumer.app_id and (
            alone or int(match["repetition"]) != data.spec.repetition
        ):
            found.append(other.name)
    return tuple(found)
