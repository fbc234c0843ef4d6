"""Prints lines as they are: `debug` would dress them as data, and hides with `display_ok_hosts`. Changes nothing."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    """``show: {lines: [...]}``"""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        for line in self._task.args["lines"]:
            Display().display(str(line))
        return {"changed": False}
