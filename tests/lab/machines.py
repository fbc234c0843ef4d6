"""The lab that the tests start, as they use it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import testinfra
import yaml

PROJECT = Path(__file__).parents[2]
INSTALL = ("site.yml", "--skip-tags", "experiment")


class Lab:
    """A copy of inventory/lab with a state of its own; `hosts` may be edited and saved."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.machines = base / ".testbed/lab"
        self.results = base / "results"
        self.inventory = base / "inventory/lab"
        shutil.copytree(PROJECT / "inventory/lab", self.inventory)
        self.hosts: dict[str, Any] = yaml.safe_load(
            (self.inventory / "hosts.yml").read_text("utf-8")
        )

    def save(self) -> None:
        """Write the edited hosts."""
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(self.hosts), "utf-8")

    def group(self, name: str) -> dict[str, Any]:
        """Hosts of a group and their variables."""
        return self.hosts[name]["hosts"]

    def move(self, host: str, old: str, new: str) -> None:
        """Move a host to another group."""
        self.group(new)[host] = self.group(old).pop(host)

    def names(self) -> list[str]:
        """Every host of the inventory."""
        return [host for group in self.hosts.values() for host in group["hosts"]]

    def command(self, program: str, *options: str) -> list[str]:
        """The command line of Ansible on this lab."""
        where = ["-e", f"testbed_state_dir={self.base / '.testbed'}"]
        results = ["-e", f"experiment_results_dir={self.results}"]
        return [program, "-i", str(self.inventory), *options, *where, *results]

    def play(self, *options: str, timeout_s: float = 2400) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end."""
        return subprocess.run(
            self.command("ansible-playbook", *options),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def ssh(self, host: str) -> Any:
        """A connection of testinfra, as the account that may become root, and as root."""
        variables = next(g["hosts"][host] for g in self.hosts.values() if host in g["hosts"])
        return testinfra.get_host(
            f"ssh://ops@{variables['ansible_host']}",
            sudo=True,
            ssh_identity_file=str(self.machines / "key"),
            ssh_extra_args=f"-o UserKnownHostsFile={self.machines / 'known_hosts'} -o IdentitiesOnly=yes",
        )

    def measured(self) -> dict[str, Any]:
        """What the lab itself has measured of its machines."""
        return json.loads((self.machines / "measured.json").read_text("utf-8"))

    def rates(self) -> list[float]:
        """Mbit/s of every link in each direction."""
        return [rate for link in self.measured()["links"].values() for rate in link.values()]


def good(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """A play that must have ended well."""
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done


def changed(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The hosts that a play changed."""
    return set(re.findall(r"^(\S+)\s+: ok=\d+\s+changed=[1-9]", good(done).stdout, re.MULTILINE))
