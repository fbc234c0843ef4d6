"""report.html: one page, offline, without scripts, and the files of its figures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from lifelog.report import (
    bars,
    colours,
    components,
    nodes,
    paper,
    predictions,
    table,
    timeline,
    trials,
)
from lifelog.report.claims import claim_rows, claims_card
from lifelog.report.drawing import Drawing, write_figures
from lifelog.report.headline import MODES, cards, checked, headline, main_run, newest_valid, rate_of
from lifelog.report.latency import latency
from lifelog.report.notes import RULES, Note, brief, notes, run_notes
from lifelog.report.provenance import provenance, started
from lifelog.results.directory import Unusable, trial_outcome
from lifelog.results.summary import newest_attempts, summarise, warmup_series

Run = dict[str, Any]
# Panels, lines and machine tables of more points are left out, and the page says so.
MOST_PANELS = 16
_MOST_LINES = 12
_MOST_ALARMS = 4
_VERDICTS = {
    "reproduced": ("✓", "good"),
    "not reproduced": ("✗", "bad"),
    "undecided": ("?", "soft"),
}


def environment() -> jinja2.Environment:
    """The templates of this package, with the colours of the page."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("lifelog.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(light=colours.css(colours.LIGHT), dark=colours.css(colours.DARK))
    return made


def write_page(path: Path, page: str) -> None:
    """Write a page in one step: a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)


def valid_rates(runs: Iterable[Run]) -> dict[str, list[tuple[str, float]]]:
    """Run and images/s of each valid run, by point."""
    rates: dict[str, list[tuple[str, float]]] = {}
    for run in runs:
        if run["valid"] and run["throughput_images_per_s"] is not None:
            pair = (run["run"], run["throughput_images_per_s"])
            rates.setdefault(run["point"], []).append(pair)
    return rates


def _main_figure(runs: list[Run], points: list[dict[str, Any]]) -> tuple[list[Drawing], str]:
    """The figure in the paper's form, or all runs by point; and why it is not the former."""
    rates = valid_rates(runs)
    declared = [run["figure"] for run in runs if run.get("figure")]
    axes, why = paper.axes_of(declared[-1] if declared else None), ""
    if axes is not None:
        # A point whose runs left nothing to read has no place in it; it is an alarm already.
        placed = [own for own in points if own["factors"] or own["runs"] > own["invalid_runs"]]
        cells = paper.cells(axes, placed, rates)
        if isinstance(cells, list):
            return [paper.paper_figure(axes, cells)], ""
        why = f"The declared figure is not drawn: {cells}."
    if len(rates) > 2 or any(len(of_point) > 1 for of_point in rates.values()):
        bare = {point: [rate for _, rate in of_point] for point, of_point in rates.items()}
        return [bars.all_runs(bare)], why
    return [], why


def _over_time(directory: Path, chosen: list[Run]) -> list[Drawing]:
    timed = [run for run in chosen if run["series"]["completed_s"]][:MOST_PANELS]
    if not timed:
        return []
    warmups = [warmup_series(directory / run["run"]) for run in timed]
    return [timeline.throughput(timed, warmups)]


def _late(chosen: list[Run]) -> list[Drawing]:
    late = [run for run in chosen if run["latency_histogram"]][:_MOST_LINES]
    return [latency(late)] if late else []


def _drawings(chosen: list[Run]) -> list[Drawing]:
    shown = []
    waiting = [run for run in chosen if run["series"]["lag_records"]][:_MOST_LINES]
    if waiting:
        shown.append(timeline.lag(waiting))
    reported = [run for run in chosen if run["batch_breakdown_ms"]]
    if reported:
        shown.append(bars.micro_batch(reported))
    called = [run for run in chosen if run.get("call_breakdown_us_per_image")]
    if called:
        shown.append(bars.calls(called))
    staged = [run for run in chosen if run["stages_s"]]
    if staged:
        shown.append(bars.stages(staged, table.STAGES))
    return shown


def _only_some(chosen: Sequence[Run]) -> str:
    if len(chosen) <= _MOST_LINES:
        return ""
    text = f"Of {len(chosen)} points, latency and waiting records show the first {_MOST_LINES}"
    if len(chosen) > MOST_PANELS:
        text += f", throughput over time and machines the first {MOST_PANELS}"
    return f"{text}."


def _alarms(judged: Sequence[Run]) -> list[Note]:
    """What is invalid of what the points are judged by; of several repetitions, which."""
    if any(run["repetition"] > 1 for run in judged):
        judged = [run | {"point": run["run"]} for run in judged]
    return [note for note in notes(judged) if note.kind == "invalid"]


