"""A fresh clone, and an Ansible with nothing of ours in it: the full `ansible` package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import PROJECT

pytestmark = [pytest.mark.ci, pytest.mark.timeout(3600)]


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


def test_site_yml_with_the_full_ansible_package(tmp_path_factory: pytest.TempPathFactory) -> None:
    uv = Path(sys.executable).with_name("uv")
    # A short name: the supervisor's socket is below it.
    base = tmp_path_factory.mktemp("own")
    clone, environment = base / "clone", base / "ansible"
    run("git", "clone", "--quiet", PROJECT, clone, cwd=base)
    run(sys.executable, "-m", "venv", environment, cwd=base)
    python = environment / "bin/python"
    run(uv, "pip", "install", "--quiet", "--python", python, "ansible", cwd=base)
    # Nothing of .venv is found by accident.
    path = f"{environment / 'bin'}{os.pathsep}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    play = environment / "bin/ansible-playbook"
    try:
        output = run(play, "site.yml", cwd=clone, PATH=path, PYTHONPATH="")
    finally:
        run(play, "playbooks/reset.yml", "-e", "reset_confirm=yes", cwd=clone, PATH=path)
    assert "accuracy" in output
    assert "report.html" in output
    summary = json.loads((clone / "results/latest/summary.json").read_text("utf-8"))
    assert [point["mode"] for point in summary["points"]] == ["saturation", "paced"]
    for point in summary["points"]:
        assert (point["runs"], point["invalid_runs"], point["lost"]) == (1, 0, 0)
        assert point["accuracy"] == pytest.approx(point["offline_accuracy"], abs=0.01)
