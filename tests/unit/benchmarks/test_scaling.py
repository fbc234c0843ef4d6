"""Tables and command line of the scaling benchmark, from results made here."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest
import scaling
from scaling import Batch, Slots, batches_table, slots_table

from profiling.window import Roles


def test_slots_are_held_to_what_those_with_a_partition_can_do() -> None:
    own = Slots(
        slots=32, partitions=16, images_per_s=15_600, possible_images_per_s=16_000, batch_s=8
    )
    assert own.share == pytest.approx(0.975)
    assert "| 32 | 16 | 15,600 | 0.975 | 8.0 |" in slots_table([own])


def test_the_cost_of_a_partition_is_the_slope() -> None:
    def batch(reader: str, partitions: int, each_ms: float) -> Batch:
        whole = 50 + each_ms * partitions
        parts = {"latestOffset": 3.0, "queryPlanning": 4.0, "walCommit": 4.0, "commitOffsets": 5.0}
        parts |= {"addBatch": whole - 16, "triggerExecution": whole}
        return Batch(reader, partitions, parts, {"executors": 9.0, "workers": 8.0, "driver": 7.0})

    text = batches_table(
        [batch(name, n, ms) for name, ms in (("connector", 6), ("direct", 4)) for n in (4, 32, 128)]
    )
    assert "| direct | 32 | 178 | 162 | 7 | 9 | 9 | 8 | 7 |" in text
    assert "`connector`: a micro-batch takes 50 ms and 6.0 ms for each partition." in text
    assert "`direct`: a micro-batch takes 50 ms and 4.0 ms for each partition." in text


@pytest.mark.parametrize(
    "wrong", [["slots"], ["slots", "--servers", "x", "--batch", "0"], ["what", "--servers", "x"]]
)
def test_a_wrong_command_line_is_said(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        scaling.main(wrong)
    assert ended.value.code == 2


def test_processor_time_is_told_by_role_and_of_ended_processes_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        gone = psutil.Process(ended.pid)
        ended.wait()
    found = scaling._cpu_s(Roles([psutil.Process()], [gone], [], [psutil.Process()]))
    assert found["workers"] == 0
    assert min(found["executors"], found["driver"]) > 0
