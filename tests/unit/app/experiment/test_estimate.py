"""How long runs take: by an earlier run, or roughly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lifelog.experiment.estimate import duration_estimate_s, earlier_run
from lifelog.experiment.settings import Settings


def run(directory: Path, name: str, at_s: int, **changed: Any) -> None:
    content = {"point": "p", "valid": True, "settings": {"partitions": 4, "target_rate": 7.0}}
    (directory / name).mkdir(parents=True)
    file = directory / name / "run.json"
    file.write_text(json.dumps({**content, "run": name, **changed}))
    os.utime(file, (at_s, at_s))


def test_stages_of_an_earlier_run_say_it_best() -> None:
    earlier = {"stages_s": {"start": 10.0, "measure": 40.0, "drain": 5.0, "odd": None}}
    assert duration_estimate_s(Settings(duration_s=500), earlier) == 75.0
    # A run that was cut off before it measured says nothing.
    assert duration_estimate_s(Settings(), {"stages_s": {"start": 10.0}}) > 90.0


def test_a_number_of_images_takes_as_long_as_the_rate_says() -> None:
    sized = Settings(mode="fixed_size", producers=10, images_per_producer=10_000)
    at = {
        rate: duration_estimate_s(sized, {"throughput_images_per_s": rate}) for rate in (1e3, 1e4)
    }
    assert at[1e3] - at[1e4] == 90.0
    assert duration_estimate_s(sized) == at[1e4]


def test_a_saturated_run_drains_and_a_paced_one_does_not() -> None:
    saturated = duration_estimate_s(Settings(duration_s=100))
    assert saturated - duration_estimate_s(Settings(duration_s=100, mode="paced")) == 15.0
    assert saturated - duration_estimate_s(Settings(duration_s=100, drain_timeout_s=5)) == 10.0


def test_the_newest_valid_run_of_the_same_settings_is_taken(tmp_path: Path) -> None:
    settings = {"partitions": 4, "target_rate": {"share": 0.5, "of": "s"}}
    assert earlier_run(tmp_path, "p", settings) is None
    run(tmp_path, "p-r01-a01", 100)
    run(tmp_path, "p-r02-a01", 300)
    run(tmp_path, "p-r01-a02", 200)
    run(tmp_path, "p-r03-a01", 400, valid=False)
    run(tmp_path, "p-r04-a01", 500, settings={"partitions": 5})
    run(tmp_path, "p-r05-a01", 600, point="p-r05")
    run(tmp_path, "p-r06-a01", 700)
    (tmp_path / "p-r06-a01/run.json").write_text("{")
    found = earlier_run(tmp_path, "p", settings)
    assert found is not None
    assert found["run"] == "p-r02-a01"
