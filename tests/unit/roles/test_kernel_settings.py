"""Settings of the kernel are set, left alone or refused, and kept for the next boot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_settings import apply, is_upper_limit, keep, open_files, text
from testbed import setting_lines

WANTED = {
    "vm.swappiness": 1,
    "vm.max_map_count": 262144,
    "net.ipv4.tcp_rmem": "4096 131072 6291456",
}


CAP_SYS_RESOURCE = 24


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A directory laid out like /proc/sys."""
    for name, value in {
        "vm/swappiness": "60\n",
        "vm/max_map_count": "65530\n",
        "net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(value, encoding="utf-8")
    return tmp_path


def test_what_differs_is_set_and_a_second_time_nothing_does(kernel: Path) -> None:
    report, before, after = apply(WANTED, False, str(kernel))
    assert report == {
        "set": {"vm.max_map_count": "262144", "vm.swappiness": "1"},
        "already_set": {"net.ipv4.tcp_rmem": "4096 131072 6291456"},
        "refused": {},
    }
    assert before["vm.swappiness"] == "60"
    assert after["vm.swappiness"] == "1"
    assert (kernel / "vm/max_map_count").read_text(encoding="utf-8") == "262144\n"
    again, before, after = apply(WANTED, False, str(kernel))
    assert again["set"] == {}
    assert before == after


def test_a_check_says_the_same_and_sets_nothing(kernel: Path) -> None:
    report, _, _ = apply(WANTED, True, str(kernel))
    assert report["set"] == {"vm.max_map_count": "262144", "vm.swappiness": "1"}
    assert (kernel / "vm/swappiness").read_text(encoding="utf-8") == "60\n"


def test_a_larger_upper_limit_stays_and_another_larger_value_does_not(kernel: Path) -> None:
    (kernel / "vm/max_map_count").write_text("1048576\n", encoding="utf-8")
    report, _, after = apply({"vm.max_map_count": 262144, "vm.swappiness": 1}, False, str(kernel))
    assert report["already_set"] == {"vm.max_map_count": "1048576"}
    assert report["set"] == {"vm.swappiness": "1"}
    # A boot must not lower it either.
    assert after["vm.max_map_count"] == "1048576"


@pytest.mark.parametrize(
    ("name", "upper"),
    [
        ("vm.max_map_count", True),
        ("net.core.rmem_max", True),
        ("net.core.somaxconn", True),
        ("vm.swappiness", False),
        ("net.ipv4.tcp_rmem", False),
    ],
)
def test_which_settings_are_upper_limits(name: str, upper: bool) -> None:
    assert is_upper_limit(name) is upper


def test_an_unknown_setting_is_refused_and_no_change(kernel: Path) -> None:
    report, before, after = apply({"vm.swapines": 1}, False, str(kernel))
    assert report["refused"] == {"vm.swapines": "this kernel does not have it here"}
    assert before == after == {}


def test_the_kernel_of_this_machine_refuses_what_nobody_may_set() -> None:
    """kernel.osrelease is read-only for everyone, and reading it is enough for a setting that is right."""
    report, _, _ = apply({"kernel.osrelease": os.uname().release}, False)
    assert report["already_set"] == {"kernel.osrelease": os.uname().release}
    report, _, _ = apply({"kernel.osrelease": "other"}, True)
    assert list(report["refused"]) == ["kernel.osrelease"]


def test_the_file_for_the_next_boot(tmp_path: Path) -> None:
    path = tmp_path / "90-lifelog.conf"
    assert keep(str(path), {"vm.swappiness": "1"}, True)
    assert not path.exists()
    diff = keep(str(path), {"vm.swappiness": "1", "vm.max_map_count": "262144"}, False)
    assert diff
    assert path.read_text(encoding="utf-8") == diff["after"]
    assert path.read_text(encoding="utf-8").splitlines()[1:] == [
        "vm.max_map_count = 262144",
        "vm.swappiness = 1",
    ]
    assert path.stat().st_mode & 0o777 == 0o644
    assert keep(str(path), {"vm.swappiness": "1", "vm.max_map_count": "262144"}, False) is None
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_machine_that_refuses_everything_has_no_file(tmp_path: Path) -> None:
    path = tmp_path / "90-lifelog.conf"
    assert keep(str(path), {}, False) is None
    path.write_text(text({"vm.swappiness": "1"}), encoding="utf-8")
    assert keep(str(path), {}, False)
    assert not path.exists()


def test_the_limit_of_open_files() -> None:
    kind, value = open_files(1)
    assert kind == "already_set"
    assert value == "infinity" or int(value) >= 1
    # No process may open more than this, whoever asks.
    most = int(Path("/proc/sys/fs/nr_open").read_text(encoding="utf-8"))
    assert open_files(most + 1)[0] == "refused"


def test_a_low_limit_of_open_files_can_be_raised_where_this_process_may() -> None:
    code = "import kernel_settings; print(*kernel_settings.open_files(300))"
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    capable = int(status.split("CapEff:")[1].split()[0], 16) >> CAP_SYS_RESOURCE & 1
    assert done.stdout.startswith("set 300" if capable else "refused more than 256: ")


def test_one_line_for_each_kind() -> None:
    report = {
        "set": {"vm.max_map_count": "262144"},
        "already_set": {},
        "refused": {
            "vm.swappiness": "read-only file system",
            "net.core.rmem_max": "permission denied",
        },
    }
    assert setting_lines(report, "b1") == [
        "b1: set: vm.max_map_count = 262144",
        "b1: refused: vm.swappiness (read-only file system), net.core.rmem_max (permission denied)",
    ]
    assert setting_lines(report, "b1", True)[0] == "b1: would be set: vm.max_map_count = 262144"
