"""No test is timed: a shared machine may be slow. Those that take minutes run in CI only.

`./testbed test` runs two tests at a time: those of one real cluster in their order, and beside them others.
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
    """Whatever uses one real cluster stays in one process, in its order; of the rest, each file."""
    from xdist.scheduler import LoadScopeScheduling

    class OneProcessEach(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            of_cluster = nodeid.startswith(("tests/lab/", "tests/local/"))
            return nodeid.rpartition("/")[0] if of_cluster else nodeid.partition("::")[0]

    return OneProcessEach(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is for CI elsewhere, and order the rest.

    The lab needs both cores while its sixteen producers send. So in CI the local cluster comes after the unit tests,
    and first the part of it that measures nothing. What removes it comes last.
    """
    in_ci = bool(os.environ.get("CI"))
    for item in items:
        if item.get_closest_marker("ci") and not in_ci:
            item.add_marker(pytest.mark.skip(reason="takes minutes: set CI=1 to run it"))

    def place(item: pytest.Item) -> tuple[bool, bool, bool]:
        local = item.nodeid.startswith("tests/local/")
        measures = "test_operations" not in item.nodeid
        return in_ci and local, item.get_closest_marker("last") is not None, local and measures

    items.sort(key=place)


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
