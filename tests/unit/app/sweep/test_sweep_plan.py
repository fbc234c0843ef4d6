"""Sweeps on the disk: begun, killed, gone on with, ended; and only one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_experiment import BUNDLE, cluster

from lifelog.commands.spec import open_run
from lifelog.errors import UserError
from lifelog.experiment.load import load_experiment
from lifelog.experiment.spec import NoSourceError
from lifelog.sweep.file import finish, missing_directories, outcomes, parked_name, read_sweep
from lifelog.sweep.lock import FILE as LOCK
from lifelog.sweep.lock import Hold, Holder, holder, locked, occupy, take
from lifelog.sweep.plan import SweepPlan, Wish, plan_sweep, wish

TEXT = """title: T
question: Q
short: true
repetitions: 2
max_attempts: 2
points:
  - {name: s}
  - {name: d, mode: paced, target_rate: {share: 0.5, of: s}}
  - {name: x}
"""
MINUTE = 60 * 10**9


class Bench:
    """An experiment whose runs are made up; each `start` is another playbook."""

    def __init__(self, root: Path) -> None:
        self.root, self.directory = root, root / "results/e"
        self.file, self.cluster_file = root / "e.yml", root / "cluster.json"
        self.file.write_text(TEXT)
        self.cluster_file.write_text(cluster().model_dump_json())
        self.now_ns = MINUTE
        self.who = holder(os.getpid())

    def start(self, wanted: Wish | None = None, overrides: str = "") -> SweepPlan:
        """As a new playbook does: its predecessor's process is gone."""
        self.who = replace(self.who, started=self.who.started + 1)
        return self.plan(wanted, overrides, self.who)

    def plan(
        self, wanted: Wish | None = None, overrides: str = "", who: Holder | None = None
    ) -> SweepPlan:
        experiment = load_experiment(self.file, overrides, cluster())
        return plan_sweep(
            experiment, cluster(), self.root / "results", wanted or Wish(), self.now_ns, who
        )

    def again(self, wanted: Wish | None = None) -> SweepPlan:
        """The same playbook asks once more."""
        return self.plan(wanted, who=self.who)

    def open(self, run: str, overrides: str = "") -> Path:
        results, bundle = self.root / "results", json.dumps(BUNDLE)
        open_run(self.file, overrides, self.cluster_file, results, run, bundle)
        return self.directory / run

    def do(self, run: str, *reasons: str) -> None:
        """A run that ends valid, or invalid for these reasons."""
        directory = self.open(run)
        spec = json.loads((directory / "spec.json").read_text())
        result = {
            "format": 1, "run": run, "point": spec["point"], "valid": not reasons,
            "invalid_reasons": list(reasons), "settings": spec["settings"],
            "throughput_images_per_s": 100.0, "stages_s": {"measure": 30.0},
        }  # fmt: skip
        (directory / "run.json").write_text(json.dumps(result))

    def report(self) -> bool:
        sweep = read_sweep(self.directory)
        assert sweep is not None
        return finish(self.directory, sweep, outcomes(self.directory, sweep), self.now_ns)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    # Holders of this test are made up: only the latest one's process is alive.
    bench = Bench(tmp_path)
    monkeypatch.setattr("lifelog.sweep.lock._alive", lambda who: who == bench.who)
    return bench


def names(plan: SweepPlan) -> list[str]:
    return [run.run for run in plan.runs]


def test_a_sweep_from_its_begin_to_its_end(bench: Bench) -> None:
    plan = bench.start()
    assert sorted(names(plan)) == [f"{p}-r0{r}-a01" for p in "dsx" for r in (1, 2)]
    assert [(run.number, run.of) for run in plan.runs] == [(n, 6) for n in range(1, 7)]
    assert (plan.resumed, plan.finished, plan.notes) == (False, False, ())
    for name in names(plan):
        bench.do(name)
    plan = bench.again()
    assert (plan.runs, plan.finished) == ((), True)
    assert bench.report()
    # Even then the same playbook begins no other sweep; the next one does.
    assert bench.again().runs == ()
    plan = bench.start()
    assert not plan.resumed
    assert {name[-3:] for name in names(plan)} == {"a02"}


def test_a_killed_sweep_goes_on_without_repeating_or_touching_a_finished_run(
    bench: Bench,
) -> None:
    first = names(bench.start())
    for name in first[:3]:
        bench.do(name)
    kept = {p: p.stat().st_mtime_ns for p in bench.directory.glob("*/*.json")}
    bench.open(first[3])
    plan = bench.start()
    assert plan.resumed
    assert names(plan) == [first[3].replace("a01", "a02"), *first[4:]]
    assert "3 of 6 runs are done" in plan.notes[0]
    assert f"{first[3]} was not verified" in plan.notes[1]
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    cut = json.loads((bench.directory / first[3] / "run.json").read_text())
    assert not cut["valid"]
    assert "failed: interrupted: the playbook ended" in cut["invalid_reasons"][0]
    # Cut off twice more: an interruption is no attempt.
    for attempt in ("a02", "a03"):
        bench.open(first[3].replace("a01", attempt))
        plan = bench.start()
    assert names(plan)[0] == first[3].replace("a01", "a04")


