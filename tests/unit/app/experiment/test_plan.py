"""Order, placement, disk and the spec of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sample_experiment import BUNDLE, DERIVED, SOURCES, cluster, experiment

from lifelog.errors import UserError
from lifelog.experiment.estimate import disk_bytes_per_broker
from lifelog.experiment.placement import Cluster, load_cluster, place
from lifelog.experiment.plan import check_points, plan_runs, run_order
from lifelog.experiment.runname import next_run_name
from lifelog.experiment.settings import Settings
from lifelog.experiment.spec import build_spec, resolve_rate, resolved_settings


def test_blocks_are_shuffled_by_the_seed_and_derived_points_follow_their_source(
    tmp_path: Path,
) -> None:
    points = (
        DERIVED.replace("name: d", "name: d2") + "  - {name: d3, mode: paced, target_rate: 5}\n"
    )
    one = experiment(tmp_path, SOURCES + DERIVED + points, "repetitions: 4\nseed: 7\n")
    order = [(repetition, point.name) for repetition, point in run_order(one)]
    assert order == [(repetition, point.name) for repetition, point in run_order(one)]
    blocks = [[name for r, name in order if r == repetition] for repetition in range(1, 5)]
    assert [r for r, _ in order] == sorted(r for r, _ in order)
    assert all(sorted(block) == sorted(p.name for p in one.points) for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1
    for block in blocks:
        at = block.index("p3")
        assert set(block[at + 1 : at + 3]) == {"d", "d2"}


def test_replicas_lie_on_the_brokers_of_the_point_only() -> None:
    settings = Settings(brokers=2, replication=2, partitions=3, producers=3, workers=1)
    placed = place("p", settings, cluster(cores=(4, 4)))
    assert placed.replica_assignment == ((11, 12), (12, 11), (11, 12))
    assert placed.leaders == [11, 12, 11]
    assert [broker.host for broker in placed.producer_brokers] == ["b1", "b2", "b1"]
    assert (placed.workers, placed.cores_per_worker, placed.slots) == (1, 4, 4)
    assert 2 * placed.executor_memory_mb > 1000 >= placed.executor_memory_mb


@pytest.mark.parametrize(
    ("settings", "nodes", "words"),
    [
        ({"brokers": 4}, cluster(), "brokers: 4 are asked for, and the inventory has 3"),
        ({"workers": 3}, cluster(), "workers: 3 are asked for, and the inventory has 2"),
        ({"replication": 4}, cluster(), "replication: 4 copies need as many brokers"),
        ({}, cluster(cores=(1, 2)), "same spark_worker_cores"),
    ],
)
def test_points_that_the_inventory_cannot_hold(
    settings: dict[str, Any], nodes: Cluster, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        place("p", Settings.model_validate(settings), nodes)


def test_workers_of_too_different_memory_are_refused() -> None:
    uneven = cluster().model_dump()
    uneven["workers"][1]["memory_mb"] = 3000
    with pytest.raises(UserError, match="factor of two"):
        place("p", Settings(), Cluster.model_validate(uneven))


@pytest.mark.parametrize("content", [None, "{", '{"brokers": []}', "[1]"])
def test_a_broken_cluster_file(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "cluster.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"cluster\.json"):
        load_cluster(path)


def test_a_run_name_in_use_gets_the_next_attempt(tmp_path: Path) -> None:
    for name in ("p-r01-a01", "p-r01-a07", "p-r02-a09", "p-x-r01-a30", "other"):
        (tmp_path / "e" / name).mkdir(parents=True)
    assert next_run_name(tmp_path / "e", "p", 1) == "p-r01-a08"
    assert next_run_name(tmp_path / "e", "p", 3) == "p-r03-a01"
    planned = plan_runs(experiment(tmp_path, "  - name: p\n"), cluster(), tmp_path)
    assert [run.run for run in planned] == ["p-r01-a08"]
    assert planned[0].duration_estimate_s > 30


def test_every_impossible_point_is_named_before_anything_runs(tmp_path: Path) -> None:
    points = "  - {name: p, brokers: 9}\n  - {name: q, images_per_record: 2000}\n  - name: r\n"
    with pytest.raises(UserError) as error:
        plan_runs(experiment(tmp_path, points), cluster(), tmp_path)
    assert "point p: brokers: 9 are asked for" in str(error.value)
    assert "point q: images_per_record: 2000 images of 784 bytes" in str(error.value)
    assert "point r" not in str(error.value)
    large = experiment(tmp_path, "  - {name: p, images_per_record: 40, dataset: 'my:frames'}\n")
    check_points(large, cluster())
    with pytest.raises(UserError, match="40 images of 27648 bytes"):
        check_points(large, cluster(), {"my:frames": 96 * 96 * 3})


def test_disk_need_counts_copies_and_encoding(tmp_path: Path) -> None:
    sized = "  - {name: p, mode: fixed_size, images_per_producer: 1000"
    one = disk_bytes_per_broker(experiment(tmp_path, f"{sized}}}\n").points, cluster())
    assert one == 4 * 1000 * (784 + 40) // 3
    more = experiment(tmp_path, f"{sized}, replication: 3, encoding: float32}}\n")
    assert disk_bytes_per_broker(more.points, cluster()) == 4 * 1000 * (4 * 784 + 40)
    assert disk_bytes_per_broker(more.points, cluster(), {"mnist-t10k": 10}) == 4 * 1000 * 80
    paced = experiment(tmp_path, "  - {name: p, mode: paced, target_rate: 100}\n")
    assert disk_bytes_per_broker(paced.points, cluster(1)) == 100 * 30 * 824
    assert disk_bytes_per_broker(experiment(tmp_path, SOURCES).points, cluster()) > 10**8


def spec(directory: Path, point: str, rate: float | None = None) -> dict[str, Any]:
    return build_spec(experiment(directory, point), "p-r02-a03", cluster(), BUNDLE, rate)


def test_the_spec_of_a_run(tmp_path: Path) -> None:
    made = spec(
        tmp_path, "  - {name: p, mode: paced, target_rate: 100, encoding: float32}\n", 100.0
    )
    assert (made["point"], made["repetition"], made["run"]) == ("p", 2, "p-r02-a03")
    assert made["settings"]["brokers"] == 3
    assert made["settings"]["workers"] == 2
    assert [own["rate"] for own in made["producers"]] == [25.0] * 4
    assert [own["id"] for own in made["producers"]] == [1, 2, 3, 4]
    assert made["dataset"]["image_bytes"] == 4 * 784
    assert made["bootstrap_servers"][0] == "127.0.1.1:9092"
    assert made["master_url"] == "spark://127.0.1.9:7077"
    assert json.loads(json.dumps(made)) == made
    assert (made["question"], made["figure"], made["reduced"], made["sweep"]) == ("Q", None, False, None)  # fmt: skip


@pytest.mark.parametrize(
    ("point", "seconds"),
    [
        ("  - name: p\n", 1800),
        ("  - {name: p, mode: fixed_size, images_per_producer: 9}\n", 1800),
        ("  - {name: p, mode: paced, target_rate: 100}\n", 120),
        ("  - {name: p, drain_timeout_s: 7}\n", 7),
    ],
)
def test_a_backlog_is_waited_for_unless_the_load_is_paced(
    tmp_path: Path, point: str, seconds: float
) -> None:
    assert spec(tmp_path, point)["settings"]["drain_timeout_s"] == seconds


def test_the_time_for_the_backlog_is_no_factor(tmp_path: Path) -> None:
    both = experiment(tmp_path, "  - name: s\n  - {name: p, mode: paced, target_rate: 1}\n")
    assert set(both.points[0].factors) == {"mode", "target_rate"}


def test_saturated_producers_yield_the_processors_that_workers_share(tmp_path: Path) -> None:
    points = "  - name: s\n  - {name: p, mode: paced, target_rate: 10}\n"
    nodes = cluster(2).model_copy(update={"kernels": {"b1": "k", "b2": "other", "w1": "k"}})
    file = experiment(tmp_path, points)
    yields = {
        name: [
            p["yields_cpu"]
            for p in build_spec(file, f"{name}-r01-a01", nodes, BUNDLE, 1.0)["producers"]
        ]
        for name in ("s", "p")
    }
    assert yields == {"s": [True, False, True, False], "p": [False] * 4}


def test_runs_that_cannot_be_specified(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose 1 to 1337"):
        spec(tmp_path, "  - {name: p, images_per_record: 1338}\n")
    with pytest.raises(UserError, match="did you mean pp"):
        spec(tmp_path, "  - name: pp\n")
    with pytest.raises(UserError, match="POINT-rNN-aNN"):
        build_spec(experiment(tmp_path, "  - name: p\n"), "p", cluster(), BUNDLE, None)
    with pytest.raises(UserError, match="none of dataset mnist-t10k with model my:cnn"):
        spec(tmp_path, "  - {name: p, model: 'my:cnn'}\n")
    with pytest.raises(UserError, match="lifelog prepare"):
        build_spec(experiment(tmp_path, "  - name: p\n"), "p-r01-a01", cluster(), {}, None)


def write_run(results: Path, run: str, settings: dict[str, Any], **fields: Any) -> None:
    directory = results / "e" / run
    directory.mkdir(parents=True)
    content = {"settings": settings, "valid": True, "throughput_images_per_s": 1000.0, **fields}
    (directory / "run.json").write_text(json.dumps(content))


def test_a_derived_rate_comes_from_the_valid_run_of_the_same_repetition(tmp_path: Path) -> None:
    e, nodes = experiment(tmp_path, SOURCES + DERIVED), cluster()
    derived, settings = e.point("d"), resolved_settings(e.point("p3"), nodes)
    with pytest.raises(UserError, match="it has not run"):
        resolve_rate(e, derived, 1, tmp_path, nodes)
    write_run(tmp_path, "p3-r01-a01", settings)
    write_run(tmp_path, "p3-r02-a01", settings, throughput_images_per_s=5.0)
    # Of other settings, and cut off: neither is a result of this point.
    write_run(tmp_path, "p3-r01-a02", {**settings, "partitions": 9}, throughput_images_per_s=7.0)
    write_run(tmp_path, "p3-r01-a03", settings)
    (tmp_path / "e/p3-r01-a03/run.json").write_text('{"settings"')
    assert resolve_rate(e, derived, 1, tmp_path, nodes) == 500.0
    assert resolve_rate(e, derived, 2, tmp_path, nodes) == 2.5
    write_run(tmp_path, "p3-r01-a04", settings, valid=False, invalid_reasons=["V4: lost"])
    with pytest.raises(UserError, match="V4: lost"):
        resolve_rate(e, derived, 1, tmp_path, nodes)
    write_run(tmp_path, "p3-r01-a05", settings, throughput_images_per_s=None)
    with pytest.raises(UserError, match="a05 ran too short"):
        resolve_rate(e, derived, 1, tmp_path, nodes)
    fixed = experiment(tmp_path, "  - {name: d, mode: paced, target_rate: 8}\n")
    assert resolve_rate(fixed, fixed.point("d"), 1, tmp_path, nodes) == 8
