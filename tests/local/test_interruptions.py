"""A run that is interrupted: everything of it ends, it is invalid with its reason, the next is sound."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from cluster import PROJECT, Testbed

from lifelog.jsonfiles import read_json
from lifelog.node.jobs import LEASE_S

pytestmark = [pytest.mark.ci, pytest.mark.timeout(1800)]


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"not within {timeout_s:.0f} s: {what}")


def jobs_of_runs(bed: Testbed) -> list[str]:
    """Command lines of all processes that belong to a run of this testbed."""
    runs = str(bed.state / "local/data/runs")
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if runs in command or (str(bed.state) in command and "pyspark.daemon" in command):
                found.append(command)
        except psutil.Error:
            continue
    return found


def start(bed: Testbed, settings: str, run: str = "r01") -> subprocess.Popen[str]:
    """Start the experiment and return when the producers of a run send."""
    options = [*bed.experiment_options("interrupted"), "-e", f"set={settings}"]
    play = subprocess.Popen(
        bed.command("playbooks/app.yml", *options), cwd=PROJECT, env=bed.environment, text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip

    def measuring() -> bool:
        assert play.poll() is None, play.communicate()[0][-4000:]
        files = bed.runs_directory.glob(f"interrupted-*{run}*/consumer.status.json")
        return any(s and s["phase"] == "measuring" for s in map(read_json, files))

    try:
        wait_for(measuring, "the producers send", 500)
    except BaseException:
        play.kill()
        raise
    return play


def jobs_process(bed: Testbed, name: str) -> psutil.Process:
    """The job of that name; an earlier interruption may have left a directory, but no process."""
    pids = [int(f.read_text()) for f in bed.runs_directory.glob(f"interrupted-*/{name}.pid")]
    return psutil.Process(next(pid for pid in pids if psutil.pid_exists(pid)))


def test_a_sweep_that_was_killed_goes_on_where_it_was(testbed: Testbed) -> None:
    """And a run whose job is killed is repeated, while it may be."""
    settings = "repetitions=2,max_attempts=3"
    play = start(testbed, settings, "r02")
    before = {p: p.read_bytes() for p in testbed.results.rglob("run.json")}
    assert any("interrupted/saturation-r01-a01" in str(path) for path in before)
    os.killpg(play.pid, signal.SIGINT)
    assert play.wait(60) != 0
    wait_for(lambda: not jobs_of_runs(testbed), "the jobs end", LEASE_S + 60)
    again = start(testbed, settings, "r02-a02")
    jobs_process(testbed, "consumer").kill()
    output = again.communicate(timeout=1000)[0]
    assert again.returncode == 0, output[-4000:]
    assert "goes on with the sweep" in output
    assert "1 of 2 runs are done" in output, {
        name: run["invalid_reasons"] for name, run in testbed.runs("interrupted").items()
    }
    assert "Traceback" not in output
    assert {p: p.read_bytes() for p in before} == before
    runs = testbed.runs("interrupted")
    assert {name: run["valid"] for name, run in runs.items()} == {
        "saturation-r01-a01": True,
        "saturation-r02-a01": False,
        "saturation-r02-a02": False,
        "saturation-r02-a03": True,
    }
    assert "interrupted" in runs["saturation-r02-a01"]["invalid_reasons"][0]
    reasons = runs["saturation-r02-a02"]["invalid_reasons"]
    assert any(r.startswith("failed: consumer: ") for r in reasons), reasons
    # What the killed playbook left on the nodes is swept up.
    assert testbed.left_of("interrupted") == []


def test_a_killed_producer_makes_its_run_invalid_and_only_that(testbed: Testbed) -> None:
    earlier = testbed.runs("interrupted")
    play = start(testbed, "max_attempts=1")
    # A child is one producer: the job itself goes on, and must tell.
    children = jobs_process(testbed, "producers").children()
    next(c for c in children if "spawn_main" in " ".join(c.cmdline())).kill()
    output = play.communicate(timeout=1000)[0]
    assert play.returncode != 0, output[-3000:]
    (run,) = [run for name, run in testbed.runs("interrupted").items() if name not in earlier]
    assert not run["valid"]
    reasons = run["invalid_reasons"]
    assert any(r.startswith("failed: ") and "producer " in r for r in reasons), reasons
    assert "Traceback" not in output
    wait_for(lambda: not jobs_of_runs(testbed), "the jobs end", 30)
