"""What a machine does during a run: one JSON line a second in `metrics.jsonl` of the run directory.

The first line says what is measured, in which unit and from where; a figure that this machine does
not have is null, and the first line says why. Counters (`cpu_s`, bytes) are cumulative from an
instant before the run, or from the first sample: only their differences mean anything.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psutil

from lifelog.node.components import Testbed
from lifelog.node.counters import container_kind, interface_of, sources, usable_cores
from lifelog.node.jobs import LEASE_S, lease_left_s, running
from lifelog.node.processtimes import component_sources
from lifelog.node.reference import reference_source
from lifelog.node.replicalag import LAG_FIELDS, ReplicaLag

METRICS_FILE = "metrics.jsonl"
FORMAT = 1
PERIOD_S = 1.0
# Less than any job: a sample that comes late still says when it was taken.
NICENESS = 5


def sample_machine(
    directory: Path,
    address: str,
    limit_s: float,
    replica_lag: bool,
    testbed: Testbed,
    root: Path = Path("/"),
) -> str:
    """Write a line each second until told to end; returns why it ended.

    That is when the lease of `directory` runs out or is ended, the directory disappears, a file
    `sampled` appears there, or after `limit_s` seconds. `replica_lag`: also that of the topic in the
    directory's spec.json. `testbed`: whose processes are told apart from all others.
    """
    own = sources(address, root)
    (cpu,) = (source for source in own if "cpu_s" in source.units)
    own += [*component_sources(testbed, cpu, root), reference_source()]
    cores = usable_cores(root)
    lag = None
    lag_absent: str | None = "another machine records it"
    if replica_lag:
        spec = json.loads((directory / "spec.json").read_text("utf-8"))
        lag = ReplicaLag(spec)
        lag_absent = lag.absent_because
    started = time.monotonic()
    header: dict[str, Any] = {
        "format": FORMAT,
        "started_ns": time.time_ns(),
        "period_s": PERIOD_S,
        "container": container_kind(root),
        "address": address,
        "interface": interface_of(address),
        "cores": cores,
        "fields": {name: entry for source in own for name, entry in source.described().items()},
    }
    header["fields"] |= ReplicaLag.described(lag_absent)
    ticks = 0
    # Line-buffered: what was written before a sudden end are whole lines, but for the last one.
    with (directory / METRICS_FILE).open("w", buffering=1, encoding="utf-8") as lines:
        lines.write(json.dumps(header) + "\n")
        while (reason := _over(directory, started + limit_s)) is None:
            line: dict[str, Any] = {"time_ns": time.time_ns(), "cores": cores}
            errors: list[str] = []
            for source in own:
                figures = source.sample()
                errors += figures.pop("errors", [])
                line |= figures
            line |= dict.fromkeys(LAG_FIELDS) if lag is None else lag.latest()
            lines.write(json.dumps({**line, "errors": errors} if errors else line) + "\n")
            # An absolute schedule: a tick that was missed is left out, not made up for.
            ticks = max(ticks + 1, int((time.monotonic() - started) / PERIOD_S) + 1)
            time.sleep(max(0.0, started + ticks * PERIOD_S - time.monotonic()))
    return reason


def _over(directory: Path, deadline: float) -> str | None:
    if (directory / "sampled").exists():
        return "the run is over"
    if lease_left_s(directory) <= 0:
        return f"stopped, or the control node was not heard of for {LEASE_S:.0f} s"
    if time.monotonic() >= deadline:
        return "the limit is reached"
    return None


def end_sampling(directory: Path, timeout_s: float = 10.0) -> None:
    """Tell the sampler of a run directory that the run is over; kill it where it does not end."""
    pid = running(directory, "sampler")
    if pid is None:
        return
    (directory / "sampled").touch()
    try:
        process = psutil.Process(pid)
        try:
            process.wait(timeout_s)
        except psutil.TimeoutExpired:
            process.kill()
    except psutil.NoSuchProcess:
        return
