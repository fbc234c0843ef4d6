"""A real testbed of its own for the tests: real Kafka, real Spark, on loopback addresses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Testbed


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str] | None:
    """None, for the project's own Ansible; in CI the environment of a user's: the full package, and nothing of ours beside it."""
    if not os.environ.get("CI"):
        return None
    own = tmp_path_factory.mktemp("ansible")
    uv = str(Path(sys.executable).with_name("uv"))
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(own)],
        [uv, "pip", "install", "--quiet", "--python", str(own / "bin/python"), "ansible"],
    ):  # fmt: skip
        subprocess.run(command, check=True, timeout=900)
    # Nothing of .venv is found by accident.
    path = f"{own / 'bin'}{os.pathsep}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**os.environ, "PATH": path, "PYTHONPATH": ""}


@pytest.fixture(scope="session")
def testbed(
    tmp_path_factory: pytest.TempPathFactory, ansible: dict[str, str] | None
) -> Iterator[Testbed]:
    """Install and start everything; stop it at the end, whatever happened."""
    base = tmp_path_factory.mktemp("testbed")
    bed = Testbed(base / "state", base / "results", ansible)
    installed = bed.play("site.yml", "--skip-tags", "experiment", timeout_s=1800)
    try:
        assert installed.returncode == 0, installed.stdout[-4000:] + installed.stderr[-2000:]
        yield bed
    finally:
        stopped = bed.play("playbooks/stop.yml")
        assert stopped.returncode == 0, stopped.stdout[-4000:]
