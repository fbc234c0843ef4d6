"""A run as the capacity model sees it, from run.json and the raw files beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifelog.capacity.fit import Observation
from lifelog.capacity.layout import Layout, Machine, machine_groups
from lifelog.capacity.load import load_of
from lifelog.experiment.settings import TIMED_MODES
from lifelog.verification.nodemetrics import component_cores

# Of the parts of a micro-batch, the one in which tasks run.
_WORKING, _WHOLE = "addBatch", "triggerExecution"
# Our own choices: samples of the lag that make a slope, and the share of the rate that is one.
_LEAST_LAGS = 10
_GROWING = 0.1


def observe(directory: Path, run: Mapping[str, Any]) -> Observation | str:
    """The observation of a valid run whose directory is `directory`; or why there is none."""
    if not run["valid"]:
        return "it is not valid"
    if not run["throughput_images_per_s"] or not run["measured_s"] or not run["micro_batches"]:
        return "it has no rate"
    try:
        spec = _json(directory / "spec.json")
        consumer = _json(directory / "consumer/consumer.json")
        cluster = _json(directory / "cluster.json")
        bare = sum(float(row["images_per_s"]) for row in consumer["calibration"])
        metrics = run.get("node_metrics") or {}
        usable = {host: own["cores"] for host, own in metrics.items() if own.get("cores")}
        layout = layout_of(spec, cluster, run["provenance"].get("hosts") or {}, usable)
        load = load_of(run["settings"], int(spec["dataset"]["image_bytes"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        return f"its raw files cannot be used ({type(error).__name__}: {error})"
    if bare <= 0:
        return "the bare engine was not timed"
    components = component_cores(run)
    return Observation(
        name=f"{run['experiment']}/{run['run']}",
        load=load,
        layout=layout,
        images_per_s=run["throughput_images_per_s"],
        interval_s=run["measured_s"] / run["micro_batches"],
        bare_images_per_s=bare,
        written_images_per_s=written_images_per_s(run),
        component_cores=components,
        convert_share=_convert_share(run),
        pause_s=_pause_s(run),
        working_s=_working_s(run),
        foreign_cores=_foreign_cores(run),
        reference_s=_reference_s(run),
    )


def layout_of(
    spec: Mapping[str, Any],
    cluster: Mapping[str, Any],
    hosts: Mapping[str, Any],
    usable_cores: Mapping[str, float],
) -> Layout:
    """Where a run's parts lived; hosts of one machine id are one machine.

    `spec`, `cluster`: spec.json and cluster.json. `hosts`: facts by host. `usable_cores`: by sampled
    host, where a machine may use fewer than it has. KeyError where a host of the run has no facts.
    """
    groups = machine_groups(hosts)
    index = {host: at for at, group in enumerate(groups.values()) for host in group}
    machines = []
    for name, group in groups.items():
        facts = hosts[group[0]]
        speed = (facts.get("link") or {}).get("speed_mbit_s")
        link = float(speed) * 1e6 / 8 if speed else None
        cores = next((usable_cores[host] for host in group if host in usable_cores), facts["cores"])
        machines.append(Machine(name, float(cores), link))
    brokers = {own["node_id"]: index[own["host"]] for own in spec["brokers"]}
    by_address = {own["address"]: own["host"] for own in cluster["workers"]}
    used = spec["worker_addresses"][: spec["workers"]]
    masters = [index[own["host"]] for own in cluster["masters"] if own["host"] in index]
    # A controller keeps no facts of its own where it shares no host with another service.
    controllers = [index.get(own["host"], masters[0]) for own in cluster.get("controllers", [])]
    return Layout(
        machines=tuple(machines),
        brokers=tuple(brokers.values()),
        replicas=tuple(tuple(brokers[node] for node in own) for own in spec["replica_assignment"]),
        producers=tuple(index[own["host"]] for own in spec["producers"]),
        workers=tuple(index[by_address[address]] for address in used),
        driver=masters[0],
        slots=int(spec["slots"]),
        controllers=tuple(controllers),
    )


def _foreign_cores(run: Mapping[str, Any]) -> float:
    """Busy cores of what is not the testbed's, over all machines; none where it was not recorded."""
    return sum(
        float(own["foreign_share"]) * float(own["cores"])
        for own in (run.get("node_metrics") or {}).values()
        if own.get("samples") and own.get("foreign_share") and own.get("cores")
    )


def _reference_s(run: Mapping[str, Any]) -> float | None:
    """Geometric mean over the machines of how long the sampler's piece of work took."""
    sampled = [own for own in (run.get("node_metrics") or {}).values() if own.get("samples")]
    known = [float(own["mean_reference_ms"]) for own in sampled if own.get("mean_reference_ms")]
    if not known or len(known) < len(sampled):
        return None
    return math.exp(sum(map(math.log, known)) / len(known)) / 1000


def written_images_per_s(run: Mapping[str, Any]) -> float:
    """What producers wrote per second of the counted interval: the rate, and how the backlog grew.

    Just the rate where too little is known of the lag, or the load was no timed one.
    """
    rate = float(run["throughput_images_per_s"])
    settings, series = run["settings"], run["series"]
    ends = [at for at in series["completed_s"] if 0 < at <= settings["duration_s"]]
    if run["mode"] not in TIMED_MODES or not ends:
        return rate
    lags = [
        own for own in series["lag_records"] if ends[-1] - run["measured_s"] <= own[0] <= ends[-1]
    ]
    if len(lags) < _LEAST_LAGS:
        return rate
    (began, first), (ended, last) = lags[0], lags[-1]
    # Within a micro-batch the lag saws up and down: a slope that is none is left out.
    grown = (last - first) / (ended - began) * settings["images_per_record"]
    return rate + (grown if grown > _GROWING * rate else 0.0)


def _convert_share(run: Mapping[str, Any]) -> float | None:
    parts = run.get("call_breakdown_us_per_image") or {}
    if not parts.get("infer"):
        return None
    return float(parts["convert"]) / float(parts["infer"])


def _pause_s(run: Mapping[str, Any]) -> float | None:
    parts = run.get("batch_breakdown_ms") or {}
    if _WORKING not in parts or _WHOLE not in parts:
        return None
    return max(0.0, float(parts[_WHOLE]) - float(parts[_WORKING])) / 1000


def _working_s(run: Mapping[str, Any]) -> float | None:
    working = (run.get("batch_breakdown_ms") or {}).get(_WORKING)
    return None if working is None else float(working) / 1000


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text("utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no object")
    return content
