"""Links are measured both ways, and a short one is said to be short."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from link_rate import listens, measure, received_mbit_s, start_server
from testbed import link_lines, link_rows, next_machine

NAMES = ["c1", "b1", "m1", "w1"]


def hostvars(**rates: dict) -> dict:
    """Facts of four hosts on three machines, with what was measured from some of them."""
    machines = {"c1": "1", "b1": "2", "m1": "1", "w1": "3"}
    found: dict = {
        name: {"ansible_facts": {"lifelog_node": {"machine_id": machine}}}
        for name, machine in machines.items()
    }
    for name, rate in rates.items():
        found[name]["ansible_facts"]["lifelog_link_rate"] = rate
    return found


def rate(there: float | None, back: float | None, why: str | None = None) -> dict:
    return {"there_mbit_s": there, "back_mbit_s": back, "absent_because": why}


def test_the_ring_has_every_machine_once() -> None:
    assert [next_machine(NAMES, hostvars(), name) for name in NAMES] == ["b1", "w1", "", "c1"]


def test_one_machine_has_no_next() -> None:
    assert next_machine(["c1", "m1"], hostvars(), "c1") == ""
    assert next_machine(["c1", "b1"], {**hostvars(), "b1": {}}, "c1") == ""


def test_a_link_under_85_percent_of_what_both_ends_expect_is_short() -> None:
    facts = hostvars(c1=rate(941.0, 94.1), b1=rate(850.0, 941.0), w1=rate(None, None, "refused"))
    facts["w1"]["node_link_mbit"] = "10000"
    rows = link_rows(NAMES, facts, 1000)
    assert [row["verdict"] for row in rows] == ["short", "", "no reading: refused"]
    assert [row["expected"] for row in rows] == [1000, 1000, 1000]
    assert link_lines(rows) == [
        "from  to  there   back  expected  Mbit/s",
        "c1    b1  941.0   94.1      1000  short",
        "b1    w1  850.0  941.0      1000",
        "w1    c1      -      -      1000  no reading: refused",
    ]


def test_what_was_not_measured_is_said() -> None:
    assert [row["verdict"] for row in link_rows(NAMES, hostvars(), 1000)] == [
        "no reading: not measured"
    ] * 3


def test_what_iperf3_says() -> None:
    text = '{"start": {}, "end": {"sum_received": {"bits_per_second": 941234567.8}}}'
    assert received_mbit_s(text) == (941.2, None)
    assert received_mbit_s('{"error": "unable to connect to server: Connection refused"}') == (
        None,
        "unable to connect to server: Connection refused",
    )
    assert received_mbit_s("iperf3: unrecognized option") == (
        None,
        "iperf3 says something else than expected: iperf3: unrecognized option",
    )


def two_free_ports() -> int:
    """A port that is free with the next one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port if not listens(port + 1) else two_free_ports()


def test_a_link_is_measured_both_ways_and_no_server_stays(program: Callable[[str], str]) -> None:
    program("iperf3")
    port = two_free_ports()
    params = {"address": "127.0.10.1", "own_address": "127.0.10.2", "seconds": 1}
    assert [start_server("127.0.10.1", number) for number in (port, port + 1)] == ["", ""]
    assert start_server("127.0.10.1", port) == f"port {port} is taken"
    # Held back: a test needs no core for itself.
    there, why = measure(params, port, "--bitrate", "8M")
    back, why_back = measure(params, port + 1, "--reverse", "--bitrate", "8M")
    assert (why, why_back) == (None, None)
    assert there == pytest.approx(8, rel=0.3)
    assert back == pytest.approx(8, rel=0.3)
    deadline = time.monotonic() + 5
    while listens(port) or listens(port + 1):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rate, why = measure(params, port)
    assert rate is None
    assert why
    assert "Connection refused" in why


def test_a_server_that_cannot_start_says_why(program: Callable[[str], str]) -> None:
    program("iperf3")
    assert "Cannot assign requested address" in start_server("203.0.113.9", two_free_ports())
