"""What page and table say of a search."""

from __future__ import annotations

from typing import Any

import pytest
from report_search import SEARCH

from lifelog.report.trials import figure, sentence, trial_rows, without_outcome


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            "Sustains between 20,000 and 20,550 images/s within 1,000 ms for 99 % of them, "
            "confirmed 3 times.",
        ),
        (
            {"latency_limit_ms": None, "confirmed": 1},
            "Sustains between 20,000 and 20,550 images/s, confirmed once.",
        ),
        (
            {"images_per_s": [None, 900.0], "latency_limit_ms": None, "confirmed": 0,
             "reason": "no load passed, down to 900 images/s"},
            "Sustains less than 900 images/s: no load passed, down to 900 images/s.",
        ),
        (
            {"images_per_s": [900.0, None], "latency_limit_ms": None, "confirmed": 0,
             "reason": "no load failed, up to 900 images/s"},
            "Sustains 900 images/s, and perhaps more: no load failed, up to 900 images/s.",
        ),
        (
            {"images_per_s": [None, None], "confirmed": 0, "reason": "no valid saturation run"},
            "No sustainable rate was found: no valid saturation run.",
        ),
    ],
)  # fmt: skip
def test_the_answer_in_a_sentence(changes: dict[str, Any], text: str) -> None:
    assert sentence(SEARCH | changes) == text


def test_a_row_for_each_trial() -> None:
    rows = trial_rows(SEARCH)
    assert len(rows) == 4
    assert rows[2] == ("t02", "20,000", "120 s", "find the range", "pass", "-")
    assert rows[3][5].startswith("the lag grows by 900 images/s")


def test_outcomes_are_told_apart_by_shape() -> None:
    drawn = figure(SEARCH)
    for outcome in ("pass", "fail", "undecided", "invalid"):
        assert f">{outcome}</text>" in drawn.wide
    assert drawn.columns[:2] == ("run", "rate_images_per_s")
    assert [row[4] for row in drawn.rows] == ["invalid", "undecided", "pass", "fail"]


def test_faults_of_a_trial_with_an_outcome_are_its_reasons_and_no_alarm() -> None:
    run = {"invalid_reasons": ["V3: late"], "search": {"trial": {"outcome": "fail"}}}
    assert without_outcome(run)["invalid_reasons"] == []
    run = {"invalid_reasons": ["V4: lost"], "search": {"trial": {"outcome": None}}}
    assert without_outcome(run) == run
