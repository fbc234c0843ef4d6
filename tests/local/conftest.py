"""A real testbed of its own for the tests: real Kafka, real Spark, on loopback addresses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Testbed


@pytest.fixture(scope="session")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """Install and start everything; stop it at the end, whatever happened."""
    base = tmp_path_factory.mktemp("testbed")
    bed = Testbed(base / "state", base / "results")
    installed = bed.play("site.yml", "--skip-tags", "experiment", timeout_s=1800)
    try:
        assert installed.returncode == 0, installed.stdout[-4000:] + installed.stderr[-2000:]
        yield bed
    finally:
        stopped = bed.play("playbooks/stop.yml")
        assert stopped.returncode == 0, stopped.stdout[-4000:]
