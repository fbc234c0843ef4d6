"""This machine's counters: processor, memory, disk and network.

A systemd container (`/run/systemd/container`) shares /proc with its host, so its processor time and
memory come from its own control group, and disk counters, which no group keeps for it, are absent.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# A figure is a number, or an object of numbers.
Reader = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where some figures come from; `units` by name of the figure. No `read`: why they are absent."""

    units: dict[str, str]
    origin: str
    read: Reader | None = None
    absent_because: str | None = None

    def described(self) -> dict[str, dict[str, str | None]]:
        """The figures' entries in the first line."""
        where = {"source": None, "absent_because": self.absent_because}
        if self.read is not None:
            where = {"source": self.origin, "absent_because": None}
        return {name: {"unit": unit, **where} for name, unit in self.units.items()}

    def sample(self) -> dict[str, Any]:
        """The figures now; null, with the reason under `errors`, where they cannot be read."""
        empty: dict[str, Any] = dict.fromkeys(self.units)
        if self.read is None:
            return empty
        try:
            return empty | self.read()
        except (OSError, ValueError, KeyError) as error:
            return {**empty, "errors": [f"{', '.join(self.units)}: {error!r}"]}


def container_kind(root: Path) -> str | None:
    """What kind of systemd container this is; None where it is none."""
    try:
        return (root / "run/systemd/container").read_text("ascii").strip() or "unknown"
    except FileNotFoundError:
        return None


def sources(address: str, root: Path = Path("/")) -> list[Source]:
    """All sources of this machine; network counters are those of the interface with `address`.

    `root`: where /run, /sys are looked for, for tests.
    """
    if container_kind(root) is None:
        return [
            *_machine_cpu(),
            _machine_throttling(root),
            _machine_memory(),
            _machine_disk(),
            _network(address),
        ]
    host = "only the counters of the container's host can be read"
    return [
        _group_cpu(root / "sys/fs/cgroup"),
        Source({"steal_s": "s, cumulative"}, "", absent_because=host),
        # Its quota is no disturbance: it says how large this machine is.
        Source(_THROTTLE_UNITS, "", absent_because=host),
        _group_memory(root / "sys/fs/cgroup"),
        Source(_DISK_UNITS, "", absent_because=host),
        _network(address),
    ]


_CPU_UNITS = {"cpu_s": "s of processor time in use, all cores, cumulative"}
_THROTTLE_UNITS = {"throttled_s": "s in which the processor was slowed for its heat, cumulative"}
_MEMORY_UNITS = {"memory_used_bytes": "bytes"}
_DISK_UNITS = {"disk_read_bytes": "bytes, cumulative", "disk_write_bytes": "bytes, cumulative"}
_NET_UNITS = {"net_in_bytes": "bytes, cumulative", "net_out_bytes": "bytes, cumulative"}


def _machine_cpu() -> list[Source]:
    def busy() -> dict[str, float | int]:
        times = psutil.cpu_times()
        # `user` contains the guests' time; waiting for a disk and stolen time are not in use.
        used = times.user + times.system
        used += sum(getattr(times, name, 0.0) for name in ("nice", "irq", "softirq"))
        return {"cpu_s": round(used, 3)}

    cpu = Source(_CPU_UNITS, "psutil.cpu_times: user, nice, system, irq, softirq", busy)
    units = {"steal_s": "s of processor time taken by the hypervisor, cumulative"}
    if not hasattr(psutil.cpu_times(), "steal"):
        return [cpu, Source(units, "", absent_because="this kernel does not tell")]
    steal = Source(
        units, "psutil.cpu_times: steal", lambda: {"steal_s": round(psutil.cpu_times().steal, 3)}
    )
    return [cpu, steal]


def _machine_throttling(root: Path) -> Source:
    cpus = root / "sys/devices/system/cpu"
    # Cores of one package count the same time: the largest is meant, not the sum.
    files = sorted(cpus.glob("cpu[0-9]*/thermal_throttle/*_throttle_total_time_ms"))
    if not files:
        return Source(_THROTTLE_UNITS, "", absent_because="this machine does not tell")

    def slowed() -> dict[str, float | int]:
        return {"throttled_s": max(_number(file) for file in files) / 1000}

    return Source(_THROTTLE_UNITS, f"{cpus}/cpu*/thermal_throttle", slowed)


