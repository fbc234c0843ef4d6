"""Conducting a run: hosts that agree on a start, fail together and keep their leases."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conduct_run
import pytest
from conduct_run import Conductor, JobFailed, Meeting

JOBS = {"master": "consumer", "broker-1": "producers", "broker-2": "producers", "idle": ""}


class Node:
    """A host whose job goes through phases when it is told to."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.phase = "starting"
        self.alive = "alive"
        self.told: dict[str, str] = {}
        self.started: list[str] = []
        self.refuses = ""
        self.commands = 0

    def __call__(self, command: str, given: str) -> tuple[int, str]:
        self.commands += 1
        if command.startswith("start"):
            self.started.append(command)
            return (1, self.refuses) if command == self.refuses.partition(":")[0] else (0, "")
        if command.startswith("cat"):
            # With nothing to read it would wait for ever at a terminal.
            assert given
            path = command.rpartition(" ")[2]
            self.told[path.rpartition("/")[2]] = given
            if path.endswith("start.json") and self.job == "producers":
                self.phase = "done"
            elif path.endswith("start.json"):
                self.phase = "measured"
            elif path.endswith("drain"):
                self.phase = "done"
        # As a terminal ends its lines.
        return 0, f"{self.alive}\r\n" + json.dumps({"phase": self.phase, "app_id": "app-1"})


class Cluster:
    """All hosts conducted at one time, each by a thread of its own, as Ansible's forks do."""

    def __init__(self, tmp_path: Path, **timeouts_s: float) -> None:
        self.nodes = {host: Node(job) for host, job in JOBS.items()}
        self.errors: dict[str, str] = {}
        self.conductors = {
            host: Conductor(
                {
                    "directory": "/run dir",
                    "spec": {"topic": "t"} if job else {},
                    "commands": ["start sampler", *([f"start {job}"] if job else [])],
                    "job": job,
                    "jobs": ["master", "broker-1", "broker-2"],
                    "consumer": "master",
                    "label": "run",
                    "lead_s": 5,
                    "timeouts_s": {"ready": 30, "measured": 30, "drained": 30} | timeouts_s,
                },
                Meeting(tmp_path / "meeting", host),
                self.nodes[host],
            )
            for host, job in JOBS.items()
        }
        self.threads = {host: threading.Thread(target=self._conduct, args=(host,)) for host in JOBS}

    def _conduct(self, host: str) -> None:
        try:
            self.conductors[host].conduct()
        except JobFailed as error:
            self.errors[host] = str(error)

    def start(self) -> None:
        for thread in self.threads.values():
            thread.start()

    def end(self) -> None:
        for host, thread in self.threads.items():
            thread.join(20)
            assert not thread.is_alive(), host


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct_run, "POLL_S", dict.fromkeys(conduct_run.POLL_S, 0.01))
    monkeypatch.setattr(conduct_run, "RENEW_EVERY_S", 0.1)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_all_agree_on_one_start_and_the_consumer_drains_last(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    nodes = cluster.nodes
    cluster.start()
    nodes["master"].phase = nodes["broker-1"].phase = "ready"
    until(lambda: nodes["master"].commands > 20)
    # One is not ready yet: nobody starts.
    assert not any("start.json" in node.told for node in nodes.values())
    before_ns = time.time_ns()
    nodes["broker-2"].phase = "ready"
    cluster.end()
    assert cluster.errors == {}
    (start,) = {node.told["start.json"] for node in nodes.values() if node.told}
    assert 5e9 <= json.loads(start)["start_ns"] - before_ns < 15e9
    assert [host for host, node in nodes.items() if "drain" in node.told] == ["master"]
    assert nodes["idle"].told == {}
    assert nodes["idle"].started == ["start sampler"]
    assert nodes["broker-1"].started == ["start sampler", "start producers"]
    assert json.loads(nodes["broker-1"].told["spec.json"]) == {"topic": "t"}
    assert cluster.conductors["master"].status["app_id"] == "app-1"


def test_a_host_without_a_job_renews_its_lease_seldom(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.start()
    # mkdir, its sampler, and leases.
    until(lambda: cluster.nodes["idle"].commands >= 5)
    assert cluster.nodes["master"].commands > 2 * cluster.nodes["idle"].commands
    for host in ("master", "broker-1", "broker-2"):
        cluster.nodes[host].phase = "ready"
    cluster.end()
    assert cluster.errors == {}


@pytest.mark.parametrize(
    ("phase", "alive", "reason"),
    [
        ("failed", "alive", "the process ended without a word while failed"),
        ("warming up", "gone", "the process ended without a word while warming up"),
    ],
)
def test_one_failure_ends_all_and_is_told_once(
    tmp_path: Path, phase: str, alive: str, reason: str
) -> None:
    cluster = Cluster(tmp_path)
    cluster.nodes["broker-1"].phase = "ready"
    cluster.nodes["broker-2"].phase, cluster.nodes["broker-2"].alive = phase, alive
    cluster.start()
    cluster.end()
    assert cluster.errors == {"broker-2": reason}
    assert not any("start.json" in node.told for node in cluster.nodes.values())


def test_a_job_that_cannot_be_started_ends_all_with_what_it_said(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.nodes["broker-1"].phase = "ready"
    cluster.nodes["broker-2"].refuses = "start producers: no such topic"
    cluster.start()
    cluster.end()
    assert cluster.errors == {"broker-2": "start producers: no such topic"}
    assert not any("start.json" in node.told for node in cluster.nodes.values())


def test_a_job_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, ready=0.3)
    cluster.nodes["master"].phase = cluster.nodes["broker-1"].phase = "ready"
    cluster.start()
    cluster.end()
    assert cluster.errors == {"broker-2": "still starting after 0.3 s"}


def test_a_status_that_is_half_written_changes_nothing(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    conductor = cluster.conductors["master"]
    conductor.status = {"phase": "ready"}
    conductor.command = lambda _line, _given: (0, "alive\n{")
    conductor._poll()
    assert conductor.status == {"phase": "ready"}
