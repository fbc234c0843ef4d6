"""The short table at the end of an experiment."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lifelog.report import predictions
from lifelog.report.notes import Note, brief, notes
from lifelog.report.trials import TRIAL_HEADINGS, sentence, trial_rows, without_outcome
from lifelog.results.directory import Unusable, trial_outcome
from lifelog.results.summary import point_order, summarise

# More points than this stand below each other, with the main figures only.
MOST_COLUMNS = 4
MOST_WIDTH = 100
MOST_NOTES = 12
STAGES = {
    "start": "start Spark",
    "load": "load the model",
    "warm_up": "warm up",
    "measure": "measure",
    "drain": "process or check the rest",
    "stop": "stop Spark",
}
FAULTS = ("lost", "dup.", "wrong")
Section = list[tuple[str, str]]
# Rows that say nothing where no point has a figure.
_LEFT_OUT = (
    *("mean of all valid runs", "predicted images/s", "what binds, by the model"),
    "busiest, as measured",
)


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A figure for people; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}{unit}"


def percent(value: float | None) -> str:
    """A share as a percentage with two digits."""
    return "-" if value is None else f"{value:.2%}"


def title_of(runs: list[dict[str, Any]]) -> str:
    """The experiment's title; its name where a run's spec.json could not be read."""
    titles = [run["title"] for run in runs if run["title"]]
    return str(titles[-1] if titles else runs[-1]["experiment"])


def newest_by_point(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest run of each point, in the order of the points."""
    newest = {run["point"]: run for run in runs}
    return [newest[point] for point in point_order(runs)]


def short_run(run: dict[str, Any]) -> str:
    """`r01-a02` of the run `POINT-r01-a02`."""
    return str(run["run"]).removeprefix(f"{run['point']}-")


def mean_of_runs(summary: dict[str, Any]) -> str:
    """A point's mean over its valid runs, as in summary.json, with its interval and their number.

    A dash where there is one run only, which is the mean, or no valid one.
    """
    throughput = summary["throughput_images_per_s"]
    if summary["runs"] < 2 or throughput is None:
        return "-"
    valid = summary["runs"] - summary["invalid_runs"]
    interval = throughput["ci95"]
    half = "" if interval is None else f" ± {(interval[1] - interval[0]) / 2:,.0f}"
    return f"{throughput['mean']:,.0f}{half} (n={valid})"


def sections(run: dict[str, Any], summary: dict[str, Any]) -> list[Section]:
    """Label and value of each row of the table, for the newest run of a point."""
    interval = run["within_run_ci95"]
    rate = number(run["throughput_images_per_s"])
    if interval is not None:
        rate += f" ± {(interval[1] - interval[0]) / 2:,.0f}"
    measured = number(run["measured_s"], 1, " s")
    return [
        [
            ("newest run", short_run(run)),
            ("valid", "yes" if run["valid"] else "INVALID"),
            ("images/s", rate),
            ("mean of all valid runs", mean_of_runs(summary)),
            ("predicted images/s", predictions.expected(summary)),
            ("what binds, by the model", predictions.binds(summary)),
            ("busiest, as measured", predictions.busiest(summary)),
            ("median latency", number(run["latency_ms"]["p50"], unit=" ms")),
            ("99th percentile", number(run["latency_ms"]["p99"], unit=" ms")),
        ],
        [
            ("accuracy in the stream", percent(run["accuracy"])),
            ("accuracy offline", percent(run["offline_accuracy"])),
            ("wrong predictions", number(run["wrong"])),
            ("images produced", number(run["produced"])),
            ("acknowledged by Kafka", number(run["acknowledged"])),
            ("processed", number(run["processed"])),
            ("only checked, not inferred", number(run["backlog"])),
            ("lost", number(run["lost"])),
            ("duplicated", number(run["duplicated"])),
            ("damaged", number(run["damaged"])),
        ],
        [
            ("counted (micro-batches)", f"{measured} ({run['micro_batches']:,})"),
            *((label, number(run["stages_s"].get(key), 1, " s")) for key, label in STAGES.items()),
        ],
    ]


def by_row(runs: list[dict[str, Any]]) -> bool:
    """Whether points stand below each other: there are many, or several repetitions of them."""
    return len(newest_by_point(runs)) > MOST_COLUMNS or any(run["repetition"] > 1 for run in runs)


def validity(summary: dict[str, Any]) -> str:
    """How many of a point's runs are valid, in a word where there is one run or none is."""
    valid = summary["runs"] - summary["invalid_runs"]
    if not valid:
        return "INVALID"
    return "yes" if summary["runs"] == 1 else f"{valid} of {summary['runs']}"


def half_interval(summary: dict[str, Any]) -> str:
    """Half of the 95 % interval over a point's valid runs; a dash where there is none."""
    interval = (summary["throughput_images_per_s"] or {}).get("ci95")
    return "-" if interval is None else f"± {(interval[1] - interval[0]) / 2:,.0f}"


def ratio_text(ratio: Any, ci95: Any) -> str:
    """A ratio with three digits and its interval, where it has one."""
    if not isinstance(ratio, (int, float)):
        return "-"
    if not isinstance(ci95, (list, tuple)) or len(ci95) != 2 or None in ci95:
        return f"{ratio:.3f}"
    return f"{ratio:.3f} ({ci95[0]:.3f} to {ci95[1]:.3f})"


