"""Known costs are found again from noisy runs, and runs that were not fitted are predicted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic_capacity import LOAD, PARTS, POINTS, observed, one_machine

from lifelog.capacity.calibration import LEAST_RUNS, calibrate, predict_run
from lifelog.capacity.ceilings import predict
from lifelog.capacity.fit import fit_parts, non_negative, speed_of


def test_exact_runs_give_the_costs_back() -> None:
    seen = observed(np.random.default_rng(1), noise=0.0, speeds=0.0)
    parts = fit_parts(seen).parts
    assert parts.engines["chainer mlp"].image_s == pytest.approx(40e-6, rel=1e-3)
    assert parts.engines["chainer mlp"].call_s == pytest.approx(1e-3, rel=1e-3)
    assert parts.convert_s_per_byte["text"] == pytest.approx(8e-9, rel=1e-3)
    assert parts.pause.batch_s == pytest.approx(0.1, rel=1e-3)
    assert parts.slot_wait.task_s == pytest.approx(0.01, rel=0.02)
    assert parts.driver.call == pytest.approx(100e-6, rel=0.01)
    for own in seen:
        again = predict(parts, own.load, own.layout)
        truth = predict(PARTS, own.load, own.layout)
        assert again.images_per_s == pytest.approx(truth.images_per_s, rel=0.02), own.load


def test_noisy_runs_of_a_machine_of_changing_speed_predict_others() -> None:
    random = np.random.default_rng(7)
    found = calibrate(observed(random))
    assert found.way == "engine"
    held_out = [
        {"images_per_record": 5}, {"partitions": 16}, {"images_per_call": 300},
        {"encoding": "float32", "image_bytes": 3136, "images_per_record": 4},
        {"client": "confluent-kafka", "images_per_record": 4}, {"replication": 2, "partitions": 16},
        {"encoding": "text", "image_bytes": 3136}, {"trigger_s": 2.0}, {"images_per_record": 15},
        {"producer_batch_bytes": 4500},
    ]  # fmt: skip
    errors = [
        own.images_per_s / predict_run(found.parts, own, found.correction, found.way).images_per_s
        - 1
        for own in observed(random, held_out)
    ]
    assert sum(abs(error) <= 0.15 for error in errors) >= 8, errors


def test_the_interval_holds_what_it_says() -> None:
    inside = total = 0
    more = [{"images_per_record": n} for n in (3, 5, 15)] + [{"partitions": n} for n in (4, 12, 16)]
    for seed in range(4):
        random = np.random.default_rng(100 + seed)
        found = calibrate(observed(random, noise=0.05))
        for own in observed(random, more, noise=0.05):
            expected = predict_run(found.parts, own, found.correction, found.way).images_per_s
            interval = found.interval(expected)
            inside += interval.low <= own.images_per_s <= interval.high
            total += 1
    assert inside / total > 0.8


def test_the_bare_engine_tells_a_runs_speed() -> None:
    seen = observed(np.random.default_rng(1), noise=0.0, speeds=0.0)
    engines = fit_parts(seen).parts.engines
    fast = replace(seen[0], bare_images_per_s=2 * seen[0].bare_images_per_s)
    assert speed_of(fast, engines, None, "engine") == pytest.approx(2, rel=0.01)
    assert (
        speed_of(replace(fast, load=replace(LOAD, engine="other")), engines, None, "engine") is None
    )
    expected = predict_run(PARTS, seen[0], 1.0, "engine").images_per_s
    # More than twice: what each micro-batch costs anyway is halved as well.
    assert 2 <= predict_run(PARTS, fast, 1.0, "engine").images_per_s / expected < 2.4


def test_a_bare_engine_that_tells_nothing_is_left_out() -> None:
    random = np.random.default_rng(7)
    seen = [
        replace(
            own, bare_images_per_s=own.bare_images_per_s * math.exp(0.3 * random.standard_normal())
        )
        for own in observed(random, speeds=0.0)
    ]
    assert calibrate(seen).way == "none"


def test_the_samplers_work_tells_a_runs_speed_where_the_bare_engine_does_not() -> None:
    random = np.random.default_rng(7)
    seen = [
        replace(
            own,
            reference_s=20 * own.layout.slots / own.bare_images_per_s,
            bare_images_per_s=own.bare_images_per_s * math.exp(0.3 * random.standard_normal()),
        )
        for own in observed(random, [own for own in POINTS if own.get("images_per_call") is None])
    ]
    found = calibrate(seen)
    assert found.way == "reference"
    assert found.parts.reference_s == pytest.approx(1e-3, rel=0.2)
    fast = replace(seen[0], reference_s=found.parts.reference_s / 2)
    assert speed_of(fast, {}, found.parts.reference_s, "reference") == 2
    assert calibrate([replace(own, reference_s=None) for own in seen]).way != "reference"


def test_what_others_used_is_not_there() -> None:
    (own,) = observed(np.random.default_rng(1), [{}], noise=0.0, speeds=0.0)
    less = predict_run(PARTS, replace(own, foreign_cores=1.0)).images_per_s
    alone = predict(PARTS, LOAD, one_machine(LOAD, cores=1.0)).images_per_s
    assert less == pytest.approx(alone)


def test_an_engine_that_was_not_calibrated_is_taken_as_the_run_timed_it() -> None:
    (own,) = observed(np.random.default_rng(1), [{}], noise=0.0, speeds=0.0)
    other = replace(own, load=replace(LOAD, engine="onnxruntime mlp"))
    assert predict_run(PARTS, other).images_per_s == pytest.approx(
        predict_run(PARTS, own).images_per_s, rel=0.02
    )


def test_too_few_runs_are_refused() -> None:
    seen = observed(np.random.default_rng(1), POINTS[:3])
    with pytest.raises(ValueError, match=f"3 valid runs .* needs {LEAST_RUNS}"):
        calibrate(seen)
    with pytest.raises(ValueError, match="0 valid runs"):
        calibrate([replace(own, component_cores=None) for own in seen])


def test_extrapolation_is_named() -> None:
    found = calibrate(observed(np.random.default_rng(1)))
    assert found.extrapolated(LOAD) == []
    far = replace(
        LOAD, partitions=64, client="confluent-kafka", engine="onnxruntime cnn", compression="gzip"
    )
    assert found.extrapolated(far) == [
        "partitions 64 (calibrated: 2 to 32)",
        "engine onnxruntime cnn (calibrated: chainer mlp)",
        "compression gzip (calibrated: none)",
    ]
    wide = replace(one_machine(LOAD), workers=(0,) * 4)
    assert found.extrapolated(LOAD, wide) == ["workers 4 (calibrated: 2)"]


def test_least_squares_are_relative_and_never_negative() -> None:
    costs, left = non_negative([[1, 0], [1, 1000]], [2.0, 1.0])
    assert (costs >= 0).all()
    assert left > 0.2
    costs, left = non_negative([[1e9, 1], [2e9, 5]], [2.0, 5.0])
    assert costs * [1e9, 1] == pytest.approx([5 / 3, 1 / 3])
    assert math.isclose(left, 0, abs_tol=1e-9)
