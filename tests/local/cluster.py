"""The testbed that the tests run on, as they use it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Testbed:
    """The running testbed and where it keeps things."""

    state: Path
    results: Path

    def play(
        self, playbook: str, *options: str, timeout_s: float = 400
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the project on the tests' inventory."""
        command = [
            "ansible-playbook",
            "-i",
            str(HERE / "inventory"),
            playbook,
            "-e",
            f"testbed_state_dir={self.state}",
            "-e",
            f"experiment_results_dir={self.results}",
            *options,
        ]
        return subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def experiment(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run one of the tests' experiments."""
        file = HERE / "experiments" / f"{name}.yml"
        return self.play("playbooks/app.yml", "-e", f"experiment={file}", *options)

    def summary(self, name: str) -> dict[str, Any]:
        """summary.json of an experiment."""
        return json.loads((self.results / name / "summary.json").read_text("utf-8"))

    def runs(self, name: str) -> dict[str, dict[str, Any]]:
        """run.json of each run of an experiment, by the run's name."""
        files = sorted((self.results / name).glob("*/run.json"))
        return {file.parent.name: json.loads(file.read_text("utf-8")) for file in files}