def test_a_kill_after_the_last_run_leaves_nothing_but_the_report(bench: Bench) -> None:
    for name in names(bench.start()):
        bench.do(name)
    plan = bench.start()
    assert (plan.runs, plan.resumed, plan.finished) == ((), True, True)
    assert bench.report()


def test_a_run_that_is_being_opened_leaves_nothing_when_it_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = names(bench.start())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            bench.open(first[0])
    assert names(bench.start()) == first
    bench.do(first[0])


def test_invalid_runs_are_repeated_up_to_the_limit_and_the_others_go_on(bench: Bench) -> None:
    for name in names(bench.start()):
        bench.do(name, *(["V4: lost"] if name.startswith("x-r01") else []))
    plan = bench.again()
    assert names(plan) == ["x-r01-a02"]
    assert "x-r01 is repeated (attempt 2 of 2): x-r01-a01: V4: lost" in plan.notes
    bench.do("x-r01-a02", "V6: cap")
    plan = bench.again()
    assert (plan.runs, plan.finished) == ((), True)
    assert "x-r01 is not repeated, 2 attempts were not valid: x-r01-a02: V6: cap" in plan.notes


def test_a_run_that_its_playbook_left_counts_as_an_attempt(bench: Bench) -> None:
    first = names(bench.start(Wish(only=("x",))))
    bench.open(first[0])
    assert names(bench.again(Wish(only=("x",))))[0] == first[0].replace("a01", "a02")
    bench.open(first[0].replace("a01", "a02"))
    assert names(bench.again(Wish(only=("x",)))) == first[1:]


def test_what_derives_from_an_invalid_run_waits_for_its_repetition(bench: Bench) -> None:
    bench.start()
    bench.do("s-r01-a01", "V4: lost")
    with pytest.raises(NoSourceError, match="V4: lost"):
        bench.open("d-r01-a01")
    assert names(bench.again(Wish(only=("d",))))[:2] == ["s-r01-a02", "d-r01-a01"]
    bench.do("s-r01-a02", "V4: lost")
    plan = bench.again(Wish(only=("d", "s")))
    assert names(plan) == ["s-r02-a01", "d-r02-a01"]
    assert "d-r01 cannot run: s has no valid rate" in plan.notes


def test_only_and_what_it_leaves(bench: Bench) -> None:
    plan = bench.start(Wish(only=("d",)))
    assert sorted(names(plan)) == ["d-r01-a01", "d-r02-a01", "s-r01-a01", "s-r02-a01"]
    assert "s-r01 runs too: its result sets a rate of d" in plan.notes
    for name in names(plan):
        bench.do(name)
    plan = bench.start(Wish(only=("d",)))
    assert plan.runs == ()
    assert "nothing is left to do of d in this sweep" in plan.notes[-1]
    assert sorted(names(bench.start())) == ["x-r01-a01", "x-r02-a01"]
    assert "d-r01-a02" in names(bench.start(Wish(only=("d",), again=True)))
    with pytest.raises(UserError, match="no point 'y'"):
        bench.start(Wish(only=("y",)))


def test_a_budget_counts_from_the_start_of_the_playbook(bench: Bench) -> None:
    everything = bench.plan()
    block_s = sum(run.duration_estimate_s for run in everything.runs) / 2
    budget = Wish(budget_s=block_s + 1)
    plan = bench.start(budget)
    assert {run.repetition for run in plan.runs} == {1}
    assert "3 runs of about" in plan.notes[0]
    for name in names(plan):
        bench.do(name)
    bench.now_ns += int(block_s * 1e9)
    plan = bench.again(budget)
    assert (plan.runs, plan.finished) == ((), False)
    assert "too little for one" in plan.notes[0]
    assert not bench.report()
    plan = bench.start(budget)
    assert plan.resumed
    assert {run.repetition for run in plan.runs} == {2}


def test_times_come_from_earlier_runs_of_the_same_settings(bench: Bench) -> None:
    bench.start()
    guessed = bench.plan().runs[0].duration_estimate_s
    bench.do("x-r01-a01")
    took = {run.point: run.duration_estimate_s for run in bench.plan().runs}
    assert took["x"] == 50.0
    assert guessed not in (50.0, None)
    other = {r.point: r.duration_estimate_s for r in bench.plan(overrides="partitions=9").runs}
    assert other["x"] != 50.0


def test_a_sweep_of_other_settings_waits_for_its_own(bench: Bench) -> None:
    first = names(bench.start())
    bench.do(first[0])
    before = read_sweep(bench.directory)
    assert before is not None
    plan = bench.start(overrides="partitions=9")
    assert not plan.resumed
    assert len(plan.runs) == 6
    assert "waits" in plan.notes[0]
    assert (bench.directory / parked_name(before.digest)).exists()
    plan = bench.start()
    assert plan.resumed
    assert names(plan) == first[1:]
    assert not (bench.directory / parked_name(before.digest)).exists()
    # A run of other settings is none of this sweep's.
    stranger = bench.open("x-r02-a07", "partitions=9")
    assert json.loads((stranger / "spec.json").read_text())["sweep"] is None


