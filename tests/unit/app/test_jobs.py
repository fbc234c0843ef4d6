"""Run directories: status, start, lease, and the end of what a job leaves behind."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from lifelog.jobs import Job, detach, read_json, stop_jobs, write_json

SLEEPER = """
import subprocess, sys, time
from pathlib import Path
from lifelog.jobs import Job, end_process_tree
job = Job(Path(sys.argv[1]), "sleeper")
# A session of its own, as PySpark's daemon has it: only parentage finds it.
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
job.watch(end_process_tree, poll_s=0.1)
job.report(phase="ready", child=child.pid)
time.sleep(60)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_json(tmp_path / "spec.json", {"format": 1})
    return tmp_path


def wait_for(condition, timeout_s: float = 15.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("the condition did not come true in time")


def test_a_reader_never_sees_half_a_file(directory: Path) -> None:
    write_json(directory / "value.json", {"a": [1, 2]})
    assert read_json(directory / "value.json") == {"a": [1, 2]}
    assert sorted(p.name for p in directory.iterdir()) == ["spec.json", "value.json"]


def test_an_absent_file_is_none(directory: Path) -> None:
    assert read_json(directory / "start.json") is None


def test_the_start_is_unknown_until_it_is_announced(directory: Path) -> None:
    job = Job(directory, "consumer")
    assert job.start_ns() is None
    write_json(directory / "start.json", {"start_ns": 123})
    assert job.start_ns() == 123


def test_a_report_keeps_earlier_fields(directory: Path) -> None:
    job = Job(directory, "consumer")
    job.report(phase="ready", app_id="app-1")
    job.report(phase="measuring")
    status = json.loads((directory / "consumer.status.json").read_text())
    assert (status["phase"], status["app_id"]) == ("measuring", "app-1")


def test_the_lease_counts_down_from_its_last_touch(directory: Path) -> None:
    job = Job(directory, "consumer")
    (directory / "lease").touch()
    assert job.lease_left_s() > 10
    os.utime(directory / "lease", (0, 0))
    assert job.lease_left_s() < 0


def test_stopping_ends_the_job_and_children_in_other_sessions(directory: Path) -> None:
    pid = detach(directory, "sleeper", [sys.executable, "-c", SLEEPER, str(directory)])
    status = wait_for(lambda: read_json(directory / "sleeper.status.json"))
    child = psutil.Process(status["child"])
    assert stop_jobs(directory) == []
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_stranger_with_a_reused_process_id_is_left_alone(directory: Path) -> None:
    (directory / "consumer.pid").write_text(f"{os.getpid()}\n")
    assert stop_jobs(directory, timeout_s=0.1) == []
