"""No test is timed: a shared machine may be slow. Those that take minutes run in CI only.

`./testbed test` runs two tests at a time: those of a real cluster one after the other, and beside them all others.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("testbed", deadline=None)
settings.load_profile("testbed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whatever uses a real cluster stays in one process, in its order; of the rest, each file.

    Two clusters at once are no quicker here: they starve each other of processors until runs are invalid.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneCluster(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            of_cluster = nodeid.startswith(("tests/lab/", "tests/local/"))
            return "cluster" if of_cluster else nodeid.partition("::")[0]

    return OneCluster(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is for CI elsewhere, and put last what removes the testbed of the others."""
    for item in items:
        if item.get_closest_marker("ci") and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: set CI=1 to run it"))
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Path of a program that an OS package of its name brings; root installs it where it is missing.

    Without the right to, the test is skipped. In CI, where everything must have been tested, it fails.
    """

    def path(name: str) -> str:
        command = f"apt-get install -y --no-install-recommends {name}"
        # Two test processes may want one at a time.
        with (Path(tempfile.gettempdir()) / f"packages-{os.geteuid()}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not shutil.which(name) and os.geteuid() == 0 and shutil.which("apt-get"):
                environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                for words in ("apt-get update", command):
                    subprocess.run(
                        [*words.split(), "-o", "DPkg::Lock::Timeout=120"],
                        env=environment, timeout=600, check=False, stdout=subprocess.DEVNULL,
                    )  # fmt: skip
        found = shutil.which(name)
        if not found:
            text = f"{name} is not installed; type: sudo {command}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(text)
        return found

    return path
