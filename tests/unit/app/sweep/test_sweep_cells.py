"""What is left to do of a sweep: outcomes in, cells out."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_experiment import DERIVED, SOURCES, cluster, experiment

from lifelog.sweep.cells import (
    Cell,
    Key,
    Outcome,
    Sweep,
    cells_of,
    digest,
    failures,
    states,
    to_do,
    within_budget,
)

# Two repetitions; b derives from a, c from b, and d from nothing.
CELLS = tuple(
    Cell(point, repetition, source)
    for repetition in (1, 2)
    for point, source in (("a", None), ("b", "a"), ("c", "b"), ("d", None))
)


def sweep(attempts: int = 2) -> Sweep:
    return Sweep("id", "digest", attempts, CELLS, started_ns=1)


def tried(*reasons: str) -> Outcome:
    return Outcome(reasons=list(reasons))


DONE = Outcome(valid="x")


def left(outcomes: dict[Key, Outcome], only: tuple[str, ...] | None = None) -> list[str]:
    return [str(cell) for cell in to_do(sweep(), states(sweep(), outcomes), only)]


def test_everything_is_to_do_at_first_in_its_order() -> None:
    assert left({}) == [str(cell) for cell in CELLS]


def test_valid_runs_are_done_and_others_are_tried_again_up_to_the_limit() -> None:
    outcomes = {
        ("a", 1): DONE,
        ("b", 1): tried("V4"),
        ("d", 1): tried("V4", "V6"),
        ("a", 2): tried("V3"),
    }
    assert left(outcomes) == ["b-r01", "c-r01", "a-r02", "b-r02", "c-r02", "d-r02"]
    assert states(sweep(), outcomes)["d", 1] == "failed"


def test_interrupted_and_unreadable_runs_do_not_count_as_attempts() -> None:
    cut = Outcome(interrupted=["x", "y", "z"], unreadable=["u"])
    assert states(sweep(1), {("a", 1): cut})["a", 1] == "open"


def test_what_derives_from_a_failed_point_is_blocked_in_that_repetition_only() -> None:
    outcomes = {("a", 1): tried("V4", "V4")}
    state = states(sweep(), outcomes)
    assert [state[name, 1] for name in "abcd"] == ["failed", "blocked", "blocked", "open"]
    assert [state[name, 2] for name in "abcd"] == ["open"] * 4
    unrated = states(sweep(), {("a", 1): Outcome(valid="x", rated=False)})
    assert [unrated[name, 1] for name in "abcd"] == ["valid", "blocked", "blocked", "open"]
    # Its own valid run stands, whatever became of the source.
    assert states(sweep(), {**outcomes, ("b", 1): DONE})["b", 1] == "valid"


def test_only_some_points_bring_what_their_rates_derive_from() -> None:
    assert left({}, ("d",)) == ["d-r01", "d-r02"]
    assert left({("a", 1): DONE}, ("c",)) == ["b-r01", "c-r01", "a-r02", "b-r02", "c-r02"]
    assert left({("c", 1): DONE, ("b", 2): DONE}, ("c",)) == ["c-r02"]


@pytest.mark.parametrize(
    ("budget_s", "count"),
    [(9, 0), (10, 0), (30, 3), (39, 3), (40, 4), (69, 4), (79, 4), (80, 8), (1e9, 8)],
)
def test_a_budget_takes_whole_repetitions_or_else_whole_groups(budget_s: float, count: int) -> None:
    assert within_budget(CELLS, dict.fromkeys("abcd", 10.0), budget_s) == count


def test_a_budget_never_parts_a_point_from_its_source() -> None:
    alone = [Cell("d", 1), Cell("a", 1), Cell("b", 1, "a"), Cell("e", 1)]
    seconds = dict.fromkeys("abde", 10.0)
    assert [within_budget(alone, seconds, s) for s in (10, 20, 30, 40)] == [1, 1, 3, 4]
    # The source is done already: then the point stands alone.
    assert within_budget([Cell("b", 1, "a"), Cell("e", 1)], seconds, 10) == 1
    assert within_budget([], seconds, 10) == 0


def test_failures_are_cells_that_were_tried_or_cannot_be() -> None:
    assert failures(sweep(), {("a", 1): DONE}) == []
    outcomes = {("a", 1): tried("one: V4: lost", "two: V6: cap"), ("d", 2): tried("three: V3")}
    assert failures(sweep(), outcomes) == [
        "a-r01: no valid run in 2 attempts: two: V6: cap",
        "b-r01: not run, because a has no valid rate",
        "c-r01: not run, because b has no valid rate",
        "d-r02: no valid run in 1 attempt: three: V3",
    ]


def test_the_digest_tells_sweeps_apart(tmp_path: Path) -> None:
    nodes = cluster()
    one = digest(experiment(tmp_path, SOURCES + DERIVED), nodes)
    assert one == digest(experiment(tmp_path, SOURCES + DERIVED), nodes)
    others = [
        digest(experiment(tmp_path, SOURCES), nodes),
        digest(experiment(tmp_path, SOURCES + DERIVED, "seed: 5\n"), nodes),
        digest(experiment(tmp_path, SOURCES + DERIVED, "repetitions: 5\n"), nodes),
        digest(experiment(tmp_path, SOURCES + DERIVED, "min_batches: 5\n"), nodes),
        digest(experiment(tmp_path, SOURCES + DERIVED, "settings: {partitions: 9}\n"), nodes),
        digest(experiment(tmp_path, SOURCES + DERIVED), cluster(2)),
        digest(experiment(tmp_path, SOURCES + DERIVED), cluster(cores=(2, 2))),
        digest(experiment(tmp_path, SOURCES + DERIVED), cluster(memory=2000)),
        digest(
            experiment(tmp_path, SOURCES + DERIVED), nodes.model_copy(update={"app_sha256": "new"})
        ),
    ]
    assert len({one, *others}) == 10
    # Which kernel a host has booted does not bear on a figure, nor the few MB that it takes.
    other = nodes.model_copy(update={"kernels": {"b1": "x"}})
    assert digest(experiment(tmp_path, SOURCES + DERIVED), other) == one
    assert digest(experiment(tmp_path, SOURCES + DERIVED), cluster(memory=1003)) == one


def test_the_cells_are_those_of_the_experiment_in_its_order(tmp_path: Path) -> None:
    cells = cells_of(experiment(tmp_path, "  - name: p3\n" + DERIVED, "repetitions: 2\n"))
    assert cells == (Cell("p3", 1), Cell("d", 1, "p3"), Cell("p3", 2), Cell("d", 2, "p3"))
