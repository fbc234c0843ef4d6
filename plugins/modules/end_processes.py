#!/usr/bin/python
"""End what the testbed runs on a machine, also what an earlier failure left behind."""

from __future__ import annotations

import contextlib
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testbed_marks import marked
from ansible.module_utils.testbed_processes import (
    command,
    end_all,
    end_supervisor,
    find,
    is_supervised,
    is_supervisor,
    runs_from,
)

DOCUMENTATION = r"""
module: end_processes
short_description: End every process of the testbed on a machine
description: The supervisor first, which stops its services in their order; then whatever else is surely ours.
options:
  supervisor: {type: path, required: true, description: The supervisor's directory; it need not exist.}
  directories: {type: list, elements: path, required: true, description: What runs from these is ours where they are.}
  timeout_s: {type: int, default: 180, description: Seconds that the supervisor has to stop its services.}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "supervisor": {"type": "path", "required": True},
            "directories": {"type": "list", "elements": "path", "required": True},
            "timeout_s": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    supervisor = module.params["supervisor"]
    if not os.path.isabs(supervisor):
        module.fail_json(msg="%r is not an absolute path: correct node_supervisor_dir" % supervisor)
    # A directory that is not ours, by a mistaken variable, makes no process ours.
    directories = [path for path in module.params["directories"] if path and marked(path)]

    def ours(pid: int) -> bool:
        words = command(pid)
        return (
            is_supervisor(words, supervisor)
            or is_supervised(pid, supervisor)
            or runs_from(words, directories)
        )

    if module.check_mode:
        found = [" ".join(command(pid))[:200] for pid in find(ours)]
        module.exit_json(changed=bool(found), ended=found)
    ended, _ = end_supervisor(supervisor, module.params["timeout_s"])
    others, left = end_all(ours, 15)
    for name in ("supervisor.sock", "supervisord.pid"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(supervisor, name))
    answer = {"changed": bool(ended or others), "ended": ended + others}
    if left:
        module.fail_json(
            msg="these could not be ended, end them by hand: " + "; ".join(left), **answer
        )
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
