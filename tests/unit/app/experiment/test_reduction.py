"""Experiments on inventories that are smaller than the one they are meant for."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_experiment import cluster

from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment
from lifelog.experiment.load import load_experiment

HEAD = "title: T\nquestion: Q\nshort: true\n"
FULL = "full: {brokers: 4, workers: 4}\n"
GRID = "factors: {brokers: [1, 2, 4], workers: [1, 2, 4]}\n"


def fitted(
    directory: Path, text: str, brokers: int, workers: int, overrides: str = ""
) -> Experiment:
    path = directory / "e.yml"
    path.write_text(HEAD + text)
    return load_experiment(path, overrides, cluster(brokers, (1,) * workers))


def levels(experiment: Experiment, key: str) -> list[int]:
    return sorted({getattr(point.settings, key) for point in experiment.points})


@pytest.mark.parametrize(
    ("brokers", "workers", "left"),
    [
        (4, 4, ([1, 2, 4], [1, 2, 4])),
        (9, 9, ([1, 2, 4], [1, 2, 4])),
        (2, 2, ([1, 2], [1, 2])),
        (3, 4, ([1, 2, 3], [1, 2, 4])),
        (5, 2, ([1, 2, 4], [1, 2])),
    ],
)
def test_levels_become_what_the_inventory_has(
    tmp_path: Path, brokers: int, workers: int, left: tuple[list[int], list[int]]
) -> None:
    experiment = fitted(tmp_path, FULL + GRID, brokers, workers)
    assert (levels(experiment, "brokers"), levels(experiment, "workers")) == left
    assert len(experiment.points) == len(left[0]) * len(left[1])


def test_two_levels_remain_where_none_fits(tmp_path: Path) -> None:
    text = "full: {workers: 16}\nfactors: {workers: [8, 16]}\n"
    assert levels(fitted(tmp_path, text, 1, 6), "workers") == [3, 6]
    assert levels(fitted(tmp_path, text, 1, 2), "workers") == [1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            FULL + GRID,
            "brokers: two levels at least need 2 brokers, and the inventory has 1: add a",
        ),
        (FULL + "factors: {replication: [1, 2]}\n", "replication: two levels at least need 2 brok"),
        (FULL + "factors: {workers: [1, 4]}\n", "has 1: add a host to spark_workers, or fix it"),
    ],
)
def test_fewer_than_two_levels_say_how_many_hosts_are_needed(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        fitted(tmp_path, text, 1, 1)


def test_a_factor_that_is_set_is_meant_as_set(tmp_path: Path) -> None:
    experiment = fitted(tmp_path, FULL + GRID, 1, 2, "brokers=1")
    assert (levels(experiment, "brokers"), levels(experiment, "workers")) == ([1], [1, 2])
    assert "brokers" not in experiment.title


def test_a_single_level_may_shrink(tmp_path: Path) -> None:
    experiment = fitted(tmp_path, FULL + "factors: {brokers: [4], acks: [1, all]}\n", 1, 1)
    assert levels(experiment, "brokers") == [1]


def test_settings_shrink_and_everything_smaller_is_in_the_title(tmp_path: Path) -> None:
    text = (
        FULL + "factors: {replication: [1, 2, 3], encoding: [uint8, float32, text]}\n"
        "settings: {mode: fixed_size, brokers: 4, workers: 2, images_per_producer: 100000}\n"
        "reduced: {images_per_producer: 20000, encoding: [uint8, text], duration_s: 5}\n"
    )
    whole = fitted(tmp_path, text, 4, 4)
    assert (whole.title, whole.reduced) == ("T", ())
    assert len(whole.points) == 9
    small = fitted(tmp_path, text, 2, 2)
    assert levels(small, "brokers") == [2]
    assert levels(small, "replication") == [1, 2]
    assert levels(small, "images_per_producer") == [20_000]
    assert len(small.points) == 4
    # duration_s means nothing to a fixed number of images, and 2 workers are 2 workers.
    assert small.title == (
        "T (reduced: replication 1, 2 of 1, 2, 3; encoding uint8, text of uint8, float32, text; "
        "2 instead of 4 brokers; 20,000 instead of 100,000 images a producer)"
    )
    own = fitted(tmp_path, text, 2, 2, "images_per_producer=7,encoding=uint8")
    assert levels(own, "images_per_producer") == [7]
    assert "images a producer" not in own.title


def test_replication_fits_the_brokers_that_are_used(tmp_path: Path) -> None:
    text = FULL + "settings: {brokers: 2}\nfactors: {replication: [1, 3]}\n"
    assert levels(fitted(tmp_path, text, 3, 3), "replication") == [1, 2]


def test_without_full_nothing_is_reduced(tmp_path: Path) -> None:
    experiment = fitted(tmp_path, GRID, 2, 2)
    assert levels(experiment, "brokers") == [1, 2, 4]
    assert not experiment.reduced


def test_listed_points_take_reduced_settings(tmp_path: Path) -> None:
    text = FULL + "settings: {brokers: 4}\nreduced: {producers: 2}\npoints:\n  - name: p\n"
    (point,) = fitted(tmp_path, text, 2, 4).points
    assert (point.settings.brokers, point.settings.producers) == (2, 2)


def test_wrong_levels_are_said_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"e\.yml:5: workers: .*'x'"):
        fitted(tmp_path, FULL + "factors: {workers: [1, x]}\n", 1, 1)
    with pytest.raises(UserError, match=r"e\.yml:5: workerz: .*did you mean workers"):
        fitted(tmp_path, FULL + "settings: {workerz: 9}\npoints:\n  - name: p\n", 1, 1)
