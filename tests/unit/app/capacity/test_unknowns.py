"""The closed forms are the ceilings of the capacity model, and claims narrow what is drawn."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lifelog.capacity.ceilings import predict
from lifelog.capacity.load import Load
from lifelog.capacity.parts import Cost, Engine, Parts, Pause, Wire
from lifelog.capacity.sizing import Nodes, cluster
from lifelog.capacity.unknowns import (
    CHOICES,
    CORES,
    DEFAULT_BATCH_BYTES,
    KINDS,
    LINK_BYTES_PER_S,
    PRODUCERS,
    TRIGGER_S,
    UNKNOWNS,
    Cell,
    Draws,
    Rates,
    bounds,
    cells,
    draw,
    informed_bits,
    judge,
    rates,
    region,
    typical,
)
from lifelog.consumer.batches import EXPECTED_SHARE
from lifelog.experiment.claims import Claim, Comparison
from lifelog.experiment.load import load_experiment

EXPERIMENTS = Path(__file__).resolve().parents[4] / "experiments"
FIGURES = [load_experiment(EXPERIMENTS / f"{name}.yml") for name in ("fig2", "fig3", "fig4")]
NODES = Nodes(CORES, LINK_BYTES_PER_S, producers_per_broker=0)
# What a broker's processor and its links are called there.
SAME = {"processor": "processor of a broker", "slots": "slots", "driver": "driver",
        "producers": "producers"}  # fmt: skip


def as_parts(draws: Draws, at: int) -> Parts:
    """One cluster's costs as the capacity model has them."""
    v = {name: float(own[at]) for name, own in draws.values.items()}
    cost = {
        part: Cost(
            record_batch=v[f"{part}_batch"], record=v[f"{part}_record"], byte=v[f"{part}_byte"]
        )
        for part in ("producer", "broker")
    }
    return Parts(
        producer={"kafka-python": cost["producer"]},
        broker=cost["broker"],
        replica=cost["broker"].scaled(v["replica"]),
        executor=Cost(),
        python=Cost(task=v["task"], record=v["worker_record"], byte=v["worker_byte"]),
        driver=Cost(),
        engines={"chainer mlp": Engine(v["engine"], 0.0)},
        engine_factor=1.0,
        convert_s_per_byte={},
        pause=Pause(v["pause"], 0.0),
        wire=Wire(26, 61),
    )


def as_load(draws: Draws, at: int, cell: Cell) -> Load:
    bundled = draws.chosen["meaning"][at] == 0
    image_bytes = int(draws.values["image_bytes"][at])
    partitions = cell.partitions or (16, 32)[draws.chosen["fig4_partitions"][at]]
    batch = cell.kafka_batch
    own = DEFAULT_BATCH_BYTES if bundled or not batch else (image_bytes + 26) * batch
    return Load(
        mode="saturation", image_bytes=image_bytes,
        images_per_record=batch if bundled and batch else 1, producer_batch_bytes=own,
        linger_s=0.0, replication=cell.replication, partitions=partitions, producers=PRODUCERS,
        client="kafka-python", acks="all", compression="none", encoding="uint8", reader="connector", images_per_call=100,
        engine="chainer mlp", trigger_s=TRIGGER_S, batch_cap_s=TRIGGER_S / EXPECTED_SHARE,
    )  # fmt: skip


@pytest.mark.parametrize(
    "cell",
    [Cell(1, 1, 16, 1, None), Cell(4, 4, 16, 1, None), Cell(2, 4, 32, 1, None), Cell(4, 4, None, 1, 20),
     Cell(4, 4, None, 3, 5), Cell(4, 4, None, 2, 1)],
)  # fmt: skip
def test_closed_forms_are_the_ceilings_of_the_model(cell: Cell) -> None:
    draws = draw(12, np.random.default_rng(3))
    # The model has bytes whole, and knows no waiting.
    draws.values["image_bytes"][:] = np.floor(draws.values["image_bytes"])
    draws.values["wait"][:] = 0
    found = rates(draws, cell)
    for at in range(len(draws)):
        load = as_load(draws, at, cell)
        layout = cluster(load, NODES, cell.brokers, cell.workers)
        expected = predict(as_parts(draws, at), load, layout)
        assert found.images_per_s[at] == pytest.approx(expected.images_per_s, rel=1e-6)
        kind = KINDS[found.binding[at]]
        assert SAME.get(expected.binding.kind, kind) == kind
        assert kind.startswith("link") == expected.binding.kind.startswith("link")


