"""Start the jobs of one run, conduct them from ready to done, renew their leases, and show how it goes.

Imports only what Ansible brings. One connection is polled; nothing is copied to the node. It is one task, not one for
each step: what lies between two tasks costs seconds in which the brokers idle and a backlog waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

DOCUMENTATION = """
module: conduct_run
short_description: Conduct the jobs of one run on all of its nodes
description:
  - Starts the jobs. When those of all hosts are ready, they agree on a start instant and each is told of it. When the producers are done
    and the consumer's time is over, the consumer is told to drain; the task ends on all hosts when it has.
  - Fails on the host whose own job failed, ended without a word or took too long, and ends on the others.
options:
  directory: {description: Run directory on the node., type: path, required: true}
  spec: {description: Content of spec.json. Empty where the host needs none., type: dict, required: true}
  commands:
    description: Shell commands that start what runs in the background, in order; one that fails is the failure of the host.
    type: list
    elements: str
    required: true
  job:
    description: Name of the job. Empty where the host has none; then its lease is renewed, seldom, until the end.
    type: str
    choices: [consumer, producers, ""]
    required: true
  jobs: {description: The hosts that have jobs., type: list, elements: str, required: true}
  consumer: {description: The host of the consumer., type: str, required: true}
  meeting:
    description: Directory on the control node, fresh for each run, by which the hosts tell each other how far they are.
    type: path
    required: true
  label: {description: What to print before each line of progress., type: str, required: true}
  lead_s: {description: Seconds from the moment when all are ready to the start., type: float, required: true}
  timeouts_s:
    description: Longest time in seconds until the jobs are ready, have measured, and have drained.
    type: dict
    options: {ready: {type: float}, measured: {type: float}, drained: {type: float}}
