"""The figures of one run, from the data that were read; what cannot be computed says why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lifelog.experiment.settings import TIMED_MODES
from lifelog.stats.latency import merge, percentiles
from lifelog.stats.rate import completion_rate, run_interval
from lifelog.stats.steady import Steady, final_stall, steady_state
from lifelog.verification.callsfile import Calls
from lifelog.verification.rundata import BatchLine, RunData

# A latency between two clocks is given where these differ by at most this share of its median; our own choice.
MOST_CLOCK_SHARE = 0.05


@dataclass(slots=True)
class Figures:
    """Throughput, its interval, latency; `steady` is None where the rule does not apply."""

    throughput: float | None = None
    interval: tuple[float, float] | None = None
    measured_s: float | None = None
    # The instants (ns since the epoch, the driver's clock) between which the images were counted.
    interval_ns: tuple[int, int] | None = None
    micro_batches: int = 0
    steady: Steady | None = None
    # Seconds without a completion at the end of a timed load, where these are a stall.
    final_stall_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    histogram: list[list[int]] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    clock_fault: str | None = None


def counted_batches(data: RunData) -> list[BatchLine]:
    """Micro-batches of the measurement, ascending by completion.

    Timed modes: those that completed between the agreed start and end. Else: those with images.
    """
    batches = data.batches or []
    if data.spec.settings.get("mode") not in TIMED_MODES:
        return [line for line in batches if line.images]
    start_ns, end_ns = data.consumer.start_ns, data.consumer.end_ns
    if start_ns is None or end_ns is None:
        return []
    inside = [line for line in batches if start_ns <= line.completed_ns <= end_ns]
    # The clock starts when the last micro-batch with warm-up images has completed.
    mixed = [at for at, line in enumerate(inside) if line.warmup_images]
    return inside[mixed[-1] :] if mixed else inside


def compute(data: RunData, calls: Calls | None) -> Figures:
    """All figures that the data support."""
    figures = Figures()
    if calls is None or data.batches is None:
        for name in ("throughput_images_per_s", "within_run_ci95", "measured_s"):
            figures.absent[name] = "the raw results are not complete"
        for name in ("p50", "p99"):
            figures.absent[f"latency_ms.{name}"] = "the raw results are not complete"
        return figures
    batches = counted_batches(data)
    if data.spec.settings.get("mode") == "fixed_size":
        _fixed_size(figures, data, batches)
    else:
        _windowed(figures, data, calls, batches)
    _latency(figures, data, calls)
    return figures


def _fixed_size(figures: Figures, data: RunData, batches: list[BatchLine]) -> None:
    figures.micro_batches = len(batches)
    figures.absent["within_run_ci95"] = "fixed-size runs have no steady state to take it from"
    sends = [report.first_send_ns for report in data.producers.values() if report.first_send_ns]
    if not batches or len(data.producers) < len(data.spec.producers) or not sends:
        reason = "not every producer told when it began" if batches else "no image was processed"
        figures.absent["throughput_images_per_s"] = figures.absent["measured_s"] = reason
        return
    seconds = (batches[-1].completed_ns - min(sends)) / 1e9
    if seconds <= 0:
        figures.absent["throughput_images_per_s"] = "the last completion is before the first send"
        figures.absent["measured_s"] = figures.absent["throughput_images_per_s"]
        return
    figures.measured_s = seconds
    figures.interval_ns = (min(sends), batches[-1].completed_ns)
    figures.throughput = sum(line.images for line in batches) / seconds


def _windowed(figures: Figures, data: RunData, calls: Calls, batches: list[BatchLine]) -> None:
    completed = [line.completed_ns / 1e9 for line in batches]
    if batches:
        # Differences of epoch seconds in float64 would lose half a microsecond.
        completed = [(line.completed_ns - batches[0].completed_ns) / 1e9 for line in batches]
    images = [line.images for line in batches]
    seconds = np.diff(completed)
    if len(seconds) and (seconds <= 0).any():
        reason = "two micro-batches completed at the same instant"
    else:
        reason = f"{len(batches)} micro-batches completed in the measured time, 2 are needed"
    if len(batches) < 2 or (seconds <= 0).any():
        for name in ("throughput_images_per_s", "within_run_ci95", "measured_s"):
            figures.absent[name] = reason
        figures.steady = Steady(0, reason)
        return
    figures.steady = steady_state(_steady_series(data, calls, batches, seconds))
    # A short run shows the rate of its whole window: it is too short for a truncation to mean much.
    cut = 0 if data.spec.short or figures.steady.cut > len(seconds) / 2 else figures.steady.cut
    rate = completion_rate(completed[cut:], images[cut:])
    if rate is not None:
        figures.throughput, figures.measured_s = rate.images_per_s, rate.seconds
        figures.micro_batches = rate.batches
        figures.interval_ns = (batches[cut].completed_ns, batches[-1].completed_ns)
    if data.consumer.end_ns is not None:
        end_s = (data.consumer.end_ns - batches[0].completed_ns) / 1e9
        figures.final_stall_s = final_stall(completed[cut:], end_s)
    if data.spec.short:
        figures.absent["within_run_ci95"] = "declared short: prints no interval"
        return
    if not figures.steady.steady:
        figures.absent["within_run_ci95"] = "no steady state"
        return
    interval = run_interval(images[cut + 1 :], seconds[cut:].tolist())
    if interval.low is None or interval.high is None:
        figures.absent["within_run_ci95"] = interval.absent_because or "too short"
    else:
        figures.interval = (interval.low, interval.high)


def _steady_series(data: RunData, calls: Calls, batches: list[BatchLine], seconds: Any) -> Any:
    """Rate of each micro-batch; for paced load, whose rate is set, its mean latency."""
    if data.spec.settings["mode"] == "paced":
        sums = [calls.latency_sums.get(line.batch) for line in batches[1:]]
        return [total / count for total, count in filter(None, sums)]
    return np.array([line.images for line in batches[1:]]) / seconds


def _latency(figures: Figures, data: RunData, calls: Calls) -> None:
    if data.spec.settings["mode"] != "paced":
        reason = "V1: only paced load has a latency"
    elif not calls.latency_images:
        reason = "no latency was recorded"
    else:
        try:
            histogram = merge(calls.latency)
            found = percentiles(histogram, len(calls.latency_sums))
            _check_clocks(clock_bound_ms(data), found["p50"].value_ms)
        except ValueError as error:
            reason = figures.clock_fault = f"V11: {error}"
        else:
            figures.histogram = histogram.tolist()
            figures.p50_ms, figures.p99_ms = found["p50"].value_ms, found["p99"].value_ms
            for name, percentile in found.items():
                if percentile.absent_because:
                    figures.absent[f"latency_ms.{name}"] = percentile.absent_because
            return
    for name in ("p50", "p99"):
        figures.absent[f"latency_ms.{name}"] = reason


def _check_clocks(bound_ms: float, median_ms: float | None) -> None:
    if median_ms is not None and bound_ms > MOST_CLOCK_SHARE * median_ms:
        raise ValueError(
            f"the clocks of producers and workers may differ by {bound_ms:.1f} ms, more than "
            f"{MOST_CLOCK_SHARE:.0%} of the median latency of {median_ms:.0f} ms"
        )


def clock_bound_ms(data: RunData) -> float:
    """How far the clocks of a producer and a worker can differ at most, in ms (rule V11).

    Hosts of one kernel (`kernels` of cluster.json) share a clock, as do all addresses of one loopback;
    two others differ by the sum of their greatest errors (`bound_s` of the nodes' facts). ValueError
    where one is not known.
    """
    kernels = data.cluster.get("kernels") or {}
    addresses = {own.address: own.host for own in data.spec.producers}
    for worker in data.cluster.get("workers", []):
        if not data.consumer.executors or worker["address"] in data.consumer.executors:
            addresses[worker["address"]] = worker["host"]
    hosts = {kernels.get(host, host): host for host in sorted(addresses.values())}
    if len(hosts) == 1 or all(address.startswith("127.") for address in addresses):
        return 0.0
    bounds = []
    for host in hosts.values():
        clock = (data.nodes.get(host) or {}).get("clock") or {}
        if clock.get("bound_s") is None:
            why = clock.get("absent_because") or "its time service does not tell"
            raise ValueError(
                f"producers and workers have different clocks, and how far off {host}'s is, is not known: {why}"
            )
        bounds.append(1e3 * float(clock["bound_s"]))
    return sum(sorted(bounds)[-2:])
