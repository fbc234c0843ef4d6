"""Claims judged on made-up results whose answer is known."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifelog.results.claims import judge_claims
from lifelog.results.summary import read_claims


def runs(point: str, mean: float, n: int = 5, spread: float = 0.01, **more: Any) -> list[Any]:
    """Valid runs of a point, evenly spread around a mean."""
    rates = mean * (1 + spread * np.linspace(-1, 1, n))
    made = {"point": point, "valid": True, "labels": [], **more}
    return [{**made, "throughput_images_per_s": float(rate)} for rate in rates]


def claim(*bounds: tuple[str, str, float | None, float | None]) -> dict[str, Any]:
    return {
        "id": "Q",
        "text": "t",
        "comparisons": [
            {"what": f"{of} over {over}", "of": of, "over": over, "at_least": low, "at_most": high}
            for of, over, low, high in bounds
        ],
    }


def judged(made: dict[str, Any], *results: list[Any]) -> dict[str, Any]:
    (found,) = judge_claims([made], [run for own in results for run in own])
    assert json.loads(json.dumps(found)) == found
    return found


@pytest.mark.parametrize(
    ("low", "high", "ratio", "spread", "verdict", "words"),
    [
        (None, 1.15, 1.05, 0.01, "reproduced", "lies below 1.15"),
        (None, 1.15, 1.30, 0.01, "not reproduced", "lies above 1.15"),
        (None, 1.15, 1.14, 0.05, "undecided", "covers 1.15"),
        (1.0, None, 1.30, 0.01, "reproduced", "lies above 1"),
        (1.0, None, 0.80, 0.01, "not reproduced", "lies below 1"),
        (1.0, None, 1.00, 0.01, "undecided", "covers 1"),
        (0.9, 1.1, 1.02, 0.01, "reproduced", "lies above 0.9 and below 1.1"),
        (0.9, 1.1, 1.30, 0.01, "not reproduced", "lies above 1.1"),
        (0.9, 1.1, 0.70, 0.01, "not reproduced", "lies below 0.9"),
        (0.9, 1.1, 1.02, 0.20, "undecided", "covers 0.9 and 1.1"),
        (1.0, None, 1.00, 0.00, "undecided", "covers 1"),
    ],
)
def test_the_interval_of_the_ratio_decides(
    low: float | None, high: float | None, ratio: float, spread: float, verdict: str, words: str
) -> None:
    found = judged(
        claim(("a", "b", low, high)),
        runs("a", 1000 * ratio, spread=spread),
        runs("b", 1000, spread=spread),
    )
    assert found["verdict"] == verdict
    assert words in found["why"]
    assert "a over b: ratio" in found["why"]
    (one,) = found["comparisons"]
    assert one["ratio"] == pytest.approx(ratio, rel=1e-3)
    assert one["n"] == [5, 5]
    assert one["ci95"][0] <= one["ratio"] <= one["ci95"][1]
    assert one["holds"] == {"reproduced": True, "not reproduced": False}.get(verdict)


def test_all_comparisons_must_hold_and_one_refutes() -> None:
    rising = claim(("b", "a", 1, None), ("c", "b", 1, None))
    a, b = runs("a", 100), runs("b", 120)
    assert judged(rising, a, b, runs("c", 150))["verdict"] == "reproduced"
    unclear = judged(rising, a, b, runs("c", 121, spread=0.05))
    assert (unclear["verdict"], unclear["why"][:9]) == ("undecided", "c over b:")
    refuted = judged(rising, a, b, runs("c", 90))
    assert (refuted["verdict"], refuted["why"][:9]) == ("not reproduced", "c over b:")
    assert "(1 of 2 comparisons)" in refuted["why"]
    # What is refuted stays so, whatever else is missing.
    assert judged(rising, a, runs("b", 80))["verdict"] == "not reproduced"
    closest = judged(rising, a, b, runs("c", 1500))["why"]
    assert closest.startswith("b over a:")


@pytest.mark.parametrize("side", ["a", "b"])
def test_fewer_than_five_valid_runs_decide_nothing(side: str) -> None:
    results = {"a": runs("a", 200), "b": runs("b", 100)}
    results[side][0]["valid"] = False
    found = judged(claim(("a", "b", 1, None)), *results.values())
    assert found["verdict"] == "undecided"
    assert f"4 valid runs of {side}, 5 are needed" in found["why"]
    (one,) = found["comparisons"]
    assert sum(one["n"]) == 9
    assert one["ratio"] == pytest.approx(2, rel=0.01)
    assert one["ci95"][0] > 1
    assert one["holds"] is None


def test_a_point_without_runs_decides_nothing() -> None:
    found = judged(claim(("a", "b", 1, None)), runs("a", 200))
    assert found["verdict"] == "undecided"
    assert "0 valid runs of b" in found["why"]
    assert found["comparisons"][0]["ratio"] is None
    single = judged(claim(("a", "b", 1, None)), runs("a", 200, 1), runs("b", 100, 1))
    assert single["comparisons"][0]["ci95"] is None
    empty = judged(claim())
    assert (empty["verdict"], empty["comparisons"]) == ("undecided", [])


def test_a_run_without_a_rate_does_not_count() -> None:
    results = [*runs("a", 200), *runs("b", 100)]
    results[0]["throughput_images_per_s"] = None
    assert judged(claim(("a", "b", 1, None)), results)["comparisons"][0]["n"] == [4, 5]


def test_short_runs_support_no_claim_and_other_labels_are_shown() -> None:
    made = claim(("a", "b", 1, None))
    short = judged(made, runs("a", 200, labels=["short"]), runs("b", 100, labels=["short"]))
    assert short["verdict"] == "undecided"
    assert "short runs support no claim" in short["why"]
    assert short["comparisons"][0]["ci95"] is None
    half = judged(made, runs("a", 200, labels=["emulated", "short"]), runs("b", 100))
    assert (half["verdict"], half["labels"]) == ("undecided", ["emulated", "short"])
    emulated = judged(made, runs("a", 200, labels=["emulated", "reduced"]), runs("b", 100))
    assert (emulated["verdict"], emulated["labels"]) == ("reproduced", ["emulated", "reduced"])


RECORD = {
    "versions": {"pyspark": "4"},
    "hashes": {"dataset": "d", "model": "m", "code": "c"},
    "hosts": {"w1": {"cpu_model": "A", "cores": 8, "memory_mb": 8000}},
}
SETTINGS = {"workers": 2, "brokers": 2, "acks": "all", "dataset": "mnist"}


def compared(
    settings: dict[str, Any], record: dict[str, Any], differ: list[str] | None
) -> dict[str, Any]:
    """A verdict on twice the rate, from runs that differ in these settings and records."""
    made = claim(("a", "b", 1, None))
    factors = {"workers": 2, "brokers": 2}
    if differ is not None:
        made["comparisons"][0]["differ"] = differ
    return judged(
        made,
        runs("a", 200, settings=SETTINGS | settings, factors=factors, provenance=RECORD | record),
        runs("b", 100, settings=SETTINGS, factors=factors, provenance=RECORD),
    )


DATA = {"hashes": {"dataset": "e", "model": "n", "code": "c"}}
HOST = {"w1": {"cpu_model": "A", "cores": 4, "memory_mb": 8000}}


@pytest.mark.parametrize(
    ("settings", "record", "differ", "others"),
    [
        ({"workers": 4}, {}, ["workers"], ""),
        ({"workers": 4}, {}, None, ""),
        ({"workers": 4, "brokers": 4}, {}, ["workers"], "brokers"),
        ({"workers": 4, "brokers": 4}, {}, ["brokers", "workers"], ""),
        ({"workers": 4, "acks": "1"}, {}, ["workers"], "acks"),
        ({"workers": 4, "acks": "1"}, {}, None, "acks"),
        ({"workers": 4, "linger_ms": 5}, {}, ["workers"], "linger_ms"),
        ({"workers": 4}, {"versions": {"pyspark": "3"}}, ["workers"], "version of pyspark"),
        ({"workers": 4}, DATA, ["workers"], "hash of the dataset, hash of the model"),
        ({"dataset": "other"}, DATA, ["dataset"], ""),
        ({"model": "cnn"}, DATA, ["model"], "hash of the dataset"),
        ({"workers": 4}, {"hosts": HOST}, ["workers"], "cores of w1"),
        ({"workers": 4}, {"hosts": {}, "versions": {}, "hashes": {}}, ["workers"], ""),
    ],
)
def test_points_that_differ_in_more_than_the_claim_says_decide_nothing(
    settings: dict[str, Any], record: dict[str, Any], differ: list[str] | None, others: str
) -> None:
    found = compared(settings, record, differ)
    assert found["comparisons"][0]["ratio"] == pytest.approx(2)
    if others:
        assert (found["verdict"], found["comparisons"][0]["holds"]) == ("undecided", None)
        assert f"their runs differ in more: {others}; run both points again" in found["why"]
    else:
        assert found["verdict"] == "reproduced"


def test_claims_are_read_from_the_newest_run(tmp_path: Path) -> None:
    assert read_claims(tmp_path) == []
    for second, (name, text) in enumerate(
        [
            ("one", json.dumps({"claims": [{"id": "old"}]})),
            ("two", json.dumps({"claims": [{"id": "new"}]})),
            ("three", "{"),
        ]
    ):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "spec.json"
        file.write_text(text)
        os.utime(file, (second, second))
    assert read_claims(tmp_path) == [{"id": "new"}]
    (tmp_path / "four").mkdir()
    (tmp_path / "four/spec.json").write_text('{"format": 1}')
    assert read_claims(tmp_path) == []
