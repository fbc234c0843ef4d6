"""The clock's source and offset are read, or the reason is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.testbed_clock import (
    chrony_offset,
    clock_of,
    output,
    running_service,
    timesyncd_offset,
)

SYNCHRONISED = (
    "C0248F97,192.0.2.123,2,1795650000.123456789,-0.000012345,0.000023456,0.000034567,"
    "-12.345,0.001,0.015,0.012345678,0.000456789,64.2,Normal\n"
)
UNSYNCHRONISED = (
    "7F7F0101,,0,0.000000000,-0.000000000,0.000000000,0.000000000,"
    "0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised\n"
)
TIMESYNCD = """\
       Server: 192.0.2.123 (time.example.org)
Poll interval: 1min 4s (min: 32s; max 34min 8s)
         Leap: normal
      Version: 4
      Stratum: 2
    Reference: C0248F97
    Precision: 1us (-25)
Root distance: 22.598ms (max: 5s)
       Offset: {}
        Delay: 6.285ms
       Jitter: 0
 Packet count: 1
"""


def test_chrony_says_how_far_the_clock_is_off() -> None:
    offset, bound, why = chrony_offset(SYNCHRONISED)
    assert offset == -0.000012345
    assert bound == pytest.approx(0.000012345 + 0.012345678 / 2 + 0.000456789)
    assert why is None


def test_a_chrony_without_a_source_has_no_offset() -> None:
    offset, bound, why = chrony_offset(UNSYNCHRONISED)
    assert offset is None
    assert bound is None
    assert why
    assert why.startswith("chrony has no time source yet")


def test_another_answer_of_chrony_is_not_guessed_at() -> None:
    assert chrony_offset("506 Cannot talk to daemon\n") == (
        None,
        None,
        "chronyc says something else than expected: 506 Cannot talk to daemon",
    )


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("+1.025ms", 0.001025), ("-25us", -25e-6), ("+1min 2.5s", 62.5), ("-3s", -3.0), ("+0", 0.0)],
)
def test_timesyncd_says_how_far_the_clock_is_off(written: str, seconds: float) -> None:
    offset, bound, why = timesyncd_offset(TIMESYNCD.format(written))
    assert offset == pytest.approx(seconds)
    assert bound == pytest.approx(abs(seconds) + 0.022598)
    assert why is None


def test_a_timesyncd_without_an_answer_has_no_offset() -> None:
    text = TIMESYNCD.split("         Leap", 1)[0] + " Packet count: 0\n"
    assert timesyncd_offset(text) == (
        None,
        None,
        "systemd-timesyncd has had no answer from a time server yet",
    )


@pytest.mark.parametrize(
    ("commands", "service"),
    [
        (["systemd", "chronyd"], "chrony"),
        (["systemd", "systemd-timesyn"], "timesyncd"),
        (["ptp4l", "chronyd"], "chrony"),
        (["systemd", "sshd"], ""),
    ],
)
def test_which_service_runs(tmp_path: Path, commands: list[str], service: str) -> None:
    for number, command in enumerate(commands):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(command + "\n", encoding="utf-8")
    assert running_service(str(tmp_path)) == service


def test_the_clock_of_this_machine_has_an_offset_or_a_reason() -> None:
    found = clock_of("", "")
    assert (found["offset_s"] is None) == bool(found["absent_because"])
    assert found["source"]
    assert found["shared_kernel"] is None


def test_a_shared_clock_is_said_to_be_shared() -> None:
    found = clock_of("systemd-nspawn", "lab")
    assert found["shared_kernel"] == "lab"
    if not running_service():
        assert found["source"] == "shared"
        assert found["absent_because"] == "the hosts of node_kernel lab share one clock"


def test_a_command_that_fails_leaves_its_reason(tmp_path: Path) -> None:
    assert output("echo", "yes") == ("yes\n", "")
    assert output("sh", "-c", "echo first >&2; echo last >&2; exit 3") == ("", "last")
    assert output(str(tmp_path / "absent"))[1]
