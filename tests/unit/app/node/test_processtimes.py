"""Processor time by component: made-up process tables, and real processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from lifelog.node.components import Testbed
from lifelog.node.counters import Source, sources
from lifelog.node.processtimes import ProcessTimes, component_sources

TICKS = os.sysconf("SC_CLK_TCK")
TESTBED = Testbed(["/opt/lifelog", "/etc/lifelog"], "/home/u/testbed")
BROKER = "java kafka.Kafka /etc/lifelog/b/server.properties"
EXECUTOR = "java /opt/lifelog/x org.apache.spark.executor.CoarseGrainedExecutorBackend"
KERNEL_THREAD = 0x00200000


class Table:
    """A /proc of made-up processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = root / "proc"
        self.set(1, 0, "/sbin/init")

    def set(
        self, pid: int, parent: int, command: str, own_s: float = 0, reaped_s: float = 0,
        name: str = "p (x) y", started: int = 7, flags: int = 0,
    ) -> None:  # fmt: skip
        fields = ["S", parent, 0, 0, 0, -1, flags, 0, 0, 0, 0]
        fields += [round(own_s * TICKS), 0, round(reaped_s * TICKS), 0, 20, 0, 1, 0, started, 0, 0]
        directory = self.proc / str(pid)
        directory.mkdir(parents=True, exist_ok=True)
        text = f"{pid} ({name}) {' '.join(map(str, fields))}\n"
        (directory / "stat").write_text(text)
        (directory / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")

    def end(self, pid: int) -> None:
        for file in (self.proc / str(pid)).iterdir():
            file.unlink()
        (self.proc / str(pid)).rmdir()


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """A table with init only."""
    return Table(tmp_path)


def changed(times: ProcessTimes, before: dict[str, float]) -> dict[str, float]:
    now = times.scan()
    assert all(now[name] >= own for name, own in before.items()), "a total fell"
    return {name: round(own - before.get(name, 0.0), 3) for name, own in now.items() if own}


def test_time_is_the_components_and_counts_from_the_first_scan(table: Table) -> None:
    table.set(10, 1, BROKER, 100)
    table.set(11, 1, BROKER.replace("/etc/lifelog", "/etc/other"), 100)
    table.set(12, 1, "/usr/bin/editor", 100)
    times = ProcessTimes(TESTBED, table.proc)
    assert set(times.scan().values()) == {0.0}
    table.set(10, 1, BROKER, 101.5)
    table.set(11, 1, BROKER.replace("/etc/lifelog", "/etc/other"), 102)
    table.set(12, 1, "/usr/bin/editor", 100.25)
    # Since: all of its time is new.
    table.set(13, 1, EXECUTOR, 3)
    assert changed(times, {}) == {"broker": 1.5, "executor": 3.0, "foreign": 2.25}


def test_a_child_that_says_nothing_is_its_parents(table: Table) -> None:
    # The child's number is the lower one: it is met first.
    table.set(30, 1, EXECUTOR)
    table.set(20, 30, "sleep 1")
    table.set(15, 20, "sleep 2")
    table.set(40, 30, "python -m pyspark.daemon")
    times = ProcessTimes(TESTBED, table.proc)
    times.scan()
    for pid, parent in ((20, 30), (15, 20)):
        table.set(pid, parent, "sleep 1", 1)
    table.set(40, 30, "python -m pyspark.daemon", 5)
    assert changed(times, {}) == {"executor": 2.0, "python_worker": 5.0}
    # Its parent was killed: it stays what it was.
    table.end(30)
    table.set(20, 1, "sleep 1", 2)
    assert times.scan()["executor"] == 3.0


def test_totals_stay_when_processes_end_and_numbers_are_given_anew(table: Table) -> None:
    table.set(10, 1, EXECUTOR, 50)
    times = ProcessTimes(TESTBED, table.proc)
    times.scan()
    table.set(10, 1, EXECUTOR, 52)
    before = times.scan()
    # Half a second that no scan saw, and what init has waited for before is not new.
    table.end(10)
    table.set(1, 0, "/sbin/init", 0, 52.5)
    assert changed(times, before)["executor"] == 0.0
    assert times.scan()["foreign"] == 0.5
    table.set(10, 1, "/usr/bin/editor", 1, started=8)
    assert changed(times, before) == {"executor": 0.0, "foreign": 1.5}


def test_a_child_between_two_scans_is_its_parents(table: Table) -> None:
    table.set(10, 1, BROKER, reaped_s=9)
    times = ProcessTimes(TESTBED, table.proc)
    before = times.scan()
    table.set(10, 1, BROKER, reaped_s=9.75)
    assert changed(times, before)["broker"] == 0.75


def test_an_orphan_is_not_counted_again_by_who_waits_for_it(table: Table) -> None:
    table.set(10, 1, EXECUTOR)
    table.set(11, 10, "python -m pyspark.daemon", 100)
    times = ProcessTimes(TESTBED, table.proc)
    before = times.scan()
    # Both end in one second, and init gets both.
    table.end(10)
    table.end(11)
    table.set(1, 0, "/sbin/init", 0, 100)
    assert set(changed(times, before).values()) <= {0.0}


def test_a_process_that_becomes_another_program_is_that(table: Table) -> None:
    table.set(10, 1, "bash /opt/lifelog/spark-class", name="bash")
    times = ProcessTimes(TESTBED, table.proc)
    times.scan()
    table.set(10, 1, EXECUTOR, 2, name="java")
    assert changed(times, {}) == {"executor": 2.0}


def test_the_kernels_threads_are_no_strangers(table: Table) -> None:
    threads = {"kworker/0:1": 2, "ksoftirqd/0": 4}
    for pid, (name, parent) in enumerate(threads.items(), start=20):
        table.set(pid, parent, "", name=name, flags=KERNEL_THREAD)
    times = ProcessTimes(TESTBED, table.proc)
    times.scan()
    for pid, (name, parent) in enumerate(threads.items(), start=20):
        table.set(pid, parent, "", 1, name=name, flags=KERNEL_THREAD)
    # The time of ksoftirqd is that of the interrupts, which the machine counts.
    assert changed(times, {}) == {"kernel": 1.0}


def split(cpu: list[float], root: Path) -> Source:
    """The source of a container that has used so much at each reading."""
    (root / "run/systemd").mkdir(parents=True)
    (root / "run/systemd/container").write_text("nspawn")
    (source,) = component_sources(TESTBED, Source({}, "", lambda: {"cpu_s": cpu.pop(0)}), root)
    return source


def test_the_rest_of_a_containers_time_is_foreign(table: Table) -> None:
    table.set(10, 1, BROKER, 40)
    table.set(11, 1, "/usr/sbin/sshd", 10)
    # Two at the first sample: the later one counts.
    source = split([99, 100, 104, 104.9, 106], table.root)
    assert source.sample() == {
        "components_s": {"broker": 0.0},
        "foreign_s": 0.0,
    }
    table.set(10, 1, BROKER, 42)
    table.set(11, 1, "/usr/sbin/sshd", 10.5)
    # 1.5 s were used by what no scan saw.
    assert source.sample() == {"components_s": {"broker": 2.0}, "foreign_s": 2.0}
    table.set(10, 1, BROKER, 43)
    # 0.1 s less than were seen: a rounding, and no time that was given back.
    assert source.sample()["foreign_s"] == 2.0
    table.set(11, 1, "/usr/sbin/sshd", 10.6)
    assert source.sample()["foreign_s"] == pytest.approx(3.0)


def test_hidden_processes_are_absent_with_their_reason(tmp_path: Path) -> None:
    (source,) = component_sources(TESTBED, Source({}, "", lambda: {"cpu_s": 1.0}), tmp_path)
    assert source.sample() == {"components_s": None, "foreign_s": None}
    assert "hidden" in str(source.absent_because)


def test_without_the_machines_time_only_the_rest_is_unknown(table: Table) -> None:
    cpu = Source({"cpu_s": "s"}, "", absent_because="no accounting")
    components, foreign = component_sources(TESTBED, cpu, table.root)
    assert components.sample()["components_s"].keys() <= {"kernel"}
    assert foreign.sample() == {"foreign_s": None}
    assert "no accounting" in str(foreign.absent_because)


def test_processes_that_cannot_be_listed_any_more_are_null(table: Table) -> None:
    source = split([1, 2, 3], table.root)
    source.sample()
    table.proc.rename(table.root / "gone")
    sample = source.sample()
    assert sample["components_s"] is sample["foreign_s"] is None
    assert sample["errors"]


BUSY = "import time\nwhile time.process_time() < {}: pass"


def busy(seconds: float, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", BUSY.format(seconds), *options])


def of_this_machine(testbed: Testbed) -> Source:
    (cpu,) = (source for source in sources("127.0.0.1") if "cpu_s" in source.units)
    (source,) = component_sources(testbed, cpu)
    return source


def test_a_strangers_short_work_shows_as_foreign() -> None:
    source = of_this_machine(TESTBED)
    before = source.sample()["foreign_s"]
    # It has ended before anybody looks.
    assert busy(0.4).wait(60) == 0
    assert source.sample()["foreign_s"] - before > 0.35


def test_a_tree_of_ours_is_ours_to_its_last_child() -> None:
    # As if this interpreter were installed by the testbed, and a producer.
    installed = str(Path(sys.executable).parent)
    times = ProcessTimes(Testbed([installed], "/x"))
    times.scan()
    child = BUSY.format(0.4)
    script = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n"
        f"{BUSY.format(0.3)}\ntime.sleep(60)"
    )
    code = [sys.executable, "-c", script, "lifelog", "produce"]
    with subprocess.Popen(code) as parent:
        try:
            found: dict[str, float] = {}
            deadline = time.monotonic() + 60
            while found.get("producer", 0) < 0.65 and time.monotonic() < deadline:
                time.sleep(0.1)
                now = times.scan()
                assert now.get("producer", 0) >= found.get("producer", 0)
                found = now
        finally:
            parent.kill()
    # Each counted once: in a second reading of the parent its child's time comes again.
    assert 0.65 <= found["producer"] < 1.5
    assert times.scan()["producer"] >= found["producer"]


def test_a_scan_costs_little() -> None:
    times = ProcessTimes(TESTBED)
    times.scan()
    before = psutil.Process().cpu_times()
    scans = 20
    for _ in range(scans):
        times.scan()
    after: Any = psutil.Process().cpu_times()
    per_process = (
        (after.user + after.system - before.user - before.system) / scans / len(psutil.pids())
    )
    # 1 % of a core at a scan a second, on a machine with a hundred processes.
    assert per_process < 100e-6
