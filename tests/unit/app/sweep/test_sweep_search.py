"""A whole search by the commands that the playbook calls, on a made-up cluster of known capacity."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_experiment import BUNDLE, cluster
from synthetic_run import SyntheticRun

from lifelog import cli
from lifelog.errors import UserError
from lifelog.experiment.load import load_experiment
from lifelog.results.directory import read_results
from lifelog.sweep.lock import Holder, holder
from lifelog.sweep.plan import SweepPlan, Wish, plan_sweep
from lifelog.sweep.search import sustainable

TEXT = """title: T
question: Q
short: true
max_attempts: 2
search: {resolution: 0.06, confirmations: 2}
settings: {producers: 2, partitions: 2, duration_s: 40}
"""
CAPACITY = 400.0
MOST_RUNS = 40


class Cluster:
    """Carries CAPACITY images/s, and its generator offers `generator` images/s at most."""

    def __init__(self, root: Path) -> None:
        self.file, self.results = root / "e.yml", root / "results"
        self.directory = self.results / "e"
        self.cluster_file = root / "cluster.json"
        self.cluster_file.write_text(cluster(brokers=2).model_dump_json())
        self.file.write_text(TEXT)
        self.generator = 1e9
        self.who = holder(os.getpid())
        # Runs that go wrong the first time they are done: name -> reason.
        self.broken: dict[str, str] = {}
        # Loads at which the lag neither grows nor stays, in a trial of the planned time.
        self.noisy: tuple[float, float] = (0, 0)

    def start(self) -> SweepPlan:
        """As a new playbook does: its predecessor's process is gone."""
        self.who = replace(self.who, started=self.who.started + 1)
        return self.plan()

    def plan(self, wanted: Wish | None = None, who: Holder | None = None) -> SweepPlan:
        experiment = load_experiment(self.file, "", cluster(brokers=2))
        own = who or self.who
        return plan_sweep(experiment, cluster(brokers=2), self.results, wanted or Wish(), 1, own)

    def open(self, run: str) -> dict[str, Any]:
        where = ["--cluster", str(self.cluster_file), "--results", str(self.results)]
        argv = ["spec", str(self.file), "--run", run, "--bundle", json.dumps(BUNDLE), *where]
        assert cli.main(argv) == 0
        return dict(json.loads((self.directory / run / "spec.json").read_text()))

    def do(self, run: str) -> None:
        spec = self.open(run)
        settings = spec["settings"]
        rate, seconds = settings["target_rate"], settings["duration_s"]
        carried = CAPACITY if rate is None else min(rate, CAPACITY)
        made = SyntheticRun(
            settings["mode"],
            int(seconds),
            round(carried),
            short=True,
            settings={"producers": 2},
            seed=sum(map(ord, run)),
        )
        noise = rate is not None and self.noisy[0] < rate < self.noisy[1] and seconds < 80
        made.lines = [
            line | {"completed_ns": line["completed_ns"] + (at % 2) * int(noise) * 7 * 10**8}
            for at, line in enumerate(made.lines)
        ]
        made.spec = spec
        made.consumer |= {
            "app_id": run,
            "leaders_observed": [replicas[0] for replicas in spec["replica_assignment"]],
            "executors": spec["worker_addresses"][: spec["workers"]],
        }
        if rate is not None and rate > self.generator:
            for report in made.reports.values():
                assert report is not None
                report["sent_by_end"] = int(report["scheduled_by_end"] * 0.9)
        made.write(self.results)
        if run in self.broken:
            failure = {"reason": self.broken.pop(run)}
            (self.directory / run / "failure.json").write_text(json.dumps(failure))
        assert cli.main(["verify", str(self.directory / run)]) == 0

    def go_on(self, most: int = MOST_RUNS) -> list[str]:
        """Rounds of the playbook until nothing is left, or `most` runs are done."""
        done: list[str] = []
        while len(done) < most and (plan := self.plan()).runs:
            assert len(plan.runs) == 1
            self.do(plan.runs[0].run)
            done.append(plan.runs[0].run)
        assert len(done) < MOST_RUNS
        return done

    def answer(self) -> dict[str, Any]:
        found = sustainable(read_results(self.directory).runs)
        assert found is not None
        return found

    def trials(self) -> list[tuple[float, float, str, str]]:
        return [
            (own["rate_images_per_s"], own["duration_s"], own["purpose"], own["outcome"])
            for own in self.answer()["trials"]
        ]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Cluster:
    lab = Cluster(tmp_path)
    monkeypatch.setattr("lifelog.sweep.lock._alive", lambda who: who == lab.who)
    return lab