def test_any_part_may_bind_within_the_ranges() -> None:
    draws = draw(20_000, np.random.default_rng(1))
    seen = {
        KINDS[at]
        for cell in cells(FIGURES[2]).values()
        for at in np.unique(rates(draws, cell).binding)
    }
    assert seen >= set(KINDS) - {"link into a broker", "link into a worker", "driver"}
    for own in UNKNOWNS:
        values = draws.values[own.name] / own.scale
        assert own.low <= values.min() < values.max() <= own.high


def test_more_waits_with_acks_of_all_replicas() -> None:
    draws = draw(1000, np.random.default_rng(1))
    draws.values["wait"][:] = 1.0
    one, three = (rates(draws, Cell(4, 4, 16, copies, 1)).images_per_s for copies in (1, 3))
    everywhere = draws.chosen["acks"] == 1
    assert (three[everywhere] < one[everywhere]).all()
    assert three[~everywhere] == pytest.approx(one[~everywhere])


def test_claims_are_judged_by_ratios() -> None:
    claims = [
        Claim("more", "", (Comparison("", "a", "b", 1.0, None, ()),)),
        Claim("little", "", (Comparison("", "a", "b", None, 1.25, ()),)),
        Claim("less", "", (Comparison("", "a", "b", None, 1.0, ()),)),
    ]
    none = np.zeros(4, np.int64)
    found = {
        "a": Rates(np.array([90.0, 102.0, 110.0, 130.0]), none),
        "b": Rates(np.full(4, 100.0), none),
    }
    held = judge(claims, found, 0.05)
    assert held["more"].tolist() == [False, False, True, True]
    assert held["little"].tolist() == [True, True, True, False]
    assert held["less"].tolist() == [True, False, False, False]
    assert bounds(1 / 1.1, 1.1, 0.05) == (1 / 1.1, 1.1)


def test_a_region_is_what_all_claims_leave() -> None:
    found = region(FIGURES, 60_000, 5, 0.02, chunk=25_000)
    again = region(FIGURES, 60_000, 5, 0.02, chunk=25_000)
    assert len(found.kept) == len(again.kept) > 0
    assert found.kept.values["engine"] == pytest.approx(again.kept.values["engine"])
    ids = [f"Q{n}" for n in range(1, 8)]
    assert list(found.alone) == ids
    for one, other in product(ids, ids):
        if one < other:
            assert len(found.kept) <= found.together[one, other] <= found.alone[one]
    assert all(len(found.kept) <= found.others[name] for name in ids)
    # Every claim holds for what was kept: nothing is left out when it is judged again.
    for experiment in FIGURES:
        of_points = {p.name: found.rates[f"{experiment.name}/{p.name}"] for p in experiment.points}
        assert all(own.all() for own in judge(experiment.claims, of_points, 0.02).values())
    at = typical(found.kept)
    assert 0 <= at < len(found.kept)
    assert all(0 <= own[at] <= 1 for own in found.kept.chosen.values())
    assert set(found.kept.chosen) == set(CHOICES)


def test_bits_tell_how_much_a_range_has_narrowed() -> None:
    own = UNKNOWNS[0]
    values = own.scale * np.geomspace(own.low, own.high, 120_000)
    assert informed_bits(own, values) == pytest.approx(0, abs=1e-3)
    assert informed_bits(own, values[:60_000]) == pytest.approx(1, abs=1e-3)