def _invalid(runs: Sequence[Run]) -> list[tuple[Run, list[Note]]]:
    bad = [run for run in runs if not run["valid"]]
    return [(run, [note for note in run_notes(run) if note.kind == "invalid"]) for run in bad]


def write_report(
    directory: Path,
    runs: list[Run],
    rerun_command: str,
    summary: dict[str, Any] | None = None,
    unusable: Sequence[Unusable] = (),
    left_out: int = 0,
) -> None:
    """Write report.html, and figures/NAME.svg and NAME.csv for each of its figures.

    `runs`: those of one experiment that may be pooled (see `latest_settings`), of which `summary`
    is the summary; `left_out`: how many runs of the directory may not. Figures of one run are
    those of the newest run of each point; all runs and their faults are listed.
    """
    summary = summary or summarise(runs)
    points = summary["points"]
    chosen = table.newest_by_point(runs)
    means = {own["point"]: (own["throughput_images_per_s"] or {}).get("mean") for own in points}
    judged = newest_attempts(runs)
    main = main_run(newest_valid(judged, means))
    main_point = next((own for own in points if main and own["point"] == main["point"]), None)
    rate, mean = rate_of(main_point) if main_point else (0.0, "")
    # What several runs of a short experiment would be pooled to supports nothing.
    if main is not None and "short" in main["labels"]:
        newest = next(run for run in reversed(judged) if run["run"] == main["run"])
        rate = newest["throughput_images_per_s"]
    faulty = {run["point"] for run in judged if not run["valid"] and not trial_outcome(run)}
    search = summary.get("sustainable")
    claims = claim_rows(summary.get("claims"))
    many = table.by_row(runs)
    main_figure, why_no_figure = _main_figure(runs, points)
    if search:
        main_figure = [trials.figure(search)] if search["trials"] else []
    over_time, late, drawings = _over_time(directory, chosen), _late(chosen), _drawings(chosen)
    if main_figure and main_figure[0].name == bars.ALL_RUNS:
        # Without a declared figure the run itself comes first.
        main_figure, late = [], [*main_figure, *late]
    tables = [
        nodes.node_table(directory / run["run"], run)
        for run in sorted(chosen, key=lambda own: not main or own["point"] != main["point"])
    ]
    sampled = main if main is not None else chosen[-1]
    shown = (
        components.busy_cores(chosen, sampled),
        nodes.over_time(directory / sampled["run"], sampled),
    )
    machines = [drawing for drawing in shown if drawing is not None]
    remarks = notes([trials.without_outcome(run) for run in chosen])
    pairs = list(zip(chosen, points, strict=True))
    columns = [table.sections(run, point) for run, point in pairs]
    page = (
        environment()
        .get_template("template.html.j2")
        .render(
            title=table.title_of(chosen),
            experiment=chosen[0]["experiment"],
            main=main,
            rate=rate,
            mean=mean,
            headline=headline(main) if main else "",
            checked=checked(main) if main else "",
            modes=MODES,
            started=started(directory / main["run"]) if main else "",
            labels=sorted({label for run in chosen for label in run["labels"]}),
            cards=[*cards(chosen, main, len(means) - len(faulty)), *claims_card(claims)],
            claims=claims,
            sustains=trials.sentence(search) if search else "",
            trial_headings=trials.TRIAL_HEADINGS,
            trials=trials.trial_rows(search) if search else [],
            points=[run["point"] for run in chosen],
            sections=[
                [(line[0][0], [value for _, value in line]) for line in zip(*part, strict=True)]
                for part in zip(*columns, strict=True)
            ],
            short_rows=table.short_rows(chosen, points),
            many=many,
            alarms=_alarms([trials.without_outcome(run) for run in judged]),
            most_alarms=_MOST_ALARMS,
            notes=[
                (table.footnote(note, len(chosen)), note.rule)
                for note in (brief(remarks) if many else remarks)
                if note.kind != "invalid"
            ],
            runs=list(reversed(runs)),
            invalid=_invalid(runs),
            unusable=unusable,
            left_out=left_out,
            main_figure=main_figure,
            why_no_figure=why_no_figure,
            only_some=_only_some(chosen),
            over_time=over_time,
            late=late,
            drawings=drawings,
            predicted=predictions.rows(points),
            prediction_headings=predictions.HEADINGS,
            prediction_texts=predictions.texts(points),
            node_tables=[own for own in tables if own is not None][:MOST_PANELS],
            machines=machines,
            rules=RULES,
            rerun_command=rerun_command
            or f"ansible-playbook playbooks/app.yml -e experiment={chosen[0]['experiment']}",
            **provenance(directory, chosen, table.MOST_COLUMNS),
        )
    )
    write_page(directory / "report.html", page)
    write_figures(
        directory / "figures", [*main_figure, *over_time, *late, *drawings, *machines]
    )  # fmt: skip
