"""How many nodes a wish needs, and which limit stands in the way of one that cannot be had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_capacity import LOAD, observed

from lifelog.capacity.calibration import Calibration, calibrate
from lifelog.capacity.sizing import Nodes, carried, partitions_for, plan

GIGABIT = 125e6


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(observed(np.random.default_rng(3), noise=0.02))


def test_nodes_are_added_where_it_binds(calibration: Calibration) -> None:
    found = plan(calibration, LOAD, Nodes(8, GIGABIT, 4), 200_000, 40)
    assert found.obstacle == ""
    first, last = found.steps[0], found.steps[-1]
    assert (first.brokers, first.workers) == (1, 1)
    assert last.expected.low >= 200_000 > found.steps[-2].expected.low
    assert last.brokers > 1
    assert last.workers > 1
    for before, after in zip(found.steps, found.steps[1:], strict=False):
        assert after.nodes == before.nodes + 1
        assert after.partitions % (after.workers * 8) == 0
    assert any("workers" in text for text in last.extrapolated)


def test_slower_nodes_need_to_be_more(calibration: Calibration) -> None:
    counts = [
        plan(calibration, LOAD, Nodes(8, GIGABIT, 4, speed), 100_000, 60).steps[-1].nodes
        for speed in (0.5, 1.0, 2.0)
    ]
    assert counts[0] > counts[1] > counts[2]


def test_a_wish_for_too_few_nodes_names_what_binds(calibration: Calibration) -> None:
    found = plan(calibration, LOAD, Nodes(8, GIGABIT, 4), 1e6, 4)
    assert "stands in the way: 4 nodes carry" in found.obstacle
    none = plan(calibration, replace(LOAD, replication=3), Nodes(8, GIGABIT, 4), 1000, 3)
    assert none.steps == ()
    assert "3 replicas need 3 brokers beside a worker" in none.obstacle


def test_one_drivers_limit_is_moved_by_no_nodes(calibration: Calibration) -> None:
    calls = replace(LOAD, images_per_call=1, images_per_record=20)
    found = plan(calibration, calls, Nodes(64, None, 64), 1e7, 500)
    assert found.obstacle.startswith("the driver, which plans and collects alone stands in the way")
    assert "more nodes do not move it" in found.obstacle


def test_a_link_can_be_the_limit(calibration: Calibration) -> None:
    frames = replace(LOAD, image_bytes=500_000)
    own, layout, found = carried(calibration, frames, Nodes(8, 12.5e6, 4), 1, 1)
    assert found.binding.kind.startswith("link")
    assert found.images_per_s < 25
    assert own.partitions == 8
    assert layout.slots == 8


def test_partitions_are_a_multiple_of_slots() -> None:
    assert partitions_for(8, 2) == 8
    assert partitions_for(8, 3) == 24
    assert partitions_for(2, 3) == 6
    assert partitions_for(7, 5) == 7
    assert partitions_for(2, 9) == 10
