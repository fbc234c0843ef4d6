"""How fast a machine is while a run lasts: the processor time of the same small piece of work, each second.

A virtual machine on a shared host may be a third slower from one run to the next, without stolen time:
its neighbours take caches, memory bandwidth and the other half of its cores.
"""

from __future__ import annotations

import time
from typing import Any

from lifelog.node.counters import Source

UNITS = {"reference_ms": "ms of processor time for a fixed piece of work"}
# About half a millisecond; done twice a second, a thousandth of a core.
_STEPS = 4000


def work() -> int:
    """The piece of work: integer arithmetic and a dictionary that fits the nearest cache."""
    found: dict[int, int] = {}
    for step in range(_STEPS):
        found[step & 255] = found.get(step & 255, 0) + step
    return found[0]


def reference_source() -> Source:
    """The source of `reference_ms`; waiting for a processor is not counted."""

    def timed() -> dict[str, Any]:
        # Once to fetch what the second before has driven out of the caches.
        work()
        started = time.thread_time_ns()
        work()
        return {"reference_ms": round((time.thread_time_ns() - started) / 1e6, 4)}

    return Source(UNITS, "time.thread_time: integers in a dictionary", timed)
