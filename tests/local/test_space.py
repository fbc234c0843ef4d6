"""Runs leave nothing on the nodes: the space that they use is given back."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import Testbed

pytestmark = [pytest.mark.ci, pytest.mark.timeout(1800)]
# Logs of services and Kafka's metadata grow a little with each run, and are rotated.
ALLOWED_MB = 8


def used_mb(folder: Path) -> float:
    """Space that the files below a folder take."""
    return sum(p.lstat().st_blocks for p in folder.rglob("*") if p.is_file()) * 512 / 1e6


def applications(local: Path) -> set[Path]:
    """What Spark keeps of its applications on the workers."""
    return set((local / "data/spark").glob("*/*/app-*"))


def test_three_runs_leave_disk_use_flat(testbed: Testbed) -> None:
    local = testbed.state / "local"
    # The first run of a testbed makes what stays, such as Kafka's own topics.
    if not testbed.runs("fixed"):
        assert testbed.experiment("fixed").returncode == 0
    # Applications of interrupted runs are Spark's own to clean up, an hour later.
    known = applications(local)
    before = used_mb(local / "data") + used_mb(local / "log")
    done = testbed.experiment("three")
    assert done.returncode == 0, done.stdout[-4000:]
    assert len(testbed.runs("three")) == 3
    assert testbed.left_of("three") == []
    assert applications(local) <= known
    assert used_mb(local / "data") + used_mb(local / "log") - before < ALLOWED_MB
