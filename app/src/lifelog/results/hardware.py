"""What the machines of a run are, and whether two runs were on the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Our own choice: what a kernel keeps of the memory for itself differs from one release to the next.
_SAME_MEMORY = 0.05


def machines(provenance: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each host of a run runs on, by host; hosts without facts are left out."""
    found = {}
    for host, facts in sorted((provenance.get("hosts") or {}).items()):
        if isinstance(facts, dict):
            memory = facts.get("memory_mb")
            found[host] = {
                "machine_id": facts.get("machine_id"),
                "processor": facts.get("cpu_model"),
                "cores": facts.get("cores"),
                "memory_gib": round(memory / 1024, 1) if isinstance(memory, (int, float)) else None,
                "system": (facts.get("os") or {}).get("name"),
                "kernel": facts.get("kernel"),
            }
    return found


def other_machines(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What the machines of two runs' `provenance` differ in, such as `cores of worker-1`.

    Processor, cores and memory of each host, and the cores that a worker offers: system and kernel
    are updated without becoming another machine. What one of the two did not record is not compared.
    One may have hosts besides the other's, but not both.
    """
    found = []
    sides = machines(first), machines(second)
    if all(sides) and not (
        sides[0].keys() <= sides[1].keys() or sides[1].keys() <= sides[0].keys()
    ):
        found.append("hosts")
    for host in sides[0].keys() & sides[1].keys():
        one, other = sides[0][host], sides[1][host]
        known = [fact for fact in ("processor", "cores", "memory_gib") if one[fact] and other[fact]]
        found += [f"{fact.removesuffix('_gib')} of {host}" for fact in known
                  if not _same(one[fact], other[fact], fact)]  # fmt: skip
    offered = [own.get("spark_conf") or {} for own in (first, second)]
    cores = [own.get("spark.executor.cores") for own in offered]
    if all(cores) and cores[0] != cores[1]:
        found.append("cores that a worker offers")
    return sorted(found)


def _same(one: Any, other: Any, fact: str) -> bool:
    if fact == "memory_gib":
        return math.isclose(one, other, rel_tol=_SAME_MEMORY)
    return bool(one == other)