def in_short(run: dict[str, Any], summary: dict[str, Any]) -> Section:
    """The main figures: heading and value, for tables with a row for each point.

    Of all valid runs of the point; latency is the newest run's, and so are the counts where no run
    is valid.
    """
    valid = summary["runs"] > summary["invalid_runs"]
    latency = run["latency_ms"] if run["valid"] else {"p50": None, "p99": None}
    counts = summary if valid else run
    mean = (summary["throughput_images_per_s"] or {}).get("mean")
    return [
        ("point", run["point"]),
        ("valid", validity(summary)),
        ("images/s", number(mean)),
        ("95 %", half_interval(summary)),
        ("predicted", predictions.rate(summary)),
        ("median latency", number(latency["p50"], unit=" ms")),
        ("99th percentile", number(latency["p99"], unit=" ms")),
        ("accuracy", percent(summary["accuracy"])),
        ("lost", number(counts["lost"])),
        ("dup.", number(counts["duplicated"])),
        ("wrong", number(counts["wrong"])),
    ]


def short_rows(
    chosen: list[dict[str, Any]], summaries: list[dict[str, Any]]
) -> list[Section]:  # fmt: skip
    """A row for each point; what no point has is no column, but for what every run should have."""
    rows = [in_short(run, point) for run, point in zip(chosen, summaries, strict=True)]
    empty = {
        label
        for label in ("95 %", "predicted", "median latency", "99th percentile", "accuracy")
        if all(value == "-" for row in rows for name, value in row if name == label)
    }
    return [[cell for cell in row if cell[0] not in empty] for row in rows]


def footnote(note: Note, points: int) -> str:
    """A note as one line: whose it is, plain words, details."""
    whose = "" if points == len(note.points) > 1 else f"{', '.join(note.points)}: "
    text = f"{whose}{'INVALID: ' if note.kind == 'invalid' else ''}{note.sentence()}"
    return text if whose else text[:1].upper() + text[1:]


def footnotes(runs: list[dict[str, Any]], in_brief: bool = False) -> list[str]:
    """Why a run is invalid, what marks it, and why a figure is absent."""
    found = brief(notes(runs)) if in_brief else notes(runs)
    return [footnote(note, len(runs)) for note in found]


def _columns(chosen: list[dict[str, Any]], summaries: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    for run in chosen:
        table.add_column(escape(run["point"]), justify="right", no_wrap=True)
    by_run = [sections(run, point) for run, point in zip(chosen, summaries, strict=True)]
    for of_section in zip(*by_run, strict=True):
        for line in zip(*of_section, strict=True):
            label, values = line[0][0], [value for _, value in line]
            if label in _LEFT_OUT and set(values) == {"-"}:
                continue
            table.add_row(label, *values)
        table.add_section()
    return table


def _lines(rows: list[Section]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for label, _ in rows[0]:
        if label == "point":
            # Whole names, over several lines if need be: points differ at their ends.
            table.add_column(label, overflow="fold")
        else:
            table.add_column(label, justify="right")
    for row in rows:
        table.add_row(*(escape(value) for _, value in row))
    return table


def _trials(search: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for label in TRIAL_HEADINGS:
        table.add_column(label, justify="right" if label in ("images/s", "time") else "left")
    for row in trial_rows(search):
        table.add_row(*(escape(value) for value in row))
    return table


def wrapped(text: str, width: int) -> str:
    """An item of a list; names of runs and commands stay whole."""
    return textwrap.fill(
        text,
        width,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def show(
    runs: list[dict[str, Any]],
    directory: Path,
    summary: dict[str, Any] | None = None,
    unusable: Sequence[Unusable] = (),
) -> None:
    """Print the newest run of each point in a column, or each point with all its runs in a row."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    console.width = min(console.width, MOST_WIDTH)
    chosen = newest_by_point(runs)
    summary = summary or summarise(runs)
    labels = sorted({label for run in chosen for label in run["labels"]})
    title = title_of(chosen) + (f" ({', '.join(labels)})" if labels else "")
    console.print(title, markup=False, style="bold")
    rows = by_row(runs)
    if rows:
        lines = short_rows(chosen, summary["points"])
        faultless = all(value == "0" for line in lines for label, value in line if label in FAULTS)
        if faultless:
            # The names of the points need their room.
            lines = [[own for own in line if own[0] not in FAULTS] for line in lines]
        console.print(_lines(lines))
        if faultless:
            console.print("No image was lost, repeated or predicted wrongly.", markup=False)
    else:
        console.print(_columns(chosen, summary["points"]))
    search = summary.get("sustainable")
    if search:
        console.print(sentence(search), markup=False, style="bold")
        console.print(_trials(search))
    texts = footnotes([without_outcome(run) for run in chosen], rows)
    texts += [f"{own.run} is not in these figures: {own.reason}" for own in unusable]
    texts += _other_faults(runs, chosen)
    if len(texts) > MOST_NOTES:
        texts[MOST_NOTES:] = [f"{len(texts) - MOST_NOTES} more notes are in the report"]
    for text in [*texts, *predictions.texts(summary["points"])]:
        console.print(wrapped(text, console.width), markup=False, soft_wrap=True)
    for claim in summary.get("claims") or []:
        text = f"{claim['id']} {claim['verdict']}: {claim['why']}"
        console.print(wrapped(text, console.width), markup=False, soft_wrap=True)
    example = chosen[0]["run"]
    console.print(f"report: {directory / 'report.html'}", markup=False, soft_wrap=True)
    console.print(
        f"raw data: {directory}, a directory for each run ({example})",
        markup=False,
        soft_wrap=True,
    )


def _other_faults(runs: list[dict[str, Any]], chosen: list[dict[str, Any]]) -> list[str]:
    """How many runs are invalid that no note names: those before the newest of their point."""
    named = {run["run"] for run in chosen}
    bad = [run for run in runs if not run["valid"] and not trial_outcome(run)]
    count = sum(run["run"] not in named for run in bad)
    if not count:
        return []
    words = "is invalid and enters" if count == 1 else "are invalid and enter"
    return [f"{count} of {len(runs)} runs {words} no mean: the report says why"]
