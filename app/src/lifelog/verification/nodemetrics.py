"""What each machine did in the counted interval of a run, from its samples (see `node.sampler`)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIGURES = (
    "mean_busy_cores",
    "peak_memory_mb",
    "mean_network_in_mbit_per_s",
    "mean_network_out_mbit_per_s",
    "mean_disk_read_mbyte_per_s",
    "mean_disk_write_mbyte_per_s",
    "largest_replica_lag_records",
    "steal_share",
    "throttled_share",
    "foreign_share",
    "component_cores",
    "mean_reference_ms",
)
# Where each figure comes from in a sample.
_COUNTERS = {
    "mean_busy_cores": ("cpu_s", 1.0),
    "mean_network_in_mbit_per_s": ("net_in_bytes", 8 / 1e6),
    "mean_network_out_mbit_per_s": ("net_out_bytes", 8 / 1e6),
    "mean_disk_read_mbyte_per_s": ("disk_read_bytes", 1e-6),
    "mean_disk_write_mbyte_per_s": ("disk_write_bytes", 1e-6),
}
# Shares of the time: of all cores' where the counter adds up the cores.
_SHARES = {
    "steal_share": ("steal_s", True),
    "throttled_share": ("throttled_s", False),
    "foreign_share": ("foreign_s", True),
}
_PEAKS = {
    "peak_memory_mb": ("memory_used_bytes", 1 / (1 << 20)),
    "largest_replica_lag_records": ("replica_lag_largest_records", 1),
}
_MEANS = {"mean_reference_ms": "reference_ms"}


@dataclass(slots=True)
class Samples:
    """The content of one metrics file; `faults` names the lines that cannot be used."""

    header: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def parse(text: str) -> Samples:
    """Read a metrics file. A last line that was cut off is left out without a word."""
    samples = Samples()
    *whole, rest = text.split("\n")
    # What follows the last line end was being written when the sampler was ended.
    del rest
    for number, line in enumerate(whole, start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            samples.faults.append(f"line {number} is cut off or broken")
        elif "fields" in value:
            samples.header = value
        elif isinstance(value.get("time_ns"), int):
            samples.lines.append(value)
        else:
            samples.faults.append(f"line {number} has no time_ns")
    return samples


def summarize(samples: Samples, start_ns: int, end_ns: int) -> dict[str, Any]:
    """Figures of one machine between two instants (ns since the epoch, its own clock).

    `mean_busy_cores`: processor time / time. `peak_memory_mb`: largest sample, MB of 1024 x 1024
    bytes. `mean_network_*`: 10^6 bit/s of its interface. `mean_disk_*`: 10^6 bytes/s. `*_share`: of the
    time (rule V12), 0 to 1, taken by the hypervisor, slowed for heat, used by others.
    `component_cores`: processor time / time of each component of the testbed (`broker`, `executor`,
    ..., `kernel`). `mean_reference_ms`: of the sampler's own piece of work. A figure that cannot be computed is None, with its reason under
    `absent_because`.
    """
    inside = [line for line in samples.lines if start_ns <= line["time_ns"] <= end_ns]
    inside.sort(key=lambda line: line["time_ns"])
    header = samples.header
    result: dict[str, Any] = {"samples": len(inside), "cores": header.get("cores")}
    result["interface"] = header.get("interface")
    absent: dict[str, str] = {}
    for figure in FIGURES:
        if figure == "component_cores":
            result[figure], reason = _component_cores(inside, header)
        else:
            value, reason = _figure(figure, inside, header)
            result[figure] = None if value is None else round(value, 3)
        if reason:
            absent[figure] = reason
    return {**result, "faults": samples.faults, "absent_because": absent}


def _figure(
    figure: str, inside: Sequence[Mapping[str, Any]], header: Mapping[str, Any]
) -> tuple[float | None, str | None]:
    if figure in _MEANS:
        return _mean(_MEANS[figure], inside, header)
    if figure in _SHARES:
        name, of_cores = _SHARES[figure]
        cores = header.get("cores") if of_cores else 1
        if not isinstance(cores, (int, float)) or cores <= 0:
            return None, "the number of cores was not recorded"
        factor = 1 / cores
    else:
        name, factor = (_COUNTERS | _PEAKS)[figure]
    if absent := _absent_because(name, header):
        return None, absent
    if figure not in _PEAKS:
        value, reason = _rate(name, inside)
        return None if value is None else value * factor, reason
    known = [line for line in inside if isinstance(line.get(name), (int, float))]
    if not known:
        return None, _why_unknown(name, inside)
    return max(line[name] for line in known) * factor, None


def _mean(
    name: str, inside: Sequence[Mapping[str, Any]], header: Mapping[str, Any]
) -> tuple[float | None, str | None]:
    if absent := _absent_because(name, header):
        return None, absent
    known = [line[name] for line in inside if isinstance(line.get(name), (int, float))]
    return (sum(known) / len(known), None) if known else (None, _why_unknown(name, inside))


def _component_cores(
    inside: Sequence[Mapping[str, Any]], header: Mapping[str, Any]
) -> tuple[dict[str, float] | None, str | None]:
    if absent := _absent_because("components_s", header):
        return None, absent
    lines = [line for line in inside if isinstance(line.get("components_s"), dict)]
    found = {}
    for name in sorted({name for line in lines for name in line["components_s"]}):
        # A component that appears later had used nothing before.
        used = [
            {"time_ns": line["time_ns"], name: line["components_s"].get(name, 0.0)}
            for line in lines
        ]
        value, reason = _rate(name, used)
        if value is None:
            return None, reason
        found[name] = round(value, 3)
    return (found, None) if found else (None, _why_unknown("components_s", inside))


def _absent_because(name: str, header: Mapping[str, Any]) -> str | None:
    described = (header.get("fields") or {}).get(name) or {}
    return described.get("absent_because")


def _rate(name: str, inside: Sequence[Mapping[str, Any]]) -> tuple[float | None, str | None]:
    """How much a counter grew per second."""
    known = [line for line in inside if isinstance(line.get(name), (int, float))]
    if len(known) < 2:
        return None, _why_unknown(name, inside)
    values = [line[name] for line in known]
    if any(later < earlier for earlier, later in itertools.pairwise(values)):
        return None, f"{name} began anew: the machine was started again"
    seconds = (known[-1]["time_ns"] - known[0]["time_ns"]) / 1e9
    if seconds <= 0:
        return None, "all samples are of the same instant"
    return (values[-1] - values[0]) / seconds, None


def _why_unknown(name: str, inside: Sequence[Mapping[str, Any]]) -> str:
    """Why so many samples of the interval do not give a figure."""
    errors = [str(line["replica_lag_error"]) for line in inside if line.get("replica_lag_error")]
    if name.startswith("replica_lag") and errors:
        return f"the brokers did not tell: {errors[-1]}"
    if inside and not any(name in line for line in inside):
        return f"{name} was not recorded"
    return f"{len(inside)} samples in the counted interval, {name} in too few of them"


def node_metrics(
    directory: Path,
    machines: Mapping[str, Any],
    interval_ns: tuple[int, int] | None,
) -> dict[str, Any]:
    """Figures by host, of a run's metrics/HOST.jsonl.

    `machines`: machine id by host (None where unknown). Of the hosts of one machine one is sampled;
    the entries of the others say which.
    """
    sampled = {path.stem: path for path in sorted((directory / "metrics").glob("*.jsonl"))}
    found = {}
    for host in sorted({*machines, *sampled}):
        if host in sampled:
            found[host] = _of_file(sampled[host], interval_ns)
            continue
        machine = machines[host]
        same = [other for other in sampled if machine and machines.get(other) == machine]
        reason = f"on the machine of {same[0]}" if same else "no samples arrived"
        found[host] = _absent(reason)
    return found


def _of_file(path: Path, interval_ns: tuple[int, int] | None) -> dict[str, Any]:
    try:
        samples = parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return _absent(f"{path.name} cannot be read ({error})")
    if interval_ns is None:
        absent = _absent("the run has no counted interval")
        return {**absent, "samples": len(samples.lines), "faults": samples.faults}
    return summarize(samples, *interval_ns)


def _absent(reason: str) -> dict[str, Any]:
    return {
        "samples": 0,
        "cores": None,
        "interface": None,
        **dict.fromkeys(FIGURES),
        "faults": [],
        "absent_because": dict.fromkeys(FIGURES, reason),
    }


def component_cores(run: Mapping[str, Any]) -> dict[str, float] | None:
    """Busy cores by component over all machines of a run; None where one did not record them."""
    found: dict[str, float] = {}
    for own in (run.get("node_metrics") or {}).values():
        if not own.get("samples"):
            continue
        if not own.get("component_cores"):
            return None
        for name, cores in own["component_cores"].items():
            found[name] = found.get(name, 0.0) + float(cores)
    return found or None
