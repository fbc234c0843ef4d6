"""Every resource is seen to bind, and no ceiling is below what is demanded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from synthetic_capacity import LOAD, PARTS, apart, one_machine

from lifelog.capacity.ceilings import System, most_rate, predict
from lifelog.capacity.layout import FRAME_SHARE, Machine, link_bytes_per_image, machine_groups
from lifelog.capacity.load import cap_images, load_of, rates
from lifelog.capacity.parts import Cost, Engine, Parts, Pause
from lifelog.consumer.batches import expected_images_per_s
from lifelog.experiment.settings import Settings

# Nothing but the engine costs anything.
FREE = replace(
    PARTS, producer={"kafka-python": Cost()}, broker=Cost(), replica=Cost(), executor=Cost(),
    python=Cost(), driver=Cost(), background={}, pause=Pause(), slot_wait=Pause(), convert_s_per_byte={},
)  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "load", "machine", "kind"),
    [
        (replace(FREE, producer={"kafka-python": Cost(record=1e-3)}), {}, {}, "producers"),
        (replace(FREE, broker=Cost(record=5e-4)), {}, {}, "processor"),
        (replace(FREE, replica=Cost(byte=5e-7)), {"replication": 2}, {}, "processor"),
        (FREE, {}, {"link_bytes_per_s": 1e6, "workers": 1}, "link into"),
        (FREE, {"images_per_record": 10, "replication": 2}, {"link_bytes_per_s": 1e6}, "link out of"),
        (replace(FREE, pause=Pause(0.5)), {}, {}, "slots"),
        (FREE, {"partitions": 1}, {}, "slots"),
        (replace(FREE, driver=Cost(call=1e-2)), {"images_per_call": 1}, {}, "driver"),
        (FREE, {"batch_cap_s": 0.5}, {}, "setting"),
    ],
)  # fmt: skip
def test_each_resource_can_bind(
    parts: Parts, load: dict[str, Any], machine: dict[str, Any], kind: str
) -> None:
    own = replace(LOAD, **load)
    # Cores to spare for what is not under test.
    layout = apart(own, **({"cores": 64.0, "link_bytes_per_s": None} | machine))
    if kind == "processor":
        layout = replace(layout, machines=tuple(replace(m, cores=4.0) for m in layout.machines))
    found = predict(parts, own, layout)
    assert found.binding.kind == kind
    assert found.images_per_s == min(ceiling.images_per_s for ceiling in found.ceilings)


def test_one_machine_is_bound_by_its_processor() -> None:
    found = predict(PARTS, LOAD, one_machine(LOAD))
    assert found.binding.resource == "processor of host"
    assert sum(found.cores["host"].values()) == pytest.approx(2.0, rel=1e-6)
    assert max(found.cores["host"], key=found.cores["host"].__getitem__) == "python_worker"
    assert found.distance is not None
    assert found.distance > 0


def test_twice_the_cores_carry_less_than_twice() -> None:
    one, two = (predict(PARTS, LOAD, one_machine(LOAD, cores)).images_per_s for cores in (2, 4))
    # The slots stay two.
    assert one < two < 2 * one


def test_a_correction_scales_capacities_and_no_setting() -> None:
    full = predict(PARTS, LOAD, one_machine(LOAD))
    less = predict(PARTS, LOAD, one_machine(LOAD), 0.9)
    assert less.images_per_s == pytest.approx(0.9 * full.images_per_s)
    settings = [
        [c.images_per_s for c in own.ceilings if c.kind == "setting"] for own in (full, less)
    ]
    assert settings[0] == settings[1]


def test_paced_load_gets_what_is_offered_as_far_as_it_is_carried() -> None:
    slow = replace(LOAD, mode="paced", target_rate=1000.0)
    found = predict(PARTS, slow, one_machine(slow))
    assert (found.images_per_s, found.binding.kind) == (1000.0, "load")
    fast = replace(LOAD, mode="paced", target_rate=1e6)
    assert predict(PARTS, fast, one_machine(fast)).binding.kind != "load"


def test_a_shorter_trigger_costs_rate() -> None:
    short, long = (
        predict(PARTS, own, one_machine(own)).images_per_s
        for own in (replace(LOAD, trigger_s=0.25), replace(LOAD, trigger_s=2.0))
    )
    assert short < long


def test_slots_that_wait_make_micro_batches_longer_and_their_own_ceiling_no_lower() -> None:
    load = replace(LOAD, partitions=32, trigger_s=0.25)
    waiting = predict(PARTS, load, one_machine(load))
    never = predict(replace(PARTS, slot_wait=Pause()), load, one_machine(load))
    assert waiting.interval_s > never.interval_s
    # What a micro-batch costs anyway is paid more seldom.
    assert waiting.images_per_s > never.images_per_s
    slots = [
        own.images_per_s
        for found in (waiting, never)
        for own in found.ceilings
        if own.kind == "slots"
    ]
    assert slots[0] == slots[1]


def test_links_carry_what_the_placement_says() -> None:
    load = replace(LOAD, images_per_record=10, replication=2)
    layout = apart(load)
    per_image = link_bytes_per_image(load, layout, PARTS.wire, 1e4)
    batch = load.records_per_batch(1e4)
    image = (7840 + 26 + 61 / batch) / 10 / FRAME_SHARE
    row = (200 / 100 + 16 / 10) / FRAME_SHARE
    # Half of what producers send goes to the other broker, half is led here, replicas cross once.
    assert per_image[0] == pytest.approx((0.25 * image + 0.5 * image, 0.25 * image + image))
    assert per_image[2] == pytest.approx((0.5 * image, 0.5 * row))
    assert per_image[4] == pytest.approx((row, 0))
    assert link_bytes_per_image(LOAD, one_machine(LOAD), PARTS.wire, 1e4) == [(0.0, 0.0)]


def test_rates_count_tasks_calls_and_record_batches() -> None:
    found = rates(LOAD, 8000, 1.0)
    assert (found["record"], found["task"], found["batch"]) == (8000, 8, 1)
    assert found["byte"] == 8000 * 784
    # 1,000 images a task: ten calls, or eleven where they do not divide.
    assert found["call"] == pytest.approx(8 * 10.495)
    assert rates(LOAD, 3, 1.0)["task"] == 3
    full = replace(LOAD, producer_batch_bytes=1000)
    assert rates(full, 8000, 1.0)["record_batch"] == 8000


def test_settings_and_limits_are_those_of_the_consumer() -> None:
    load = load_of(Settings().model_dump() | {"brokers": 2, "workers": 2}, 784)
    assert load == replace(LOAD, partitions=4)
    assert load_of(Settings(engine="emulated").model_dump(), 784).sleep_call_s == 0.005
    expected = expected_images_per_s(40_000, 4, 8)
    assert cap_images(replace(LOAD, partitions=4), 40_000, 8) == 3 * expected


def test_a_backlog_fills_micro_batches_where_producers_have_their_own_cores() -> None:
    system = System(PARTS, LOAD, apart(LOAD))
    assert system.interval(10_000) * 10_000 == pytest.approx(system.cap)
    assert System(PARTS, LOAD, one_machine(LOAD)).interval(1000) == 1.0


def test_producers_that_need_little_write_more_than_is_processed() -> None:
    slow = replace(PARTS, engines={"chainer mlp": Engine(400e-6, 1e-3)})
    greedy = replace(slow, surplus_share=0.2)
    system = System(greedy, LOAD, one_machine(LOAD))
    each = PARTS.producer["kafka-python"]
    bytes_s = 784 * each.byte + each.record + each.image + each.record_batch / 161
    assert system.written(1000) == pytest.approx(0.4 / bytes_s, rel=0.01)
    assert system.written(50_000) == 50_000
    # Micro-batches are full, and what is written for nothing is missing.
    found, less = (predict(parts, LOAD, one_machine(LOAD)) for parts in (slow, greedy))
    assert less.images_per_s < found.images_per_s
    assert less.interval_s * less.images_per_s == pytest.approx(system.cap)
    paced = replace(LOAD, mode="paced", target_rate=100.0)
    assert System(greedy, paced, one_machine(paced)).written(100) == 100


def test_producers_on_a_schedule_cost_something_each() -> None:
    load = replace(LOAD, mode="paced", target_rate=100.0)
    waking = replace(PARTS, producer={"kafka-python, paced": Cost(idle=0.2)})
    found = predict(waking, load, one_machine(load))
    assert found.cores["host"]["producer"] == pytest.approx(4 * 0.2)


def test_record_batches_are_full_unless_a_schedule_keeps_them_small() -> None:
    assert LOAD.records_per_batch(10) == 131_072 // (784 + 26)
    paced = replace(LOAD, mode="paced", linger_s=0.02)
    assert paced.records_per_batch(3200) == 2
    assert paced.records_per_batch(10) == 1


def test_hosts_of_one_machine_id_are_one_machine() -> None:
    hosts = {"b": {"machine_id": "x"}, "a": {"machine_id": "x"}, "c": {}, "d": None}
    assert machine_groups(hosts) == {"a and 1 more host": ["a", "b"], "c": ["c"], "d": ["d"]}
    assert Machine("m", 2).link_bytes_per_s is None


def test_a_rate_is_searched_between_nothing_and_everything() -> None:
    assert most_rate(lambda x: x <= 1234.5) == pytest.approx(1234.5)
    assert most_rate(lambda x: True) == 1e9
    assert most_rate(lambda x: False) == 0
