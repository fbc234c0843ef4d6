"""What stands in the way of a lab is said before anything is started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lab_machines import Lab, LabError, bits_per_s, peer

MACHINES = [
    {"name": "broker-1", "management": "198.18.1.11", "address": "198.18.2.11", "lower": []},
    {"name": "worker-1", "management": "198.18.1.21", "address": "198.18.2.21", "lower": []},
]


def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int = 0, **changes: Any) -> str:
    """Sentences about a lab of two machines with some parameters changed."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    parameters = {
        "directory": str(tmp_path),
        "machines": MACHINES,
        "management_network": "198.18.1.0/24",
        "data_network": "198.18.2.0/24",
        "link_rate": "1gbit",
        "uplink": True,
        "memory_mb": 1,
        "user": "ops",
    }
    return "\n".join(Lab({**parameters, **changes}).problems())


def test_it_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "needs root: type sudo" in problems(tmp_path, monkeypatch, uid=1000)


def test_it_needs_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(tmp_path, monkeypatch, memory_mb=10**9)
    assert "MB of memory are free and 2 machines need 2000000000 MB: take machines out" in found


def test_an_address_outside_of_its_network_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = problems(tmp_path, monkeypatch, data_network="198.18.3.0/24")
    assert "broker-1: node_address 198.18.2.11 is not in 198.18.3.0/24: correct it" in found


def test_a_range_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands for the machine's own routes, which a test cannot choose.
    routes = '[{"dst": "default", "dev": "eth0"}, {"dst": "198.18.0.0/16", "dev": "eth0"}]'
    monkeypatch.setattr("lab_machines.run", lambda *_argv: routes)
    monkeypatch.setattr("lab_machines.shutil.which", lambda name: name)
    found = problems(tmp_path, monkeypatch)
    assert "198.18.1.0/24 is in use on eth0: choose another lab_management_network" in found
    assert "198.18.2.0/24 is in use on eth0: choose another lab_data_network" in found


@pytest.mark.parametrize(("rate", "bits"), [("1gbit", 1e9), ("100mbit", 1e8), ("64kbit", 64e3)])
def test_rates_are_read_as_tc_writes_them(rate: str, bits: float) -> None:
    assert bits_per_s(rate) == bits


@pytest.mark.parametrize("rate", ["1", "1 gbit", "0mbit", "1Gb/s", "fast"])
def test_other_rates_are_refused(rate: str) -> None:
    with pytest.raises(LabError, match="write it like 1gbit or 100mbit"):
        bits_per_s(rate)


def test_names_of_interfaces_are_short_and_differ() -> None:
    names = {
        peer(f"a-very-long-name-of-a-machine-{number}", interface)
        for number in range(100) for interface in ("mgmt0", "host0")
    }  # fmt: skip
    assert len(names) == 200
    assert max(map(len, names)) <= 15
