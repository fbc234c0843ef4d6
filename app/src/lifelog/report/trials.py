"""The trials of a search for the sustainable rate, as page and table show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lifelog.report.drawing import COLOURS, INK, Drawing, Run, draw, grid, legend
from lifelog.results.directory import trial_outcome

TRIAL_HEADINGS = ("trial", "images/s", "time", "purpose", "outcome", "why")
_PURPOSES = {"bracket": "find the range", "bisect": "narrow it", "confirm": "confirm"}
# Told apart by shape, whatever the colour.
_MARKERS = {"pass": "o", "fail": "X", "undecided": "s", "invalid": "|"}


def sentence(search: Mapping[str, Any]) -> str:
    """The answer of a search, `sustainable` of summary.json, in one sentence."""
    low, high = search["images_per_s"]
    limit_ms = search["latency_limit_ms"]
    within = "" if limit_ms is None else f" within {limit_ms:,.0f} ms for 99 % of them"
    if low is None and high is None:
        text = "No sustainable rate was found"
    elif low is None:
        text = f"Sustains less than {high:,.0f} images/s{within}"
    elif high is None:
        text = f"Sustains {low:,.0f} images/s{within}, and perhaps more"
    else:
        text = f"Sustains between {low:,.0f} and {high:,.0f} images/s{within}"
    if search["confirmed"]:
        times = "once" if search["confirmed"] == 1 else f"{search['confirmed']} times"
        text += f", confirmed {times}"
    return f"{text}: {search['reason']}." if search["reason"] else f"{text}."


def trial_rows(search: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for each trial, in the order that they were made."""
    return [
        (
            str(own["run"]).partition("-r01-")[0],
            f"{own['rate_images_per_s']:,.0f}",
            f"{own['duration_s']:g} s",
            _PURPOSES.get(own["purpose"], own["purpose"]),
            own["outcome"],
            "; ".join(own["reasons"]) or "-",
        )
        for own in search["trials"]
    ]


def without_outcome(run: Run) -> Run:
    """The run as it is, but for one that has an outcome: its faults are reasons of that."""
    return run | {"invalid_reasons": []} if trial_outcome(run) else run


def figure(search: Mapping[str, Any]) -> Drawing:
    """The load of each trial, in order, and what it came to; the range that was found."""
    trials = search["trials"]

    def paint(drawn: Figure) -> None:
        (axes,) = grid(drawn)
        for number, (outcome, shape) in enumerate(_MARKERS.items()):
            at = [n for n, own in enumerate(trials, 1) if own["outcome"] == outcome]
            if at:
                rates = [trials[n - 1]["rate_images_per_s"] for n in at]
                axes.plot(
                    at, rates, shape, color=COLOURS[number], markersize=9, label=outcome,
                    markeredgewidth=2 if shape == "|" else 0,
                )  # fmt: skip
        for bound in search["images_per_s"]:
            if bound is not None:
                axes.axhline(bound, color=INK, linewidth=1, linestyle="--", zorder=0)
        axes.set_xlabel("trial, in the order made", color=INK)
        axes.set_ylabel("load (images/s)", color=INK)
        legend(drawn, axes)

    return draw(
        "trials", "The load of each trial",
        "Dashed: the highest load that passed and the lowest that did not.",
        4.2, paint, ("run", "rate_images_per_s", "duration_s", "purpose", "outcome"),
        [[own[key] for key in ("run", "rate_images_per_s", "duration_s", "purpose", "outcome")]
         for own in trials],
    )  # fmt: skip