"""

# While images are counted each poll takes processor time from what is measured, where the control node is one of the nodes.
POLL_S = {"ready": 0.5, "measured": 2.0, "drained": 0.5}
SHOW_EVERY_S = 5.0
# A quarter of the lease: a host without a job is not worth a connection twice a second.
RENEW_EVERY_S = 15.0
ARGUMENTS = frozenset(
    {
        "directory",
        "spec",
        "commands",
        "job",
        "jobs",
        "consumer",
        "meeting",
        "label",
        "lead_s",
        "timeouts_s",
    }
)
# The phase of a job's status at which it has come as far as a stage.
PHASES = {
    "ready": {"consumer": "ready", "producers": "ready"},
    "measured": {"consumer": "measured", "producers": "done"},
    "drained": {"consumer": "done"},
}


# Runs a shell command on the node with a text as its input, and returns (exit status, what it printed).
Command = Callable[[str, str], tuple[int, str]]


class JobFailed(Exception):
    """Why the job of this host failed."""


def progress_line(status: Mapping[str, Any]) -> str:
    """One line for people: phase, images so far, images/s, lag."""
    parts = [str(status.get("phase", "starting"))]
    if status.get("images"):
        parts.append(f"{status['images']:,} images")
    if status.get("images_per_s"):
        parts.append(f"{status['images_per_s']:,} images/s")
    if status.get("lag_images"):
        parts.append(f"{status['lag_images']:,} images behind")
    return ", ".join(parts)


class Meeting:
    """How far the jobs of all hosts are, told by files on the control node."""

    def __init__(self, directory: Path, host: str) -> None:
        self.directory = directory
        self.host = host
        directory.mkdir(parents=True, exist_ok=True)

    def tell(self, stage: str) -> None:
        """This host's job is as far."""
        (self.directory / f"{self.host}.{stage}").touch()

    def all_told(self, stage: str, hosts: list[str]) -> bool:
        """Whether the jobs of all these hosts are as far."""
        return all((self.directory / f"{host}.{stage}").exists() for host in hosts)

    def failed(self) -> bool:
        """Whether any host's job failed."""
        return any(self.directory.glob("*.failed"))

    def agree(self, start_ns: int) -> int:
        """The one start instant of all hosts: what the first of them proposed."""
        agreed = self.directory / "start_ns"
        proposal = self.directory / f"{self.host}.start_ns"
        proposal.write_text(str(start_ns), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            os.link(proposal, agreed)
        return int(agreed.read_text("ascii"))


class Conductor:
    """Conducts the job of one host, on which `command` runs shell commands."""

    def __init__(self, arguments: Mapping[str, Any], meeting: Meeting, command: Command) -> None:
        self.spec = arguments["spec"]
        self.commands = [str(line) for line in arguments["commands"]]
        self.job = str(arguments["job"] or "")
        self.directory = shlex.quote(str(arguments["directory"]))
        self.jobs = [str(host) for host in arguments["jobs"]]
        self.consumer = str(arguments["consumer"])
        self.label = str(arguments["label"])
        self.lead_s = float(arguments["lead_s"])
        self.timeouts_s = {stage: float(arguments["timeouts_s"][stage]) for stage in PHASES}
        self.meeting = meeting
        self.command = command
        self.status: dict[str, Any] = {}
        self._shown_at = self._renewed_at = float("-inf")

    def conduct(self) -> None:
        """From the start to drained; returns early where the job of another host failed. JobFailed where this one's did."""
        try:
            self._start()
            if not self._reach("ready", self.jobs):
                return
            if self.job:
                start_ns = self.meeting.agree(time.time_ns() + int(self.lead_s * 1e9))
                self._write("start.json", json.dumps({"start_ns": start_ns}))
            if not self._reach("measured", self.jobs):
                return
            if self.job == "consumer":
                self._write("drain", "the producers have finished\n")
            self._reach("drained", [self.consumer])
        except JobFailed:
            self.meeting.tell("failed")
            raise

    def _start(self) -> None:
        self._run(f"mkdir -p {self.directory}")
        if self.spec:
            self._write("spec.json", json.dumps(self.spec, indent=1))
        for line in self.commands:
            self._run(line)

    def _run(self, line: str, given: str = "") -> None:
        status, said = self.command(line, given)
        if status:
            raise JobFailed(said.strip() or f"exit status {status} of: {line}")

    def _reach(self, stage: str, hosts: list[str]) -> bool:
        """Wait until the jobs of all hosts are as far; False where one of another host failed."""
        phase = PHASES[stage].get(self.job)
        deadline = time.monotonic() + self.timeouts_s[stage]
        while True:
            if phase is None:
                self._renew()
            else:
                self._poll()
                if self.status.get("phase") == phase:
                    self.meeting.tell(stage)
                elif time.monotonic() > deadline:
                    raise JobFailed(
                        f"still {self.status.get('phase')} after {self.timeouts_s[stage]:g} s"
                    )
            if self.meeting.failed():
                return False
            # Nobody waits for ever, not even for a host that is no longer heard of.
            if self.meeting.all_told(stage, hosts) or time.monotonic() > deadline + RENEW_EVERY_S:
                return True
            time.sleep(POLL_S[stage])

    def _poll(self) -> None:
        # A job that has just ended may have written its last status after we read it, so the process is looked for
        # before the status is read.
        _, said = self.command(
            f"touch {self.directory}/lease; "
            f"if kill -0 $(cat {self.directory}/{self.job}.pid) 2>/dev/null; then echo alive; "
            f"else echo gone; fi; cat {self.directory}/{self.job}.status.json 2>/dev/null",
            "",
        )
        alive, _, text = (part.strip() for part in said.strip().partition("\n"))
        with contextlib.suppress(ValueError):
            self.status = json.loads(text) if text else self.status
        phase = self.status.get("phase", "starting")
        if phase == "failed" or (alive == "gone" and phase != "done"):
            raise JobFailed(
                self.status.get("error") or f"the process ended without a word while {phase}"
            )
        if self.job == "consumer" and time.monotonic() - self._shown_at >= SHOW_EVERY_S:
            self._shown_at = time.monotonic()
            Display().display(f"    {self.label}: {progress_line(self.status)}")

    def _renew(self) -> None:
        if time.monotonic() - self._renewed_at >= RENEW_EVERY_S:
            self._renewed_at = time.monotonic()
            # A host without a job that is not reached is missed where something is wanted of it.
            with contextlib.suppress(AnsibleConnectionFailure):
                self.command(f"touch {self.directory}/lease", "")

    def _write(self, name: str, text: str) -> None:
        assert text, "without an input the command would wait for a terminal's"
        # Renamed into place: a job never reads half of it.
        path = f"{self.directory}/{name}"
        self._run(f"cat > {path}.new && mv {path}.new {path}", text)


class ActionModule(ActionBase):
    """The action plugin; each poll is one command on the node."""

    TRANSFERS_FILES = False
    _supports_check_mode = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Conduct this host's job; its last status is in `status`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        if unlike := set(arguments) ^ ARGUMENTS:
            raise AnsibleActionFail(f"options missing or unknown: {', '.join(sorted(unlike))}")
        meeting = Meeting(Path(arguments["meeting"]), (task_vars or {})["inventory_hostname"])
        conductor = Conductor(arguments, meeting, self._command)
        try:
            conductor.conduct()
        except JobFailed as error:
            result |= {"failed": True, "msg": f"{conductor.job or 'sampler'}: {error}"}
        return {**result, "status": conductor.status, "changed": True}

    def _command(self, line: str, given: str) -> tuple[int, str]:
        done = self._low_level_execute_command(line, in_data=given.encode() or None)
        # Over SSH with a terminal, errors come with the output.
        return int(done["rc"]), str(
            done["stderr"] if done["rc"] and done["stderr"] else done["stdout"]
        )
