"""Only what is surely the testbed's is ended or removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible.module_utils.testbed_marks import MARK, foreign_files, marked
from ansible.module_utils.testbed_processes import (
    command,
    end,
    end_supervisor,
    find,
    is_supervised,
    is_supervisor,
    runs_from,
)
from remove_testbed import refusal, remove

OURS = ["/opt/lifelog", "/etc/lifelog", ""]


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        ("/opt/lifelog/env-1/bin/python -m pyspark.daemon", True),
        ("/bin/bash /opt/lifelog/env-1/bin/spark-class Master", True),
        ("/usr/bin/python3.11 /opt/lifelog/env-1/bin/lifelog consume", True),
        ("/usr/bin/java -Dlog4j2.configurationFile=/etc/lifelog/kafka/b1/log4j2.properties", True),
        ("java -cp /usr/x.jar:/opt/lifelog/jars/* Worker", True),
        ("java -Dlog4j2.configurationFile=file:/etc/lifelog/spark/w/l.properties Worker", True),
        ("/usr/bin/vim /etc/lifelog/kafka/b1/server.properties", False),
        ("tail -f /opt/lifelog/x.log", False),
        ("/usr/bin/python3 -c /opt/lifelog/x", False),
        ("/opt/lifelog2/bin/python", False),
        ("java -cp /mnt/opt/lifelog/jars/* Other", False),
        ("/bin/bash", False),
        ("", False),
    ],
)
def test_which_commands_run_from_our_directories(words: str, ours: bool) -> None:
    assert runs_from(words.split(), OURS) is ours
    assert not runs_from(words.split(), ["", ""])


def test_a_supervisor_is_told_by_its_settings() -> None:
    words = "/opt/e/bin/python /opt/e/bin/supervisord -c /etc/lifelog/supervisor/supervisord.conf"
    assert is_supervisor(words.split(), "/etc/lifelog/supervisor")
    assert not is_supervisor(words.split(), "/etc/other/supervisor")
    assert not is_supervisor(["vim", "/etc/lifelog/supervisor/supervisord.conf"], "/etc/lifelog/supervisor")  # fmt: skip


Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that sleeps; it is gone after the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, deaf: bool = False, **environment: str) -> int:
        code = "import signal, sys, time\n"
        code += "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if deaf else ""
        code += "print('up', flush=True)\ntime.sleep(60)"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        running.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        return process.pid

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_what_a_dead_supervisor_left_running_is_ended(start: Start, tmp_path: Path) -> None:
    mine = {"SUPERVISOR_SERVER_URL": f"unix://{tmp_path}/supervisor.sock"}
    orphan, other = start(**mine), start(SUPERVISOR_SERVER_URL="unix:///x/supervisor.sock")
    ended, left = end_supervisor(str(tmp_path), 5)
    assert [int(line.split(":")[0]) for line in ended] == [orphan]
    assert left == []
    assert command(orphan) in ([], [""])
    assert len(command(other)) > 1


def test_what_does_not_listen_is_killed(start: Start) -> None:
    pid = start(deaf=True)
    before = time.monotonic()
    assert end(pid, 0.3)
    assert time.monotonic() - before >= 0.3
    assert command(pid) in ([], [""])


def test_the_youngest_end_first_and_the_asker_never(start: Start, tmp_path: Path) -> None:
    url = {"SUPERVISOR_SERVER_URL": f"unix://{tmp_path}/supervisor.sock"}
    first = start(**url)
    time.sleep(0.05)
    second = start(**url)
    assert find(lambda pid: is_supervised(pid, str(tmp_path))) == [second, first]
    assert os.getpid() not in find(lambda pid: True)
    assert os.getppid() not in find(lambda pid: True)


def test_a_mark_is_of_a_directory_and_all_below(tmp_path: Path) -> None:
    (tmp_path / "ours/deep").mkdir(parents=True)
    (tmp_path / "ours" / MARK).touch()
    (tmp_path / "ours/deep/file").touch()
    (tmp_path / "theirs/lost+found").mkdir(parents=True)
    assert marked(str(tmp_path / "ours/deep"))
    assert not marked(str(tmp_path / "ours/deep/../../theirs"))
    assert foreign_files(str(tmp_path / "ours")) == []
    assert foreign_files(str(tmp_path / "theirs")) == []
    (tmp_path / "theirs/photo").touch()
    assert foreign_files(str(tmp_path / "theirs")) == ["photo"]


def test_a_directory_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo").touch()
    assert "node_opt_dir is empty" in refusal("", "node_opt_dir")
    assert "not an absolute path" in refusal("opt", "node_opt_dir")
    for path in ("/", "/usr", "/etc", os.path.expanduser("~"), str(tmp_path)):
        if os.listdir(path):
            assert "which the testbed did not make" in refusal(path, "node_opt_dir")
    assert refusal(str(tmp_path / "absent"), "node_opt_dir") == ""
    assert refusal(str(tmp_path), "node_opt_dir", proof="photo") == ""


def test_what_is_removed(tmp_path: Path) -> None:
    ours, target, link = tmp_path / "a/ours", tmp_path / "target", tmp_path / "link"
    (ours / "deep").mkdir(parents=True)
    (ours / "deep/file").touch()
    (ours / MARK).touch()
    target.mkdir()
    (target / "file").touch()
    link.symlink_to(target)
    (ours / "out").symlink_to(target)
    entries = [{"path": str(path)} for path in (ours, link, tmp_path / "absent")]
    parents = [str(tmp_path / "a"), str(tmp_path)]
    assert remove(entries, [], parents, dry=True) == [str(ours), str(link)]
    assert (ours / "deep/file").exists()
    assert (target / "file").exists()
    assert remove(entries[:1], [], parents, dry=False) == [str(ours), str(tmp_path / "a")]
    # What a link in it points at is not ours; what an operator linked to is emptied and stays.
    assert (target / "file").exists()
    assert remove(entries, [], parents, dry=False) == [str(link)]
    assert link.is_symlink()
    assert list(target.iterdir()) == []
    assert remove(entries, [], parents, dry=False) == []
