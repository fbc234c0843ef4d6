"""Run directories: status, start, lease, and the end of what a job leaves behind."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from lifelog.jsonfiles import read_json, write_json
from lifelog.node.jobs import Job, abandoned, detach, lease_left_s, running, stop_jobs

SLEEPER = """
import subprocess, sys, time
from pathlib import Path
from lifelog.node.jobs import Job, lease_left_s, watch
job = Job(Path(sys.argv[1]), "sleeper")
# A session of its own, as PySpark's daemon has it: only parentage finds it.
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
watch(lambda: lease_left_s(job.directory), job.end_without_lease, poll_s=0.1)
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
    (directory / "lease").touch()
    assert lease_left_s(directory) > 10
    os.utime(directory / "lease", (0, 0))
    assert lease_left_s(directory) < 0


def test_a_directory_that_is_gone_has_no_lease(directory: Path) -> None:
    assert lease_left_s(directory / "gone") == 0


def test_stopping_ends_the_job_and_children_in_other_sessions(directory: Path) -> None:
    pid = detach(directory, "sleeper", [sys.executable, "-c", SLEEPER, str(directory)])
    status = wait_for(lambda: read_json(directory / "sleeper.status.json"))
    child = psutil.Process(status["child"])
    assert stop_jobs(directory) == []
    status = read_json(directory / "sleeper.status.json")
    assert status["phase"] == "failed"
    assert "not heard of" in status["error"]
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_stranger_with_a_reused_process_id_is_left_alone(directory: Path) -> None:
    file = directory / "consumer.pid"
    file.write_text(f"{os.getpid()}\n")
    assert running(directory, "consumer") == os.getpid()
    # Written before this process began: the number is somebody else's now.
    os.utime(file, (0, 0))
    assert running(directory, "consumer") is None
    assert stop_jobs(directory, timeout_s=0.1) == []


def make(directory: Path, file: str, lease_is_live: bool) -> Path:
    directory.mkdir()
    write_json(directory / file, {})
    (directory / "lease").touch()
    if not lease_is_live:
        os.utime(directory / "lease", (0, 0))
    return directory


def test_what_an_interruption_left_is_what_has_no_lease(tmp_path: Path) -> None:
    old = make(tmp_path / "smoke-a-r01-a01-m1", "spec.json", False)
    session = make(tmp_path / "smoke-session-m1", "session.json", False)
    make(tmp_path / "smoke-a-r01-a01-m2", "spec.json", False)
    assert abandoned(tmp_path, "m1") == [old, session]
    make(tmp_path / "smoke-b-r01-a01-m1", "spec.json", True)
    assert abandoned(tmp_path, "m1") == [old]
