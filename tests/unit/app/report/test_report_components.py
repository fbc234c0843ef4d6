"""Busy cores by component: a bar for each machine, or for each run of one machine."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from synthetic_results import SyntheticResults

from lifelog.report.components import busy_cores
from lifelog.results.directory import read_results


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two points on four machines."""
    made = SyntheticResults(
        "two", "Two", {"workers": [1, 2]}, None, lambda own: 1000.0, repetitions=1
    )
    return read_results(made.write(tmp_path_factory.mktemp("results"))).runs


def cells(drawing: Any) -> list[dict[str, Any]]:
    return [dict(zip(drawing.columns, row, strict=True)) for row in drawing.rows]


def test_the_machines_of_the_main_run_have_a_bar_each(runs: list[dict[str, Any]]) -> None:
    drawing = busy_cores(runs, runs[1])
    assert drawing is not None
    first, _, third, _ = cells(drawing)
    assert (first["bar"], first["run"]) == ("broker-1", runs[1]["run"])
    assert (first["brokers_cores"], first["producers_cores"]) == (0.6, 0.25)
    assert first["executors_cores"] == 0
    # A hundredth of eight cores.
    assert first["other_programs_cores"] == 0.08
    assert third["Python_workers_cores"] == 2.4
    for words in ("Python workers", "other programs", "worker-2", "in use (cores)"):
        assert f">{words}</text>" in drawing.wide
        assert f">{words}</text>" in drawing.narrow


def test_of_one_machine_each_run_has_a_bar(runs: list[dict[str, Any]]) -> None:
    alone = copy.deepcopy(runs)
    for run in alone:
        run["node_metrics"] = {"broker-1": run["node_metrics"]["broker-1"]}
    drawing = busy_cores(alone, alone[0])
    assert drawing is not None
    assert [own["bar"] for own in cells(drawing)] == [run["point"] for run in runs]


def test_runs_of_an_older_version_have_no_figure(runs: list[dict[str, Any]]) -> None:
    older = copy.deepcopy(runs)
    for run in older:
        for own in run["node_metrics"].values():
            del own["component_cores"]
    assert busy_cores(older, older[0]) is None
    for run in older:
        del run["node_metrics"]
    assert busy_cores(older, older[0]) is None


def test_unknown_other_load_is_left_out(runs: list[dict[str, Any]]) -> None:
    unknown = copy.deepcopy(runs[:1])
    for own in unknown[0]["node_metrics"].values():
        own["foreign_share"] = None
    drawing = busy_cores(unknown, unknown[0])
    assert drawing is not None
    assert "other_programs_cores" not in drawing.columns
