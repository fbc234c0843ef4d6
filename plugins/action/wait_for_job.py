"""Wait for a background job of a run, renew its lease, and show how it goes.

Imports only what Ansible brings. One connection is polled; nothing is copied to the node.
"""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

DOCUMENTATION = """
module: wait_for_job
short_description: Wait for a background job of a run and show its progress
options:
  directory: {description: Run directory on the node., type: path, required: true}
  job: {description: Name of the job., type: str, choices: [consumer, producers], required: true}
  until: {description: Phases that end the wait., type: list, elements: str, required: true}
  label: {description: What to print before each line of progress., type: str, default: ""}
  quiet: {description: Print nothing., type: bool, default: false}
  timeout_s: {description: Longest wait in seconds., type: float, default: 600}
"""

POLL_S = 1.0
SHOW_EVERY_S = 5.0
ARGUMENTS = frozenset({"directory", "job", "until", "label", "quiet", "timeout_s"})


def progress_line(status: dict[str, Any]) -> str:
    """One line for people: phase, images so far, images/s, lag."""
    parts = [str(status.get("phase", "starting"))]
    if status.get("images"):
        parts.append(f"{status['images']:,} images")
    if status.get("images_per_s"):
        parts.append(f"{status['images_per_s']:,} images/s")
    if status.get("lag_images"):
        parts.append(f"{status['lag_images']:,} images behind")
    return ", ".join(parts)


class ActionModule(ActionBase):
    """The action plugin; each poll is one command on the node."""

    TRANSFERS_FILES = False
    _supports_check_mode = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Poll until a wanted phase, the job's failure or its end without a word."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        if unknown := set(arguments) - ARGUMENTS:
            raise AnsibleActionFail(f"unknown options: {', '.join(sorted(unknown))}")
        directory = shlex.quote(str(arguments["directory"]))
        job = str(arguments["job"])
        until = list(arguments["until"])
        deadline = time.monotonic() + float(arguments.get("timeout_s", 600))
        quiet = self._templar.template(arguments.get("quiet", False)) in (True, "true", "True")
        # A job that has just ended may have written its last status after we read it, so the
        # process is looked for before the status is read.
        command = (
            f"touch {directory}/lease; "
            f"if kill -0 $(cat {directory}/{job}.pid) 2>/dev/null; then echo alive; "
            f"else echo gone; fi; cat {directory}/{job}.status.json 2>/dev/null"
        )
        shown_at = 0.0
        while True:
            answer = self._low_level_execute_command(command)
            alive, _, text = answer["stdout"].strip().partition("\n")
            status = self._status(text)
            phase = status.get("phase", "starting")
            if phase in until:
                break
            if phase == "failed" or alive == "gone":
                result["failed"] = True
                result["msg"] = f"{job}: " + (
                    status.get("error") or f"the process ended without a word while {phase}"
                )
                break
            if time.monotonic() > deadline:
                result["failed"] = True
                result["msg"] = f"{job}: still {phase} after {arguments.get('timeout_s', 600)} s"
                break
            if not quiet and time.monotonic() - shown_at >= SHOW_EVERY_S:
                shown_at = time.monotonic()
                Display().display(f"    {arguments.get('label', job)}: {progress_line(status)}")
            time.sleep(POLL_S)
        result["status"] = status
        result["changed"] = False
        return result

    @staticmethod
    def _status(text: str) -> dict[str, Any]:
        try:
            status: dict[str, Any] = json.loads(text) if text.strip() else {}
        except ValueError:
            return {}
        return status