def _machine_memory() -> Source:
    def used() -> dict[str, float | int]:
        memory = psutil.virtual_memory()
        return {"memory_used_bytes": int(memory.total - memory.available)}

    return Source(_MEMORY_UNITS, "psutil.virtual_memory: total - available", used)


def _machine_disk() -> Source:
    def counters() -> dict[str, Any]:
        return psutil.disk_io_counters(perdisk=True, nowrap=False) or {}

    # A volume (dm, md, loop) lies on a device that counts the same bytes again.
    devices = sorted(name for name in counters() if Path(f"/sys/block/{name}/device").exists())
    if not devices:
        return Source(_DISK_UNITS, "", absent_because="no disk of this machine can be seen")

    def moved() -> dict[str, float | int]:
        now = counters()
        return {
            "disk_read_bytes": sum(now[name].read_bytes for name in devices),
            "disk_write_bytes": sum(now[name].write_bytes for name in devices),
        }

    return Source(_DISK_UNITS, f"psutil.disk_io_counters: {', '.join(devices)}", moved)


def interface_of(address: str) -> str | None:
    """The network interface that has `address`; None where none has."""
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return None
    for interface, entries in psutil.net_if_addrs().items():
        for entry in entries:
            try:
                own = ipaddress.ip_interface(f"{entry.address.partition('%')[0]}/{entry.netmask}")
            except ValueError:
                # A hardware address.
                continue
            # A loopback interface has all addresses of its network, and names one.
            if own.ip == wanted or (own.is_loopback and wanted in own.network):
                return interface
    return None


def _network(address: str) -> Source:
    interface = interface_of(address)
    if interface is None:
        return Source(_NET_UNITS, "", absent_because=f"no interface has the address {address}")

    def moved() -> dict[str, float | int]:
        counters = psutil.net_io_counters(pernic=True, nowrap=False)[interface]
        return {"net_in_bytes": counters.bytes_recv, "net_out_bytes": counters.bytes_sent}

    return Source(_NET_UNITS, f"psutil.net_io_counters: {interface}", moved)


def _group_cpu(groups: Path) -> Source:
    first, second = groups / "cpuacct/cpuacct.usage", groups / "cpu.stat"
    if first.exists():
        return Source(_CPU_UNITS, str(first), lambda: {"cpu_s": round(_number(first) / 1e9, 3)})
    if second.exists():
        return Source(
            _CPU_UNITS,
            f"{second}: usage_usec",
            lambda: {"cpu_s": round(_table(second)["usage_usec"] / 1e6, 3)},
        )
    reason = f"the container has neither {first} nor {second}"
    return Source(_CPU_UNITS, "", absent_because=reason)


def _group_memory(groups: Path) -> Source:
    # Pages of files that were not used lately go first when memory is short: as good as free.
    if (used := groups / "memory/memory.usage_in_bytes").exists():
        return _used_memory(used, groups / "memory/memory.stat", "total_inactive_file")
    if (used := groups / "memory.current").exists():
        return _used_memory(used, groups / "memory.stat", "inactive_file")
    reason = f"the container's memory is not accounted for in {groups}"
    return Source(_MEMORY_UNITS, "", absent_because=reason)


def _used_memory(used: Path, table: Path, inactive: str) -> Source:
    def read() -> dict[str, float | int]:
        return {"memory_used_bytes": max(0, _number(used) - _table(table)[inactive])}

    return Source(_MEMORY_UNITS, f"{used} - {inactive} of {table}", read)


def usable_cores(root: Path = Path("/")) -> float:
    """Cores that this machine may use: a container's quota where it has one."""
    cores = float(len(os.sched_getaffinity(0)))
    if container_kind(root) is None:
        return cores
    groups = root / "sys/fs/cgroup"
    try:
        if (groups / "cpu.max").exists():
            quota, period = (groups / "cpu.max").read_text("ascii").split()
        else:
            quota, period = (
                (groups / f"cpu/cpu.cfs_{name}_us").read_text("ascii").strip()
                for name in ("quota", "period")
            )
        return min(cores, int(quota) / int(period)) if quota not in ("max", "-1") else cores
    except (OSError, ValueError):
        return cores


def _number(file: Path) -> int:
    return int(file.read_text("ascii"))


def _table(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text("ascii").splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2}
