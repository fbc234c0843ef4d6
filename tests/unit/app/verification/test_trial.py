"""The outcome of one trial, from the raw data of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import START_NS, SyntheticRun

from lifelog.verification.verify import verify

RATE = 400.0


def trial(rate: float = RATE, batches: int = 80, **changes: Any) -> SyntheticRun:
    """A paced run that completes 400 images a second."""
    made = {"images_per_batch": 400, "short": False, "settings": {"target_rate": rate}, **changes}
    run = SyntheticRun("paced", batches, **made)
    for line in run.lines[1:]:
        # A lag that wanders little: what is judged here is what is made of it.
        jitter_ns = 10**7 * (line["batch"] * 7 % 5)
        line["completed_ns"] = START_NS + line["batch"] * 10**9 + jitter_ns
    run.spec |= {"min_duration_s": 50.0, "min_batches": 20}
    run.spec["search"] = {
        "resolution": 0.03, "confirmations": 3, "most_trials": 20, "latency_limit_ms": None,
        "trial": {"rate": rate, "duration_factor": 1, "purpose": "bracket"},
    }  # fmt: skip
    return run


def outcome(run: SyntheticRun, results: Path) -> tuple[str | None, str, bool]:
    found = verify(run.write(results))["search"]["trial"]
    return found["outcome"], "; ".join(found["reasons"]), found["generator"]


def test_a_load_that_is_carried_passes(tmp_path: Path) -> None:
    assert outcome(trial(), tmp_path) == ("pass", "", False)


def _late(run: SyntheticRun) -> None:
    report = run.reports[2]
    assert report is not None
    report["sent_by_end"] = int(report["scheduled_by_end"] * 0.95)


def _not_drained(run: SyntheticRun) -> None:
    run.consumer |= {"drained": False, "error": "RuntimeError: 5 records were still unprocessed"}
    run.rows.pop()


def _stalled(run: SyntheticRun) -> None:
    """The last ten seconds' worth comes when the load has ended."""
    for line in run.lines[71:]:
        line["completed_ns"] += 15 * 10**9


def _crashed(run: SyntheticRun) -> None:
    run.consumer |= {"error": "RuntimeError: the streaming query ended: out of memory"}
    run.rows.pop()


@pytest.mark.parametrize(
    ("run", "change", "expected", "words", "generator"),
    [
        (trial(450), None, "fail", "the lag grows by 5", False),
        (trial(), _late, "fail", "V3: producer 2 sent 95.0%", True),
        (trial(450), _late, "fail", "the lag grows by 5", False),
        (trial(), _not_drained, "fail", "did not drain", False),
        (trial(), _crashed, None, "failed: consumer: RuntimeError: the streaming query", False),
        (trial(), _stalled, "undecided", "a stall: no micro-batch completed in the last 10", False),
        (trial(batches=20), None, "undecided", "15 micro-batches after warm-up", False),
        (trial(batches=40), None, "undecided", "V7: 3", False),
        (trial(batches=1), None, "undecided", "1 micro-batches completed while", False),
        (trial(batches=1), _not_drained, "fail", "did not drain", False),
        (trial(), lambda run: run.rows[5].update(wrong=3), None, "V5: 3 predictions", False),
        (trial(450), lambda run: run.rows.pop(), None, "V4: ", False),
    ],
    ids=range(12),
)
def test_what_is_not_carried_or_not_known(
    tmp_path: Path,
    run: SyntheticRun,
    change: Callable[[SyntheticRun], None] | None,
    expected: str | None,
    words: str,
    generator: bool,
) -> None:
    if change is not None:
        change(run)
    found, reasons, of_generator = outcome(run, tmp_path)
    assert (found, of_generator) == (expected, generator)
    assert words in reasons


def test_latency_is_asked_for_where_it_has_a_limit(tmp_path: Path) -> None:
    run = trial()
    run.spec["search"]["latency_limit_ms"] = 900
    found, reasons, _ = outcome(run, tmp_path)
    assert (found, reasons) == ("undecided", "the 99th percentile of latency is not supported")


def test_of_a_trial_the_slope_of_the_lag_decides_and_not_the_latencies(tmp_path: Path) -> None:
    run = trial(450)
    for row in run.rows:
        row["latency_ms"] = b"".join(
            (value + 50 * row["batch"] if at % 2 == 0 else value).to_bytes(4, "little")
            for at, value in enumerate(memoryview(row["latency_ms"]).cast("i"))
        )
    judged = verify(run.write(tmp_path))
    assert any(m.startswith("V8:") and "lag's slope decides" in m for m in judged["marks"])
    assert (judged["valid"], judged["search"]["trial"]["outcome"]) == (True, "fail")


def test_a_run_of_no_search_has_no_outcome(tmp_path: Path) -> None:
    assert "search" not in verify(SyntheticRun("paced").write(tmp_path))
