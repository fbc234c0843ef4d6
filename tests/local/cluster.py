"""The testbed that the tests run on, as they use it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent
INVENTORY = HERE / "inventory"


@dataclass(frozen=True, slots=True)
class Testbed:
    """The running testbed and where it keeps things."""

    __test__ = False  # not a class of tests

    state: Path
    results: Path
    # What Ansible runs in; None for that of the tests.
    environment: Mapping[str, str] | None = None

    @property
    def runs_directory(self) -> Path:
        """Where the nodes keep the directories of runs."""
        return self.state / "local/data/runs"

    def left_of(self, experiment: str) -> list[Path]:
        """Directories of runs, and topics of that experiment, that are still on the nodes."""
        topics = self.state.glob(f"local/data/kafka/*/data/{experiment}-*")
        return [p for p in (*self.runs_directory.iterdir(), *topics) if not p.name.startswith(".")]

    def command(self, playbook: str, *options: str, inventory: Path = INVENTORY) -> list[str]:
        """The command line of a playbook of the project on the tests' inventory, or on another."""
        return [
            "ansible-playbook",
            "-i",
            str(inventory),
            playbook,
            "-e",
            f"testbed_state_dir={self.state}",
            "-e",
            f"experiment_results_dir={self.results}",
            *options,
        ]

    def play(
        self, playbook: str, *options: str, timeout_s: float = 900, inventory: Path = INVENTORY
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end."""
        return subprocess.run(
            self.command(playbook, *options, inventory=inventory),
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    @staticmethod
    def experiment_options(name: str) -> list[str]:
        """Options of playbooks/app.yml that name one of the tests' experiments."""
        return ["-e", f"experiment={HERE / 'experiments' / name}.yml"]

    def experiment(
        self, name: str, *options: str, inventory: Path = INVENTORY, timeout_s: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the tests' experiments."""
        chosen = self.experiment_options(name)
        return self.play(
            "playbooks/app.yml", *chosen, *options, inventory=inventory, timeout_s=timeout_s
        )

    def summary(self, name: str) -> dict[str, Any]:
        """summary.json of an experiment."""
        return json.loads((self.results / name / "summary.json").read_text("utf-8"))

    def runs(self, name: str) -> dict[str, dict[str, Any]]:
        """run.json of each run of an experiment, by the run's name."""
        files = sorted((self.results / name).glob("*/run.json"))
        return {file.parent.name: json.loads(file.read_text("utf-8")) for file in files}

    def newest_run(self, name: str) -> dict[str, Any]:
        """run.json of the newest run of an experiment of one point."""
        return list(self.runs(name).values())[-1]
