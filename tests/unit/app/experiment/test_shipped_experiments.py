"""The experiments that come with the testbed: what the paper has, and what a laptop can do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sample_experiment import cluster

from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment
from lifelog.experiment.estimate import duration_estimate_s
from lifelog.experiment.load import load_experiment
from lifelog.experiment.placement import Cluster
from lifelog.experiment.plan import check_points, run_order

PROJECT = Path(__file__).parents[4]
NAMES = sorted(path.stem for path in PROJECT.glob("experiments/*.yml"))
PAPER = cluster(4, (8,) * 4, 8000)
LOCAL = cluster(2, (1, 1), 1280)


def shipped(name: str, nodes: Cluster | None = None, overrides: str = "") -> Experiment:
    return load_experiment(PROJECT / f"experiments/{name}.yml", overrides, nodes)


def levels(experiment: Experiment, *keys: str) -> list[list[object]]:
    return [
        list(dict.fromkeys(getattr(point.settings, key) for point in experiment.points))
        for key in keys
    ]


def test_all_are_there() -> None:
    paper = {"fig2", "fig3", "fig4", "fig4_published"}
    others = {
        "smoke",
        "encoding",
        "kafka_batch_meaning",
        "images_per_call",
        "partitions",
        "readers",
    }
    more = {"trigger", "acks", "clients", "engines", "datasets", "sustainable"}
    assert paper | others | more <= set(NAMES)


@pytest.mark.parametrize("nodes", [None, PAPER, LOCAL], ids=["file", "paper", "local"])
@pytest.mark.parametrize("name", NAMES)
def test_each_fits_the_inventories_that_come_with_it(name: str, nodes: Cluster | None) -> None:
    if name.startswith("scale_") and nodes is LOCAL:
        # Of inventory/scale_model alone.
        with pytest.raises(UserError, match="4 are asked for, and the inventory has 2"):
            check_points(shipped(name), nodes)
        return
    experiment = shipped(name, nodes)
    if nodes is not None:
        check_points(experiment, nodes)
    assert experiment.question.endswith("?")
    if not experiment.short and experiment.search is None:
        assert experiment.repetitions == 5
        assert experiment.figure is not None
    for values in levels(experiment, *(experiment.figure.axes().values() if experiment.figure else ())):  # fmt: skip
        assert len(values) >= 2
    assert ("(reduced: " in experiment.title) == bool(experiment.reduced)
    if nodes is PAPER:
        assert not experiment.reduced


@pytest.mark.parametrize(("name", "partitions"), [("fig2", 16), ("fig3", 32)])
def test_figures_2_and_3(name: str, partitions: int) -> None:
    whole = shipped(name, PAPER)
    assert levels(whole, "brokers", "workers") == [[1, 2, 4], [1, 2, 4]]
    assert len(whole.points) == 9
    assert levels(whole, "partitions", "producers", "images_per_record", "trigger_ms") == [
        *([partitions], [16], [1], [1000])
    ]
    assert levels(whole, "images_per_call", "mode") == [[100], ["saturation"]]
    small = shipped(name, LOCAL)
    assert levels(small, "brokers", "workers", "partitions") == [[1, 2], [1, 2], [partitions]]
    assert "brokers 1, 2 of 1, 2, 4; workers 1, 2 of 1, 2, 4" in small.title


def test_figure_4() -> None:
    for name, mode in (("fig4", "saturation"), ("fig4_published", "fixed_size")):
        whole = shipped(name, PAPER)
        assert levels(whole, "replication", "images_per_record") == [[1, 2, 3], [1, 5, 10, 20]]
        assert len(whole.points) == 12
        assert levels(whole, "brokers", "workers", "mode") == [[4], [4], [mode]]
        small = shipped(name, LOCAL)
        assert levels(small, "replication", "images_per_record") == [[1, 2], [1, 5, 10, 20]]
        # Q6 speaks of three replicas too.
        assert [bool(claim.comparisons) for claim in small.claims] == [True, False, True]


def test_only_unreduced_is_the_published_load_the_paper_s() -> None:
    whole = shipped("fig4_published", PAPER)
    assert levels(whole, "producers", "images_per_producer") == [[16], [100_000]]
    assert not whole.reduced
    small = shipped("fig4_published", LOCAL)
    assert levels(small, "producers", "images_per_producer") != [[16], [100_000]]
    assert "instead of 100,000 images a producer" in small.title
    assert "100,000" not in small.question


@pytest.mark.parametrize("name", ["fig2", "fig3"])
def test_a_block_of_a_laptop_takes_minutes(name: str) -> None:
    small = shipped(name, LOCAL, "repetitions=1")
    assert sum(duration_estimate_s(p.settings) for _, p in run_order(small)) < 15 * 60


@pytest.mark.parametrize("script", ["experiments", "results"])
def test_the_docs_of_the_experiments_are_fresh(script: str) -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / f"docs/{script}.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_examples_of_the_docs_can_be_loaded(tmp_path: Path) -> None:
    page = (PROJECT / "docs/experiments.md").read_text(encoding="utf-8")
    first, *others = [part.partition("```")[0] for part in page.split("```yaml\n")[1:]]
    (tmp_path / "mine.yml").write_text(first)
    assert len(load_experiment(tmp_path / "mine.yml").points) == 5
    # The others that are whole files.
    (search,) = [text for text in others if text.startswith("title: ")]
    (tmp_path / "search.yml").write_text(search)
    assert load_experiment(tmp_path / "search.yml").search is not None
