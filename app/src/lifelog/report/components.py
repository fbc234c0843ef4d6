"""What used the processors of the machines: busy cores by component, a stacked bar each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifelog.report.bars import stacked
from lifelog.report.drawing import CARD, COLOURS, INK, ON, SOFT, Drawing, Run

_PARTS = {
    "Python workers": ("python_worker",),
    "executors": ("executor",),
    "brokers": ("broker",),
    "producers": ("producer",),
    "driver": ("driver",),
    "services": (
        "control", "controller", "sampler", "service_manager", "spark_master", "spark_worker",
    ),
    "kernel": ("kernel",),
}  # fmt: skip
_FOREIGN = "other programs"
# Those that are not the testbed's have no colour.
_COLOURS = (*zip(COLOURS, ON, strict=True), (SOFT, CARD), (INK, CARD))
_MOST_ROWS = 16


def busy_cores(runs: Sequence[Run], main: Run) -> Drawing | None:
    """The machines of `main`; where each run has one machine, that of each run.

    None where no run has such figures.
    """
    split = [(run, _machines(run)) for run in runs]
    if all(len(machines) <= 1 for _, machines in split):
        bars = [
            (run["point"], run, host, own) for run, found in split for host, own in found.items()
        ]
    else:
        bars = [(host, main, host, own) for host, own in _machines(main).items()]
    bars = bars[:_MOST_ROWS]
    if not bars:
        return None
    parts = {
        part: [sum(own["component_cores"].get(name, 0.0) for name in names) for *_, own in bars]
        for part, names in _PARTS.items()
    }
    if all(own.get("foreign_share") is not None for *_, own in bars):
        parts[_FOREIGN] = [own["foreign_share"] * own["cores"] for *_, own in bars]
    of_machines = f"The machines of {main['run']}" if bars[0][0] == bars[0][2] else "Newest runs"
    return stacked(
        "components", "What used the processors",
        f"{of_machines}: mean over what is counted. Services: Kafka's controllers, Spark's master "
        "and worker daemons, sampler, service manager, and the playbook where it ran there.",
        "in use", "cores", [(label, run["run"], host) for label, run, host, _ in bars],
        parts, ("bar", "run", "machine"), _COLOURS,
    )  # fmt: skip


def _machines(run: Run) -> dict[str, Mapping[str, Any]]:
    return {
        host: own
        for host, own in (run.get("node_metrics") or {}).items()
        if isinstance(own, dict) and own.get("component_cores") and own.get("cores")
    }
