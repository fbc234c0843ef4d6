"""Which part of a point works on which machine, and the bytes that each link carries for an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifelog.capacity.load import Load
from lifelog.capacity.parts import Wire

# A full Ethernet frame: 1,448 bytes of a TCP segment (with timestamps) in 1,538 on the wire (preamble
# and gap, heads of Ethernet, IP and TCP, check sum), so 1 Gbit/s carries 941 Mbit/s. (IEEE 802.3, RFC 7323.)
FRAME_SHARE = 1448 / 1538
# A row of results for the driver beside its keys: counts, times, the worker's name.
ROW_BYTES = 200


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with its cores and its link each way in bytes/s; None for loopback or unknown."""

    name: str
    cores: float
    link_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Machines, and on which (their index) each part lives.

    `replicas`: for each partition the machines of its brokers, the leader's first. `producers` and
    `workers`: one entry for each process or Spark worker. `slots`: tasks that run at one time.
    """

    machines: tuple[Machine, ...]
    brokers: tuple[int, ...]
    replicas: tuple[tuple[int, ...], ...]
    producers: tuple[int, ...]
    workers: tuple[int, ...]
    driver: int
    slots: int
    controllers: tuple[int, ...] = ()

    def share(self, places: Sequence[int], machine: int) -> float:
        """Which share of these parts lives on a machine."""
        return places.count(machine) / len(places) if places else 0.0

    @property
    def leaders(self) -> tuple[int, ...]:
        """The machine that leads each partition."""
        return tuple(own[0] for own in self.replicas)

    @property
    def followers(self) -> tuple[int, ...]:
        """The machine of each further replica."""
        return tuple(machine for own in self.replicas for machine in own[1:])

    @property
    def producer_cores(self) -> float:
        """Cores of the machines that producers live on."""
        return sum(self.machines[at].cores for at in set(self.producers))

    @property
    def producers_share_cores(self) -> bool:
        """Whether producers live beside workers, and so get what these leave (rule V12)."""
        return bool(set(self.producers) & set(self.workers))


def machine_groups(hosts: Mapping[str, Any]) -> dict[str, list[str]]:
    """The hosts of each machine, by a name for it; hosts of one machine id share a machine.

    `hosts`: facts by host, of which `machine_id` is read; a host without one is a machine.
    """
    groups: dict[str, list[str]] = {}
    for host, facts in sorted(hosts.items()):
        known = facts.get("machine_id") if isinstance(facts, Mapping) else None
        groups.setdefault(known or f"host {host}", []).append(host)
    more = {1: "", 2: " and 1 more host"}
    return {
        own[0] + more.get(len(own), f" and {len(own) - 1} more hosts"): own
        for own in groups.values()
    }


def link_bytes_per_image(
    load: Load, layout: Layout, wire: Wire, images_per_s: float
) -> list[tuple[float, float]]:
    """Bytes in and out of each machine's link for one image; what stays on a machine is on no link.

    Producers write round-robin to all leaders, followers fetch from theirs, any worker reads any
    partition, and returns one row with the keys for each engine call.
    """
    batches = 1 / load.records_per_batch(images_per_s)
    record = load.images_per_record * load.image_bytes + wire.record_bytes
    image = (record + batches * wire.record_batch_bytes) / load.images_per_record
    row = ROW_BYTES / load.images_per_call + 16 / load.images_per_record
    into, out = [0.0] * len(layout.machines), [0.0] * len(layout.machines)

    def flow(source: int, target: int, size: float) -> None:
        if source != target:
            out[source] += size / FRAME_SHARE
            into[target] += size / FRAME_SHARE

    partitions = len(layout.replicas)
    for leader, *followers in layout.replicas:
        for producer in layout.producers:
            flow(producer, leader, image / partitions / len(layout.producers))
        for follower in followers:
            flow(leader, follower, image / partitions)
        for worker in layout.workers:
            flow(leader, worker, image / partitions / len(layout.workers))
    for worker in layout.workers:
        flow(worker, layout.driver, row / len(layout.workers))
    return list(zip(into, out, strict=True))
