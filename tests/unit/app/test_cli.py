"""The command line: its commands, and its one error boundary."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sample_experiment import BUNDLE, cluster
from synthetic_run import SyntheticRun

from lifelog import cli
from lifelog.errors import UserError

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


@pytest.fixture
def common(tmp_path: Path) -> list[str]:
    (tmp_path / "cluster.json").write_text(cluster().model_dump_json())
    return [
        *("smoke", "--experiments-dir", str(EXPERIMENTS)),
        *("--cluster", str(tmp_path / "cluster.json"), "--results", str(tmp_path / "results")),
    ]


def test_plan_then_spec_then_verify(
    tmp_path: Path, common: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", *common, "--set", ""]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["datasets"] == [{"dataset": "mnist-t10k", "model": "mlp"}]
    assert [run["needs_point"] for run in plan["runs"]] == [None, "saturation"]
    name = plan["runs"][0]["run"]
    spec = ["spec", *common, "--run", name, "--bundle", json.dumps(BUNDLE)]
    assert cli.main(spec) == 0
    printed = json.loads(capsys.readouterr().out)
    directory = tmp_path / "results/smoke" / name
    assert json.loads((directory / "spec.json").read_text()) == printed
    assert (directory / "cluster.json").exists()
    assert cli.main(spec) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert cli.main(["plan", *common]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["run"] == "saturation-r01-a02"
    assert cli.main(["verify", str(directory), "--unpack"]) == 0
    assert "invalid: V13: consumer/calls.arrow is missing" in capsys.readouterr().out


def test_a_sweep_by_commands(
    tmp_path: Path, common: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    holder = ["--holder", str(os.getpid())]
    shared = [*common, "--set", "max_attempts=1"]

    def plan(*more: str) -> dict[str, Any]:
        assert cli.main(["plan", *shared, *holder, *more]) == 0
        planned: dict[str, Any] = json.loads(capsys.readouterr().out)
        return planned

    def spec(run: str) -> int:
        return cli.main(["spec", *shared, "--run", run, "--bundle", json.dumps(BUNDLE)])

    def end(run: str, **changed: Any) -> None:
        directory = tmp_path / "results/smoke" / run
        made = SyntheticRun()
        opened = json.loads((directory / "spec.json").read_text())
        shutil.rmtree(directory)
        made.spec |= {key: opened[key] for key in ("point", "run", "settings", "sweep")}
        made.spec |= changed
        made.write(tmp_path / "results")
        assert cli.main(["verify", str(directory)]) == 0

    def report() -> int:
        return cli.main(["report", str(tmp_path / "results/smoke"), *holder])

    planned = plan()
    assert [run["run"] for run in planned["runs"]] == ["saturation-r01-a01", "paced-r01-a01"]
    assert [(run["number"], run["of"]) for run in planned["runs"]] == [(1, 2), (2, 2)]
    assert (planned["resumed"], planned["finished"], planned["notes"]) == (False, False, [])
    assert spec("paced-r01-a01") == 3
    assert "repeat that point first" in capsys.readouterr().err
    assert spec("saturation-r01-a01") == 0
    end("saturation-r01-a01")
    capsys.readouterr()
    # Half of it is done, and nothing of it is bad.
    assert report() == 0
    assert "sweep: 1 run is still to do" in capsys.readouterr().out
    planned = plan("--budget-s", "1e6", "--only", "paced")
    assert planned["resumed"]
    assert [run["run"] for run in planned["runs"]] == ["paced-r01-a01"]
    assert planned["duration_estimate_s"] > 0
    assert spec("paced-r01-a01") == 0
    end("paced-r01-a01", min_duration_s=1e6, short=False)
    capsys.readouterr()
    assert report() == 1
    told = capsys.readouterr()
    assert "paced-r01: no valid run in 1 attempt: paced-r01-a01: " in told.err
    assert "still to do" not in told.out
    sweep = json.loads((tmp_path / "results/smoke/sweep.json").read_text())
    assert sweep["finished_ns"] > sweep["started_ns"]
    assert sweep["opened"] == ["saturation-r01-a01", "paced-r01-a01"]
    assert (tmp_path / "results/smoke/.sweep.lock").read_text() == ""
    assert [run["run"][-3:] for run in plan()["runs"]] == ["a02", "a02"]


def test_verify_says_what_a_valid_run_gave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(SyntheticRun().write(tmp_path))]) == 0
    assert "valid: saturation-r01-a01" in capsys.readouterr().out


def test_experiments_are_listed_and_shown(
    tmp_path: Path, common: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["experiments", "--experiments-dir", str(EXPERIMENTS)]) == 0
    assert "smoke" in capsys.readouterr().out
    assert cli.main(["experiments", *common[:5]]) == 0
    shown = capsys.readouterr().out
    assert "0.5 of saturation" in shown
    assert "2 runs" in shown
    assert "GB of disk" in shown
    assert cli.main(["experiments", *common, "--only", "saturation"]) == 0
    assert "1 run, about" in capsys.readouterr().out
    assert cli.main(["experiments", *common[:3], "--only", "saturation"]) == 2
    assert "need --cluster" in capsys.readouterr().err
    assert cli.main(["experiments", "fig2", *common[1:]]) == 0
    shown = capsys.readouterr().out
    assert "reduced: brokers 1, 2, 3 instead of 1, 2, 4; workers 1, 2 of 1, 2, 4" in shown
    assert not (tmp_path / "results").exists()
    (tmp_path / "bad.yml").write_text("x: 1\n")
    assert cli.main(["experiments", "--experiments-dir", str(tmp_path)]) == 0
    assert "faulty" in capsys.readouterr().out


def test_the_users_fault_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["experiments", "smok", "--experiments-dir", str(EXPERIMENTS)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.main(["nonsense"]) == 2
    assert cli.main(["--help"]) == 0


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (UserError("change this"), 2, "lifelog: change this\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("by zero\nmore"), 1, "ZeroDivisionError: by zero (see "),
        (ZeroDivisionError(), 1, "no message"),
    ],
)
def test_each_kind_of_error_has_its_exit(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    words: str,
) -> None:
    def fail(_directory: Path) -> None:
        raise error

    monkeypatch.setattr("lifelog.verification.verify.verify", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main(["verify", "x"]) == status
    shown = capsys.readouterr().err
    assert words in shown
    assert shown.count("\n") == 1
    logs = list(tmp_path.glob("lifelog-*.log"))
    assert bool(logs) == (status == 1)
    assert all("Traceback" in log.read_text() for log in logs)


def test_help_loads_no_library() -> None:
    code = (
        "import sys; from lifelog import cli; cli.main(['--help']); "
        "print(sorted({'numpy', 'pyspark', 'pyarrow', 'scipy', 'pydantic', 'ruamel.yaml', 'kafka'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
