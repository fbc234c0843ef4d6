"""The sampler: real samples of this machine, every way it ends, and a container's own figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from lifelog import cli
from lifelog.node.counters import interface_of, sources, usable_cores
from lifelog.node.jobs import running, stop_jobs
from lifelog.node.sampler import METRICS_FILE, end_sampling
from lifelog.verification.nodemetrics import parse, summarize

BUSY = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


def start(directory: Path, limit_s: float = 60, *options: str) -> psutil.Process:
    """Start a sampler in the background as a playbook does."""
    arguments = ["--interface-of", "127.0.0.1", "--limit", str(limit_s)]
    arguments += [
        "--installed-in",
        str(directory.parent),
        "/opt/lifelog",
        "--project",
        "/home/u/testbed",
    ]
    assert cli.main(["job", "sample", str(directory), *arguments, *options]) == 0
    pid = running(directory, "sampler")
    assert pid is not None
    return psutil.Process(pid)


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s:.0f} s: {what}")


def lines(directory: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in (directory / METRICS_FILE).read_text().splitlines()]
    except FileNotFoundError:
        return []


def test_a_busy_core_shows_in_the_samples(tmp_path: Path) -> None:
    start(tmp_path)
    wait_for(lambda: len(lines(tmp_path)) >= 2, "a first sample")
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        wait_for(lambda: psutil.Process(busy.pid).cpu_times().user > 1, "a second of work", 60)
    finally:
        busy.kill()
        busy.wait()
    before = len(lines(tmp_path))
    wait_for(lambda: len(lines(tmp_path)) > max(4, before), "a sample after it")
    end_sampling(tmp_path)
    assert running(tmp_path, "sampler") is None
    header, *samples = lines(tmp_path)
    assert header["format"] == 1
    assert header["interface"] == interface_of("127.0.0.1")
    assert header["fields"]["cpu_s"]["source"].startswith("psutil")
    assert header["fields"]["replica_lag_largest_records"]["absent_because"]
    for figure, described in header["fields"].items():
        if figure != "replica_lag_error":
            known = [sample[figure] is not None for sample in samples]
            assert all(known) == (described["absent_because"] is None)
            assert any(known) == all(known)
    times = [sample["time_ns"] for sample in samples]
    assert times == sorted(set(times))
    assert samples[0]["cores"] >= 1
    assert 0 < samples[0]["memory_used_bytes"] < psutil.virtual_memory().total
    # The machine's time is counted in ticks of 10 ms.
    assert samples[-1]["cpu_s"] - samples[0]["cpu_s"] > 0.9
    found = summarize(parse((tmp_path / METRICS_FILE).read_text()), times[0], times[-1])
    assert 0.05 < found["mean_busy_cores"] <= (os.cpu_count() or 1) + 0.5
    assert found["peak_memory_mb"] > 1
    # The busy process is a stranger's, the sampler is ours.
    assert samples[-1]["foreign_s"] - samples[0]["foreign_s"] > 0.9
    assert found["foreign_share"] > 0
    assert found["component_cores"].keys() == {"kernel", "sampler"}
    # What depends on the machine (steal, heat) may be absent as well, and says so.
    absent = found["absent_because"].keys()
    assert {"largest_replica_lag_records"} <= absent
    assert absent <= {"largest_replica_lag_records", "steal_share", "throttled_share"}
    assert "the run is over" in (tmp_path / "sampler.log").read_text()


def test_it_ends_when_its_job_is_stopped(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(lambda: len(lines(tmp_path)) >= 2, "a sample")
    assert stop_jobs(tmp_path, timeout_s=30) == []
    assert ended(process)


def test_it_ends_when_its_directory_is_removed(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    process = start(directory)
    wait_for(lambda: len(lines(directory)) >= 2, "a sample")
    shutil.rmtree(directory)
    wait_for(lambda: ended(process), "the sampler ends")


def test_it_ends_at_its_limit(tmp_path: Path) -> None:
    process = start(tmp_path, 1.5)
    wait_for(lambda: ended(process), "the sampler ends")
    assert "the limit" in (tmp_path / "sampler.log").read_text()
    assert len(lines(tmp_path)) >= 2


def test_a_sampler_that_an_interruption_left_is_swept_up(tmp_path: Path) -> None:
    old, live = tmp_path / "smoke-a-r01-a01-m1", tmp_path / "smoke-b-r01-a01-m1"
    for directory in (old, live):
        directory.mkdir()
    left, sampling = start(old), start(live)
    for directory in (old, live):
        wait_for(lambda d=directory: len(lines(d)) >= 2, "a sample")
    # Nobody has renewed it for a minute, and the sampler has not looked since.
    os.utime(old / "lease", (0, 0))
    assert cli.main(["job", "sweep", str(tmp_path), "--host", "m1"]) == 0
    assert ended(left)
    assert not old.exists()
    assert live.exists()
    assert not ended(sampling)
    stop_jobs(live)


def test_brokers_that_do_not_answer_delay_no_sample(tmp_path: Path) -> None:
    # A port at which nothing listens.
    spec = {
        "bootstrap_servers": ["127.0.0.1:1"],
        "topic": "t",
        "replica_assignment": [[1, 2], [2, 1]],
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    start(tmp_path, 60, "--replica-lag")
    wait_for(lambda: any(s.get("replica_lag_error") for s in lines(tmp_path)), "an error")
    end_sampling(tmp_path)
    header, *samples = lines(tmp_path)
    assert header["fields"]["replica_lag_sum_records"]["absent_because"] is None
    assert all(sample["replica_lag_sum_records"] is None for sample in samples)
    assert len(samples) >= 2


def test_without_followers_no_broker_is_asked(tmp_path: Path) -> None:
    spec = {"bootstrap_servers": ["127.0.0.1:1"], "topic": "t", "replica_assignment": [[1], [2]]}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    process = start(tmp_path, 1.5, "--replica-lag")
    wait_for(lambda: ended(process), "the sampler ends")
    header, *samples = lines(tmp_path)
    described = header["fields"]["replica_lag_largest_records"]["absent_because"]
    assert described.startswith("replication 1")
    assert all(sample["replica_lag_error"] is None for sample in samples)


def test_the_interface_is_that_of_the_address() -> None:
    assert interface_of("127.0.0.1") == interface_of("127.0.3.7") != interface_of("192.0.2.77")
    for interface, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if entry.family.name == "AF_INET" and not entry.address.startswith("127."):
                assert interface_of(entry.address) == interface
    assert interface_of("a-name") is None
    (network,) = [s for s in sources("192.0.2.77") if "net_in_bytes" in s.units]
    assert network.sample() == {"net_in_bytes": None, "net_out_bytes": None}
    assert "192.0.2.77" in str(network.absent_because)


def container(root: Path, files: dict[str, str]) -> dict[str, Any]:
    """One sample of a made-up container, whose control groups are these files."""
    for name, content in {"run/systemd/container": "systemd-nspawn\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    sample: dict[str, Any] = {"cores": usable_cores(root)}
    for source in sources("127.0.0.1", root):
        sample |= source.sample()
        assert (source.absent_because is None) == (source.read is not None)
    return sample


GROUPS = "sys/fs/cgroup"


@pytest.mark.parametrize(
    "files",
    [
        {
            f"{GROUPS}/cpuacct/cpuacct.usage": "1500000000\n",
            f"{GROUPS}/cpu/cpu.cfs_quota_us": "20000\n",
            f"{GROUPS}/cpu/cpu.cfs_period_us": "100000\n",
            f"{GROUPS}/memory/memory.usage_in_bytes": "5000\n",
            f"{GROUPS}/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n",
        },
        {
            f"{GROUPS}/cpu.stat": "usage_usec 1500000\nuser_usec 1000000\n",
            f"{GROUPS}/cpu.max": "20000 100000\n",
            f"{GROUPS}/memory.current": "5000\n",
            f"{GROUPS}/memory.stat": "anon 3000\ninactive_file 2000\n",
        },
    ],
    ids=["v1", "v2"],
)
def test_a_container_has_its_own_figures(tmp_path: Path, files: dict[str, str]) -> None:
    sample = container(tmp_path, files)
    assert (sample["cpu_s"], sample["memory_used_bytes"]) == (1.5, 3000)
    assert sample["cores"] == pytest.approx(0.2)
    assert sample["disk_read_bytes"] is sample["disk_write_bytes"] is sample["steal_s"] is None
    assert sample["net_in_bytes"] >= 0


def test_a_processor_that_was_slowed_for_its_heat_says_so(tmp_path: Path) -> None:
    for cpu, slowed_ms in ((0, 1500), (1, 2500)):
        file = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle"
        file.mkdir(parents=True)
        (file / "package_throttle_total_time_ms").write_text(f"{slowed_ms}\n")
    (heat,) = [s for s in sources("127.0.0.1", tmp_path) if "throttled_s" in s.units]
    assert heat.sample() == {"throttled_s": 2.5}
    (silent,) = [s for s in sources("127.0.0.1", tmp_path / "x") if "throttled_s" in s.units]
    assert silent.absent_because == "this machine does not tell"


def test_a_container_without_accounting_says_so(tmp_path: Path) -> None:
    sample = container(tmp_path, {f"{GROUPS}/cpu.max": "max 100000\n"})
    assert sample["cpu_s"] is sample["memory_used_bytes"] is None
    assert sample["cores"] == len(os.sched_getaffinity(0))


def test_a_figure_that_cannot_be_read_once_is_null_with_its_reason(tmp_path: Path) -> None:
    sample = container(tmp_path, {f"{GROUPS}/cpu.stat": "nonsense 1\n"})
    assert sample["cpu_s"] is None
    assert sample["errors"] == ["cpu_s: KeyError('usage_usec')"]
