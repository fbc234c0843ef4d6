"""Bad input to the playbooks: one sentence that says what to change, no traceback, nothing changed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from cluster import HERE, Testbed

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["-e", "set=partition=8"],
            "set: partition: there is no such setting: did you mean partitions",
        ),
        pytest.param(
            ["-e", "experiment_disk_reserve_mb=900000000"], "MB free at", marks=pytest.mark.ci
        ),
    ],
)
def test_an_experiment_that_cannot_run(testbed: Testbed, options: list[str], sentence: str) -> None:
    before = _files(testbed.results)
    done = testbed.experiment("fixed", *options)
    assert done.returncode != 0
    assert sentence in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr
    assert _files(testbed.results) == before


def test_a_port_that_somebody_else_uses(testbed: Testbed, tmp_path: Path) -> None:
    hosts = (HERE / "inventory/hosts.yml").read_text().replace("127.0.30.", "127.0.31.")
    (tmp_path / "hosts.yml").write_text(hosts)
    with socket.create_server(("127.0.31.11", 9092)):
        done = testbed.play("playbooks/preflight.yml", "-i", str(tmp_path / "hosts.yml"))
    assert done.returncode != 0
    text = " ".join(done.stdout.split())
    assert "port 9092 of 127.0.31.11 is taken by" in text
    assert "set kafka_port to a free port" in text


def _files(folder: Path) -> set[Path]:
    return {p for p in folder.rglob("*") if p.is_file()}
