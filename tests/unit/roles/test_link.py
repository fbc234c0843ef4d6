"""The interface of an address and its speed are found, or the reason is given."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible.module_utils.testbed_link import (
    interface_of,
    ipv4_interfaces,
    ipv6_interfaces,
    link_of,
    speed_mbit_s,
)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A directory laid out like /sys/class/net: a card, a bond above it, a virtual pair and a virtio card."""
    for name, speed in {"eno1": "1000", "bond0": "1000", "host0": "10000", "ens3": "-1"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "speed").write_text(speed + "\n", encoding="utf-8")
    (tmp_path / "eno1/device").mkdir()
    (tmp_path / "ens3/device").mkdir()
    (tmp_path / "bond0/lower_eno1").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("interface", "speed", "why"),
    [
        ("eno1", 1000, None),
        ("bond0", 1000, None),
        ("host0", None, "host0 is virtual: what it says of its speed means nothing"),
        ("ens3", None, "the driver of ens3 does not say"),
        ("lo", None, "loopback has no link"),
    ],
)
def test_speed(network: Path, interface: str, speed: int | None, why: str | None) -> None:
    assert speed_mbit_s(interface, str(network)) == (speed, why)


def test_every_interface_that_the_kernel_lists_is_one_of_this_machine() -> None:
    names = {name for _, name in socket.if_nameindex()}
    assert ipv4_interfaces()["127.0.0.1"] == "lo"
    assert set(ipv4_interfaces().values()) <= names
    assert set(ipv6_interfaces().values()) <= names


def test_an_ipv6_address_is_found_however_it_is_written(tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text("20010db8000000000000000000000011 02 40 00 80     eno1\n", encoding="utf-8")
    assert ipv6_interfaces(str(table)) == {"2001:db8::11": "eno1"}
    assert ipv6_interfaces(str(tmp_path / "absent")) == {}


def test_any_loopback_address_is_on_loopback() -> None:
    assert interface_of("127.0.10.11") == "lo"
    assert link_of("127.0.10.11") == {
        "interface": "lo",
        "speed_mbit_s": None,
        "absent_because": "loopback has no link",
    }


def test_an_address_of_another_machine() -> None:
    assert link_of("203.0.113.9") == {
        "interface": None,
        "speed_mbit_s": None,
        "absent_because": "no interface has 203.0.113.9",
    }
