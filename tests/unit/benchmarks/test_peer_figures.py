"""Figures of one run of a peer, from rows and samples made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from comparison.judge import judge
from comparison.rows import JUDGED, ROW_DTYPE, count_rows, open_rows, read_rows
from comparison.window import counts_over_time, grown, latencies_ms, measured_window
from lifelog.bundle import DatasetBundle, ModelBundle
from lifelog.record import start_index

SECOND = 1_000_000_000
COUNT = 50


def rows_of(sequences: Any, producer: int = 1) -> NDArray[Any]:
    rows = np.zeros(len(sequences), ROW_DTYPE)
    rows["sequence"], rows["producer"] = sequences, producer
    return rows


def bundles(margin: float = 1.0) -> tuple[DatasetBundle, ModelBundle]:
    labels = np.arange(COUNT) % 10
    offline = labels.copy()
    offline[7] = 3  # the model gets image 7 wrong
    dataset = DatasetBundle("made", "0", np.zeros((COUNT, 2, 2, 1), np.uint8), labels)
    model = ModelBundle(
        "mlp", "0", {}, (2, 2, 1), 10, offline, np.full(COUNT, margin, np.float32),
        0.98, b"", (), None,
    )  # fmt: skip
    return dataset, model


def right_rows(images: int) -> NDArray[Any]:
    rows = rows_of(np.arange(images))
    index = (start_index(1, COUNT) + np.arange(images)) % COUNT
    rows["predicted"] = bundles()[1].predictions[index]
    return rows


def test_rate_counts_what_was_completed_after_the_warm_up() -> None:
    # 100 images slowly, then 1,000 at 1,000/s in calls of 100.
    slow = np.linspace(0, 100 * SECOND, 100).astype(np.int64)
    fast = 100 * SECOND + np.repeat(np.arange(1, 11), 100) * SECOND // 10
    window = measured_window(np.concatenate([slow, fast]), warm_share=0.3)
    # 30 % is image 330, of the third call: the window begins with that call's end.
    assert window.images == 700
    assert window.images_per_s == pytest.approx(1000)


@pytest.mark.parametrize("ends", [[], [5], [5, 5, 5]])
def test_no_rate_without_time(ends: list[int]) -> None:
    with pytest.raises(ValueError, match=r"no rate|at once"):
        measured_window(np.array(ends, np.int64))


def test_cpu_time_of_a_window_is_linear_between_samples() -> None:
    window = measured_window(np.array([2, 4, 6, 8]) * SECOND, warm_share=0.0)
    assert grown([0, 4 * SECOND, 8 * SECOND], [0.0, 4.0, 12.0], window) == pytest.approx(10.0)
    with pytest.raises(ValueError, match="do not reach"):
        grown([3 * SECOND, 9 * SECOND], [0.0, 1.0], window)


def test_counts_over_time_keep_every_image() -> None:
    ends = np.array([10, 10, 11, 13], np.int64) * SECOND
    assert counts_over_time(ends, step_s=1.0) == [2, 1, 0, 1]
    assert counts_over_time(ends[:0]) == []


def test_latency_counts_from_the_schedule_and_leaves_the_first_third_out() -> None:
    rows = rows_of([0, 1, 2, 3, 4, 5])
    due = 7 * SECOND + np.arange(6) * SECOND // 10
    rows["end_ns"] = due + np.array([9, 9, 1, 2, 3, 4]) * SECOND // 10
    late = latencies_ms(rows, 7 * SECOND, images_per_s=10, images=6)
    assert late == pytest.approx([100, 200, 300, 400])


def test_right_predictions_have_the_offline_accuracy() -> None:
    dataset, model = bundles()
    verdict = judge(right_rows(2 * COUNT), dataset, model)
    assert verdict.accuracy == verdict.offline_accuracy == pytest.approx(0.98)
    assert verdict.fault is None


def test_a_wrong_prediction_is_a_fault_and_a_near_tie_none() -> None:
    rows = right_rows(COUNT)
    rows["predicted"][4] += 1
    wrong = judge(rows, *bundles())
    assert (wrong.wrong, wrong.near_ties) == (1, 0)
    assert wrong.fault == "1 predictions are wrong"
    near = judge(rows, *bundles(margin=1e-5))
    assert (near.wrong, near.near_ties, near.fault) == (0, 1, None)


def test_an_image_that_came_twice_is_a_fault() -> None:
    rows = right_rows(COUNT)
    rows["sequence"][1] = 0
    rows["predicted"][1] = rows["predicted"][0]
    assert judge(rows, *bundles()).fault == "1 images came more than once"


def test_a_peer_may_judge_itself_but_must_then_say_what_it_found() -> None:
    rows = rows_of(np.arange(COUNT))
    rows["predicted"] = JUDGED
    counts = {"correct": 49, "near_ties": 0, "wrong": 0}
    assert judge(rows, *bundles(), judged=counts).accuracy == pytest.approx(0.98)
    with pytest.raises(ValueError, match="no predictions"):
        judge(rows, *bundles())


def test_rows_of_all_processes_come_by_time_and_half_a_row_is_left_out(tmp_path: Path) -> None:
    late, early = rows_of([0]), rows_of([1])
    late["end_ns"], early["end_ns"] = 9, 3
    file = open_rows(str(tmp_path))
    with open(file, "wb") as own:
        own.write(late.tobytes())
    (tmp_path / "rows-0.bin").write_bytes(early.tobytes() + b"half")
    assert count_rows(tmp_path) == 2
    assert read_rows(tmp_path)["sequence"].tolist() == [1, 0]
    assert not len(read_rows(tmp_path / "nowhere"))
