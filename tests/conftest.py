"""No test is timed: a shared machine may be slow. Those that take minutes run in CI only.

`./testbed test` runs two tests at a time: those of a real cluster one after the other, and beside them all others.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("testbed", deadline=None)
settings.load_profile("testbed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whatever uses a real cluster stays in one process, in its order; of the rest, each file."""
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