def test_without_a_holder_nothing_is_written(bench: Bench) -> None:
    assert len(bench.plan().runs) == 6
    assert not bench.directory.exists()
    bench.start()
    bench.open("x-r01-a01")
    files = {p: p.stat().st_mtime_ns for p in bench.directory.rglob("*")}
    assert bench.plan().resumed
    assert {p: p.stat().st_mtime_ns for p in bench.directory.rglob("*")} == files


def test_an_experiment_that_changes_under_its_sweep_is_said(bench: Bench) -> None:
    bench.start()
    bench.file.write_text(TEXT.replace("{name: x}", "{name: x, partitions: 9}"))
    with pytest.raises(UserError, match="changed while its sweep ran"):
        bench.again()


def test_a_run_directory_that_is_gone_is_said_and_done_again(bench: Bench) -> None:
    bench.start()
    bench.do("x-r01-a01")
    bench.do("x-r02-a01")
    gone = bench.directory / "x-r01-a01"
    gone.rename(bench.root / "away")
    plan = bench.start(Wish(only=("x",)))
    assert "x-r01-a01: its directory is missing, so it is no result" in plan.notes
    assert names(plan) == ["x-r01-a01"]
    sweep = read_sweep(bench.directory)
    assert sweep is not None
    assert missing_directories(bench.directory, sweep) == ["x-r01-a01"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": 1, "valid": tr', "run.json is cut off or broken"),
        ('{"format": 2, "valid": true}', "run.json has format 2 and this version reads 1"),
        ("[]", "run.json is cut off or broken"),
    ],
)
def test_a_result_that_cannot_be_used_is_said_and_is_none(
    bench: Bench, content: str, words: str
) -> None:
    bench.start()
    bench.do("x-r01-a01")
    (bench.directory / "x-r01-a01/run.json").write_text(content)
    plan = bench.start()
    assert any(note.startswith("x-r01-a01: ") and words in note for note in plan.notes)
    assert "x-r01-a02" in names(plan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-20], r"sweep\.json is cut off or broken"),
        (lambda text: text.replace('"format": 1', '"format": 7'), "has format 7 and this version"),
        (lambda text: text.replace('"digest"', '"digets"'), r"sweep\.json is cut off or broken"),
        (lambda _: "[]", r"sweep\.json is cut off or broken"),
    ],
)
def test_a_sweep_file_that_cannot_be_used(bench: Bench, change: Any, words: str) -> None:
    bench.start()
    file = bench.directory / "sweep.json"
    file.write_text(change(file.read_text()))
    for use in (bench.start, bench.again, bench.plan):
        with pytest.raises(UserError, match=words):
            use()


def test_a_budget_must_be_time() -> None:
    assert wish("a, b,a,", 5.0, False) == Wish(("a", "b"), 5.0)
    assert wish("", None, True) == Wish(again=True)
    for budget in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="is no time to run in"):
            wish("", budget, False)


@pytest.fixture
def other_process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def test_two_sweeps_at_once_are_refused_until_the_first_ones_process_is_gone(
    tmp_path: Path, other_process: subprocess.Popen[bytes]
) -> None:
    bench = Bench(tmp_path)
    other = holder(other_process.pid)
    bench.plan(who=other)
    with pytest.raises(UserError, match=f"process {other_process.pid} does a sweep here") as error:
        bench.plan(who=bench.who)
    assert "\n" not in str(error.value)
    other_process.kill()
    # Ended, and nobody has asked for its status yet: a zombie holds nothing.
    os.waitid(os.P_PID, other_process.pid, os.WEXITED | os.WNOWAIT)
    assert bench.plan(who=bench.who).runs
    # Another process under the same id is not the holder.
    with locked(bench.directory) as file:
        take(file, Hold(replace(bench.who, started=1), 1, "x"))
    assert bench.plan(who=bench.who).runs


def test_the_nodes_of_an_inventory_carry_one_experiment_at_a_time(
    tmp_path: Path, other_process: subprocess.Popen[bytes]
) -> None:
    cluster, own = tmp_path / "local.json", holder(os.getpid())
    occupy(cluster, "local", holder(other_process.pid), "fig2", 1)
    with pytest.raises(UserError, match=f"the nodes of local: process {other_process.pid} does"):
        occupy(cluster, "local", own, "fig3", 2)
    other_process.kill()
    other_process.wait()
    occupy(cluster, "local", own, "fig3", 3)
    occupy(cluster, "local", own, "fig3", 4)


def test_a_sweep_of_another_machine_can_only_be_asked_for_there(bench: Bench) -> None:
    bench.start()
    with locked(bench.directory) as file:
        take(file, Hold(Holder(1, "elsewhere", 1), 1, "x"))
    with pytest.raises(UserError, match=r"process 1 on elsewhere .* remove .*\.sweep\.lock"):
        bench.start()
    (bench.directory / LOCK).write_text('{"holder": {"pid"')
    assert bench.start().runs


def test_a_holder_must_be_a_process() -> None:
    with pytest.raises(UserError, match="there is no process"):
        holder(2**22 + 1)
