"""What each machine did in a run: a table of the counted interval, and figures over time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lifelog.report.drawing import GRID, INK, Drawing, Run, draw, grid, is_narrow, legend, line
from lifelog.report.timeline import TIME_LABEL, window
from lifelog.results.directory import agreed_start_ns
from lifelog.verification.nodemetrics import parse

_SHARED = "on the machine of "


@dataclass(frozen=True, slots=True)
class Value:
    """A cell: its text, what share of the column's largest it is (0 to 1), or why it is absent."""

    text: str
    share: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The machines of one run: headings, and name, hosts on it and values of each machine.

    `absent` says why figures that no machine has are no column.
    """

    run: str
    point: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Value, ...]], ...]
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    figure: str
    factor: float = 1.0
    digits: int = 0


_COLUMNS = (
    _Column("busy cores", "mean_busy_cores", digits=2),
    _Column("peak memory (GiB)", "peak_memory_mb", 1 / 1024, 1),
    _Column("network in (Mbit/s)", "mean_network_in_mbit_per_s"),
    _Column("network out (Mbit/s)", "mean_network_out_mbit_per_s"),
    _Column("disk read (MB/s)", "mean_disk_read_mbyte_per_s", digits=1),
    _Column("disk write (MB/s)", "mean_disk_write_mbyte_per_s", digits=1),
    _Column("largest replica lag (records)", "largest_replica_lag_records"),
)
_REQUESTS = "produce request, mean / longest (ms)"


def node_table(directory: Path, run: Run) -> NodeTable | None:
    """The machines of a run whose directory is `directory`; None where nothing was sampled."""
    metrics = {
        host: own for host, own in (run.get("node_metrics") or {}).items() if isinstance(own, dict)
    }
    beside: dict[str, list[str]] = {}
    for host, own in metrics.items():
        reason = next(iter((own.get("absent_because") or {}).values()), "")
        if not own.get("samples") and reason.startswith(_SHARED):
            beside.setdefault(reason.removeprefix(_SHARED), []).append(host)
    shared = {host for hosts in beside.values() for host in hosts}
    shown = [host for host in metrics if host not in shared]
    if not any(metrics[host].get("samples") for host in shown):
        return None
    largest = {c.figure: max(_numbers(metrics, c.figure), default=0.0) for c in _COLUMNS}
    requests = request_latencies(directory)
    rows = []
    for host in shown:
        also = beside.get(host, [])
        values = [_value(metrics[host], column, largest[column.figure]) for column in _COLUMNS]
        own_requests = [pair for name in (host, *also) for pair in requests.get(name, [])]
        rows.append((host, ", ".join(also), (*values, _requests(own_requests))))
    headings = [*(column.heading for column in _COLUMNS), _REQUESTS]
    known = [
        at for at in range(len(headings)) if not all(values[at].reason for _, _, values in rows)
    ]
    return NodeTable(
        run["run"],
        run["point"],
        tuple(headings[at] for at in known),
        tuple((host, also, tuple(values[at] for at in known)) for host, also, values in rows),
        tuple(
            f"No {heading.partition(' (')[0].partition(',')[0]}: {rows[0][2][at].reason}"
            for at, heading in enumerate(headings)
            if at not in known
        ),
    )


def _numbers(metrics: Mapping[str, Mapping[str, Any]], figure: str) -> list[float]:
    found = [own.get(figure) for own in metrics.values()]
    return [float(value) for value in found if isinstance(value, (int, float))]


def _value(metrics: Mapping[str, Any], column: _Column, largest: float) -> Value:
    value, cores = metrics.get(column.figure), metrics.get("cores")
    if not isinstance(value, (int, float)):
        why = (metrics.get("absent_because") or {}).get(column.figure)
        return Value("-", reason=why or "not recorded by the version that ran it")
    text = f"{value * column.factor:,.{column.digits}f}"
    if column.figure == "mean_busy_cores" and isinstance(cores, (int, float)) and cores > 0:
        # Of its own cores: a machine that is full has a full bar.
        return Value(f"{text} of {cores:g}", min(1.0, value / cores))
    return Value(text, value / largest if largest > 0 else 0.0)


def _requests(pairs: Sequence[tuple[float, float]]) -> Value:
    if not pairs:
        return Value("-", reason="no producer ran here, or its client does not tell")
    means = [mean for mean, _ in pairs]
    low, high = f"{min(means):,.0f}", f"{max(means):,.0f}"
    mean = low if low == high else f"{low}-{high}"
    return Value(f"{mean} / {max(longest for _, longest in pairs):,.0f}")


def request_latencies(directory: Path) -> dict[str, list[tuple[float, float]]]:
    """Mean and longest produce request (ms) of each producer, by host, from a run's raw data.

    A producer whose report cannot be read, or has no such figure, is left out.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    try:
        spec = json.loads((directory / "spec.json").read_text("utf-8"))
        hosts = {int(own["id"]): str(own["host"]) for own in spec["producers"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    for producer, host in hosts.items():
        try:
            path = directory / f"producers/producer-{producer}.json"
            latency = json.loads(path.read_text("utf-8"))["request_latency_ms"]
            pair = float(latency["avg"]), float(latency["max"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found.setdefault(host, []).append(pair)
    return found


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    unit: str
    column: str
    field: str
    factor: float
    counter: bool


_PANELS = (
    _Panel("Processor", "cores in use", "busy_cores", "cpu_s", 1.0, True),
    _Panel("Memory", "GiB in use", "memory_gib", "memory_used_bytes", 2.0**-30, False),
    _Panel("Network in", "Mbit/s", "network_in_mbit_per_s", "net_in_bytes", 8e-6, True),
    _Panel("Network out", "Mbit/s", "network_out_mbit_per_s", "net_out_bytes", 8e-6, True),
    _Panel("Disk read", "MB/s", "disk_read_mbyte_per_s", "disk_read_bytes", 1e-6, True),
    _Panel("Disk write", "MB/s", "disk_write_mbyte_per_s", "disk_write_bytes", 1e-6, True),
    _Panel(
        "Largest replica lag", "records", "replica_lag_records", "replica_lag_largest_records", 1.0,
        False,
    ),
)  # fmt: skip
Series = list[tuple[float, float]]


def node_series(directory: Path) -> dict[str, dict[str, Series]]:
    """(s since the agreed start, value) by machine and column, from a run's metrics/HOST.jsonl.

    A rate stands at the end of the second that it is the mean of. Empty where nothing was sampled,
    or the start is not known.
    """
    start_ns = agreed_start_ns(directory)
    found: dict[str, dict[str, Series]] = {}
    if start_ns is None:
        return found
    for path in sorted((directory / "metrics").glob("*.jsonl")):
        try:
            lines = parse(path.read_text("utf-8")).lines
        except (OSError, UnicodeDecodeError):
            continue
        series = {panel.column: _series(lines, panel, start_ns) for panel in _PANELS}
        found[path.stem] = {column: own for column, own in series.items() if own}
    return {host: own for host, own in found.items() if own}


def _series(lines: Sequence[Mapping[str, Any]], panel: _Panel, start_ns: int) -> Series:
    known = [
        ((line["time_ns"] - start_ns) / 1e9, float(line[panel.field]))
        for line in lines
        if isinstance(line.get(panel.field), (int, float))
    ]
    if not panel.counter:
        return [(at, value * panel.factor) for at, value in known]
    # A counter that goes back began anew: that second has no rate.
    return [
        (later, (after - before) / (later - earlier) * panel.factor)
        for (earlier, before), (later, after) in itertools.pairwise(known)
        if later > earlier and after >= before
    ]


def over_time(directory: Path, run: Run) -> Drawing | None:
    """The machines of a run over its time; None where nothing was sampled."""
    series = node_series(directory)
    panels = [own for own in _PANELS if any(own.column in host for host in series.values())]
    if not panels:
        return None
    hosts = {host: number for number, host in enumerate(series)}
    shapes = [((len(panels) + 1) // 2, 2), (len(panels), 1)]
    paint = _painter(run, series, panels, hosts, shapes)
    legend_rows = len(hosts) / 4
    return draw(
        "machines", f"The machines during {run['run']}",
        "Samples of each second; hosts that share a machine share a line. Grey: not counted.",
        (0.8 + 1.75 * shapes[0][0] + 0.2 * legend_rows, 0.9 + 1.7 * len(panels) + 0.3 * legend_rows),
        paint,
        ("machine", "time_s", "figure", "value"),
        [
            [host, round(at, 3), column, round(value, 4)]
            for host, columns in series.items()
            for column, own in columns.items()
            for at, value in own
        ],
    )  # fmt: skip


def _painter(
    run: Run,
    series: Mapping[str, Mapping[str, Series]],
    panels: Sequence[_Panel],
    hosts: Mapping[str, int],
    shapes: Sequence[tuple[int, int]],
) -> Callable[[Figure], None]:
    def paint(figure: Figure) -> None:
        places = grid(figure, *shapes[is_narrow(figure)])
        for empty in places[len(panels) :]:
            empty.set_visible(False)
        for place, panel in zip(places, panels, strict=False):
            place.set_title(
                f"{panel.title} ({panel.unit})", loc="left", color=INK, fontsize="medium",
                fontweight="bold",
            )  # fmt: skip
            highest = 0.0
            for host, number in hosts.items():
                own = series[host].get(panel.column, [])
                highest = max([highest, *(value for _, value in own)])
                style = line(number) | {"linewidth": 1.4}
                place.plot([at for at, _ in own], [v for _, v in own], label=host, **style)
            place.set_ylim(0, 1.1 * highest or 1.0)
            place.tick_params(labelbottom=True)
        _mark(places[: len(panels)], run)
        figure.supxlabel(TIME_LABEL, color=INK, fontsize="medium")
        legend(figure, places[0])

    return paint


def _mark(places: Sequence[Any], run: Run) -> None:
    counted = window(run)
    if counted is None:
        return
    left, right = places[0].get_xlim()
    for place in places:
        for start, end in ((left, counted[0]), (counted[1], right)):
            if end > start:
                place.axvspan(start, end, color=GRID, alpha=0.55, linewidth=0)
        place.set_xlim(left, right)
