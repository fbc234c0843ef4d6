"""Which share of each resource a run used, and so which of them was its bottleneck."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from lifelog.capacity.ceilings import DRIVER, SETTING, producers_name, slots_name
from lifelog.capacity.layout import machine_groups
from lifelog.capacity.verdict import Utilisation, bottleneck
from lifelog.verification.nodemetrics import component_cores

_MOST_COMPONENTS = 3
_NO_INTERVAL = "the run has no counted interval"


def utilisations(run: Mapping[str, Any]) -> list[Utilisation]:
    """Of each resource that the capacity model knows, from the content of run.json."""
    return [*_machines(run), *_micro_batches(run), *_producers(run)]


def judged(run: Mapping[str, Any]) -> dict[str, Any]:
    """`utilisation` and `bottleneck` of run.json, and why the latter is absent where it is."""
    seen = utilisations(run)
    found, reason = bottleneck(seen)
    absent = dict(run["absent_because"])
    absent.pop("bottleneck", None)
    if found is None:
        absent["bottleneck"] = reason
    return {
        "utilisation": [asdict(own) for own in seen],
        "bottleneck": None if found is None else asdict(found),
        "absent_because": absent,
    }


def _machines(run: Mapping[str, Any]) -> Iterator[Utilisation]:
    hosts = (run.get("provenance") or {}).get("hosts") or {}
    metrics = run.get("node_metrics") or {}
    for name, group in machine_groups(hosts).items():
        sampled = [metrics[host] for host in group if (metrics.get(host) or {}).get("samples")]
        own = sampled[0] if sampled else metrics.get(group[0]) or {}
        yield _processor(name, own)
        facts = hosts[group[0]] if isinstance(hosts[group[0]], Mapping) else {}
        yield from _links(name, own, facts.get("link") or {})


def _processor(name: str, own: Mapping[str, Any]) -> Utilisation:
    busy, cores = own.get("mean_busy_cores"), own.get("cores")
    resource = f"processor of {name}"
    if not isinstance(busy, (int, float)) or not cores:
        return Utilisation(resource, "processor", None, _why(own, "mean_busy_cores"))
    components = own.get("component_cores") or {}
    first = sorted(components.items(), key=lambda item: -item[1])[:_MOST_COMPONENTS]
    detail = ", ".join(f"{component} {used:.2f}" for component, used in first)
    return Utilisation(
        resource, "processor", busy / cores, f"cores: {detail}" if detail else ""
    )  # fmt: skip


def _links(
    name: str, own: Mapping[str, Any], link: Mapping[str, Any]
) -> Iterator[Utilisation]:  # fmt: skip
    speed = link.get("speed_mbit_s")
    for kind, figure in (
        ("link into", "mean_network_in_mbit_per_s"),
        ("link out of", "mean_network_out_mbit_per_s"),
    ):
        used = own.get(figure)
        if not speed:
            why = link.get("absent_because") or "the speed of the link is not known"
            yield Utilisation(f"{kind} {name}", kind, None, why)
        elif not isinstance(used, (int, float)):
            yield Utilisation(f"{kind} {name}", kind, None, _why(own, figure))
        else:
            yield Utilisation(f"{kind} {name}", kind, used / speed)


def _micro_batches(run: Mapping[str, Any]) -> Iterator[Utilisation]:
    """Slots while a micro-batch's tasks run, the driver while none does, and the cap (rule V6)."""
    settings, provenance = run["settings"], run.get("provenance") or {}
    slots = int((provenance.get("spark_conf") or {}).get("spark.cores.max") or 0)
    slot = slots_name(settings["partitions"], slots) if slots else "task slots"
    parts, measured = run.get("batch_breakdown_ms") or {}, run.get("measured_s")
    whole, adding = parts.get("triggerExecution"), parts.get("addBatch")
    if not measured or not run["micro_batches"] or whole is None or adding is None:
        why = _NO_INTERVAL if not measured else "Spark's progress events do not tell"
        yield Utilisation(slot, "slots", None, why)
        yield Utilisation(DRIVER, "driver", None, why)
    else:
        interval_ms = 1000 * measured / run["micro_batches"]
        yield Utilisation(slot, "slots", min(1.0, adding / interval_ms))
        yield Utilisation(DRIVER, "driver", min(1.0, (whole - adding) / interval_ms))
    cap, rate = provenance.get("max_offsets_per_trigger"), run["throughput_images_per_s"]
    if cap and rate:
        most = cap * settings["images_per_record"] / (settings["trigger_ms"] / 1000)
        yield Utilisation(SETTING, "setting", min(1.0, rate / most))


def _producers(run: Mapping[str, Any]) -> Iterator[Utilisation]:
    count = run["settings"]["producers"]
    components = component_cores(run)
    if components is None:
        why = "the processor time of the components was not recorded"
        yield Utilisation(producers_name(count), "producers", None, why)
    else:
        used = components.get("producer", 0.0)
        yield Utilisation(producers_name(count), "producers", used / count)


def _why(own: Mapping[str, Any], figure: str) -> str:
    return str((own.get("absent_because") or {}).get(figure) or "the machine was not sampled")