def test_a_search_ends_around_the_capacity_and_is_reported(
    lab: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    done = lab.go_on()
    assert done[:2] == ["seed-r01-a01", "t01-r01-a01"]
    assert done == list(dict.fromkeys(done))
    found = lab.answer()
    low, high = found["images_per_s"]
    # The seed's own rate and the slope that is allowed are off by a per cent each.
    assert low < CAPACITY * 1.02
    assert high > CAPACITY * 0.98
    assert high / low <= 1.06
    assert (found["confirmed"], found["reason"], found["latency_limit_ms"]) == (2, None, None)
    purposes = [own["purpose"] for own in found["trials"]]
    assert purposes[0] == "bracket"
    assert purposes[-2:] == ["confirm", "confirm"]
    capsys.readouterr()
    assert cli.main(["report", str(lab.directory)]) == 0
    summary = json.loads((lab.directory / "summary.json").read_text())
    assert summary["sustainable"] == found
    text = f"Sustains between {low:,.0f} and {high:,.0f} images/s, confirmed 2 times."
    assert text in " ".join(capsys.readouterr().out.split())
    page = (lab.directory / "report.html").read_text()
    assert f'<p class="headline">{text}</p>' in page
    assert "INVALID" not in page
    assert (lab.directory / "figures/trials.csv").exists()


def test_each_run_has_an_application_of_its_own_and_the_rate_of_the_plan(lab: Cluster) -> None:
    lab.go_on(4)
    specs = [json.loads(f.read_text()) for f in sorted(lab.directory.glob("*/spec.json"))]
    assert len({spec["point"] for spec in specs}) == 4
    for spec in specs[1:]:
        trial = spec["search"]["trial"]
        assert spec["settings"]["target_rate"] == trial["rate"]
        assert sum(own["rate"] for own in spec["producers"]) == pytest.approx(trial["rate"])
    # V10: a trial that used the driver of another one does not count.
    consumer = lab.directory / "t01-r01-a01/consumer/consumer.json"
    content = json.loads(consumer.read_text()) | {"app_id": "seed-r01-a01"}
    consumer.write_text(json.dumps(content))
    cli.main(["verify", str(consumer.parents[1])])
    run = json.loads((consumer.parents[1] / "run.json").read_text())
    assert "V10: run seed-r01-a01" in run["invalid_reasons"][0]


def test_a_killed_search_goes_on_to_the_same_answer(lab: Cluster, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = Cluster(tmp_path / "whole")
    whole.go_on()
    lab.go_on(4)
    cut = lab.plan().runs[0].run
    lab.open(cut)
    plan = lab.start()
    assert plan.resumed
    assert [run.run for run in plan.runs] == [cut.replace("a01", "a02")]
    assert "4 runs are done" in plan.notes[0]
    lab.go_on()
    ours, theirs = lab.answer(), whole.answer()
    assert ours["images_per_s"] == theirs["images_per_s"]
    assert [t for t in lab.trials() if t[3] != "invalid"] == whole.trials()


def test_a_failed_trial_is_repeated(lab: Cluster) -> None:
    lab.broken = {"t02-r01-a01": "a disk was full"}
    done = lab.go_on()
    assert done[2:5] == ["t02-r01-a01", "t02-r01-a02", "t03-r01-a01"]
    trials = lab.trials()
    assert trials[1][:3] == trials[2][:3]
    assert trials[1][3] == "invalid"
    assert lab.answer()["reason"] is None


def test_a_trial_that_always_fails_ends_the_search_with_that_reason(
    lab: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.broken = {f"t02-r01-a0{n}": "a disk was full" for n in (1, 2)}
    assert lab.go_on()[-2:] == ["t02-r01-a01", "t02-r01-a02"]
    reason = lab.answer()["reason"]
    assert reason.startswith("t02-r01-a02 is not valid: failed: a disk was full")
    capsys.readouterr()
    assert cli.main(["report", str(lab.directory)]) == 1
    told = capsys.readouterr()
    assert "t02-r01: no valid run in 2 attempts" in told.err
    assert "a disk was full" in told.out


def test_a_budget_leaves_the_next_trial_for_the_next_start(lab: Cluster) -> None:
    lab.go_on(2)
    plan = lab.plan(Wish(budget_s=1))
    assert (plan.runs, plan.finished) == ((), False)
    assert "budget: 1 run of about" in plan.notes[-1]
    assert lab.plan().runs[0].run == "t02-r01-a01"


def test_a_search_without_a_seed_has_no_answer(lab: Cluster) -> None:
    lab.broken = {f"seed-r01-a0{n}": "a disk was full" for n in (1, 2)}
    assert lab.go_on() == ["seed-r01-a01", "seed-r01-a02"]
    found = lab.answer()
    assert (found["images_per_s"], found["trials"]) == ([None, None], [])
    assert "no valid saturation run" in found["reason"]


def test_a_report_in_the_middle_does_not_end_the_search(
    lab: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.go_on(3)
    capsys.readouterr()
    assert cli.main(["report", str(lab.directory)]) == 0
    told = capsys.readouterr().out
    assert "1 run is still to do" in told
    assert "the search is not over" in " ".join(told.split())
    assert lab.plan().runs[0].run == "t03-r01-a01"


def test_a_second_search_beside_the_first_has_trials_of_its_own(lab: Cluster) -> None:
    lab.go_on()
    assert cli.main(["report", str(lab.directory)]) == 0
    lab.generator = 100.0
    assert lab.start().runs[0].run == "seed-r01-a02"
    lab.go_on(3)
    assert cli.main(["report", str(lab.directory)]) == 0
    summary = json.loads((lab.directory / "summary.json").read_text())
    assert [own["run"] for own in summary["sustainable"]["trials"]] == [
        "t01-r01-a02",
        "t02-r01-a02",
    ]
    assert sorted(own["point"] for own in summary["points"]) == ["seed", "t01", "t02"]


def test_the_list_shows_the_seed_and_a_range_of_trials(
    lab: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["experiments", str(lab.file)]) == 0
    shown = capsys.readouterr().out
    assert "1  repetition 1  seed" in shown
    assert "6 to 20 of about 105 s" in shown
    assert "trial  " not in shown
    assert cli.main(["experiments", "--experiments-dir", str(lab.file.parent)]) == 0
    assert "T (a search, short)" in capsys.readouterr().out
    lab.go_on(2)
    where = ["--cluster", str(lab.cluster_file), "--results", str(lab.results)]
    capsys.readouterr()
    assert cli.main(["experiments", str(lab.file), *where]) == 0
    assert "3  repetition 1  t02" in capsys.readouterr().out
    assert cli.main(["plan", str(lab.file), *where]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["rounds"], plan["of"], plan["ends"]) == (23, "of at most", "done")
    assert plan["disk_bytes_per_broker"] > 0


def test_an_undecided_trial_is_repeated_once_for_twice_the_time(lab: Cluster) -> None:
    lab.noisy = (0.0, 1e9)
    lab.go_on(3)
    (first, _, _, outcome), (second, seconds, _, _) = lab.trials()
    assert (outcome, first, seconds) == ("undecided", second, 80)


def test_a_generator_that_is_too_slow_is_the_reason_of_the_upper_end(
    lab: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.generator = 300.0
    lab.go_on()
    capsys.readouterr()
    # Those trials are invalid (V3), and results of the search all the same.
    assert cli.main(["report", str(lab.directory)]) == 0
    assert ": INVALID:" not in capsys.readouterr().out
    (lab.directory / "sweep.json").unlink()
    assert cli.main(["report", str(lab.directory)]) == 0
    assert 'class="alarm"' not in (lab.directory / "report.html").read_text()
    found = lab.answer()
    low, high = found["images_per_s"]
    assert low < 300 < high
    assert found["reason"] == (
        f"the load generator set the upper end: it could not offer {high:,.0f} images/s"
    )


def test_what_is_no_trial_of_the_search_is_refused(lab: Cluster) -> None:
    lab.go_on(2)
    assert cli.main(
        ["spec", str(lab.file), "--run", "t07-r01-a01", "--bundle", json.dumps(BUNDLE),
         "--cluster", str(lab.cluster_file), "--results", str(lab.results)]
    ) == 2  # fmt: skip
    with pytest.raises(UserError, match="a search has no points to choose from"):
        lab.plan(Wish(only=("seed",)))
    file = lab.directory / "seed-r01-a01/run.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"throughput_images_per_s": 7.0}))
    with pytest.raises(UserError, match="t01-r01-a01 is not the trial that its search asks for"):
        lab.plan()
