"""report.html: one page, offline, without scripts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jinja2

from lifelog import table
from lifelog.report import figures


def headline(runs: list[dict[str, Any]]) -> str:
    """One honest sentence: the rate of the saturated run, and what was checked."""
    best = [r for r in runs if r["valid"] and r["throughput_images_per_s"] is not None]
    if not best:
        return "No valid run: there is no figure to show."
    run = next((r for r in best if r["mode"] != "paced"), best[0])
    placement = run["provenance"]["placement"]
    brokers, workers = len(set(placement["leaders"])), len(placement["executors"])
    plural = {True: "", False: "s"}
    right = (
        "the engine was emulated and predicted nothing"
        if "emulated" in run["labels"]
        else f"{run['wrong']:,} wrong predictions"
    )
    others = sum(not other["valid"] for other in runs)
    rate = f"{run['throughput_images_per_s']:,.0f} images/s"
    return (
        f"{rate} from {brokers} Kafka broker{plural[brokers == 1]} "
        f"through {workers} Spark worker{plural[workers == 1]} into {run['settings']['engine']}: "
        f"{right}, {run['lost']:,} images lost, {run['duplicated']:,} repeated"
        + (f"; {others} of {len(runs)} points invalid." if others else ".")
    )


def write_report(directory: Path, runs: list[dict[str, Any]], rerun_command: str) -> None:
    """Write report.html for the newest run of each point; all invalid runs are listed."""
    chosen = table.newest_by_point(runs)
    shown = [
        ("Throughput over time", figures.throughput(chosen),
         "Images of a micro-batch over the time between completions; dotted: the run's rate."),
        ("Lag", figures.lag(chosen), "Records in the topic that no finished micro-batch holds."),
    ]  # fmt: skip
    if any(run["latency_histogram"] for run in chosen):
        shown.append(
            ("Latency", figures.latency(chosen),
             "From the scheduled send time to the end of the call; paced load only.")
        )  # fmt: skip
    if any(run["batch_breakdown_ms"] for run in chosen):
        shown.append(
            ("Where a micro-batch spends its time", figures.breakdown(chosen),
             "As Spark's progress events give it, mean over the run.")
        )  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lifelog.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    columns = [table.rows(run) for run in chosen]
    page = environment.get_template("template.html.j2").render(
        title=chosen[0]["title"],
        experiment=chosen[0]["experiment"],
        headline=headline(chosen),
        labels=sorted({label for run in chosen for label in run["labels"]}),
        runs=chosen,
        lines=[(line[0][0], [value for _, value in line]) for line in zip(*columns, strict=True)],
        notes=table.footnotes(chosen),
        invalid=[run for run in runs if not run["valid"]],
        figures=shown,
        provenance=[(run["run"], json.dumps(run["provenance"], indent=1)) for run in chosen],
        settings=[(run["run"], json.dumps(run["settings"], indent=1)) for run in chosen],
        rerun_command=rerun_command,
    )
    temporary = directory / f".report.html.{os.getpid()}"
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(directory / "report.html")
