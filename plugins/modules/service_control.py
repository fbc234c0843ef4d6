#!/usr/bin/python
"""Start, stop, restart or remove one service, under systemd or under supervisor.

Both managers behind one interface, so that a role's handlers need not know which one runs a host. The supervisor's
daemon is started when it is not there, detached, under a lock: several hosts may live on one machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import socket
import subprocess
import time
import xmlrpc.client

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testbed_processes import end_supervisor

DOCUMENTATION = r"""
module: service_control
short_description: Control one service of the testbed
options:
  name: {type: str, required: true, description: Name of the service.}
  state: {type: str, choices: [started, stopped, restarted, absent], default: started, description: Wanted state.}
  manager: {type: str, choices: [systemd, supervisor], required: true, description: The service manager.}
  supervisord: {type: str, default: "", description: The supervisor's program.}
  directory: {type: str, default: "", description: The supervisor's directory with supervisord.conf and its socket.}
"""

RUNNING, STARTING, BACKOFF, STOPPING = 20, 10, 30, 40


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(150)
        self.sock.connect(self.host)


class Transport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return Connection(self.path)


class Supervisor:
    """The supervisor of one machine."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.directory = module.params["directory"]
        self.socket = os.path.join(self.directory, "supervisor.sock")
        self.rpc = xmlrpc.client.ServerProxy(
            "http://unix", transport=Transport(self.socket)
        ).supervisor

    def alive(self) -> bool:
        try:
            self.rpc.getState()
            return True
        except (OSError, http.client.HTTPException):
            # Also a socket that outlived its supervisor.
            return False

    def ensure_daemon(self) -> bool:
        """Whether the daemon had to be started."""
        if self.alive():
            return False
        if self.module.check_mode:
            return True
        # One that was killed hard left services that hold their ports and directories.
        _, left = end_supervisor(self.directory, 10)
        if left:
            self.module.fail_json(
                msg="end these, which an earlier supervisor left running: " + "; ".join(left)
            )
        program = self.module.params["supervisord"]
        done = subprocess.run(
            [program, "-c", os.path.join(self.directory, "supervisord.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            close_fds=True,
            check=False,
        )
        deadline = time.monotonic() + 20
        while not self.alive():
            if time.monotonic() > deadline:
                self.module.fail_json(
                    msg="supervisord does not answer: "
                    + done.stderr.decode(errors="replace")[-500:]
                )
            time.sleep(0.1)
        return True

    def state(self, name: str) -> int | None:
        try:
            return self.rpc.getProcessInfo(name)["state"]
        except xmlrpc.client.Fault:
            return None

    def stop(self, name: str) -> None:
        with contextlib.suppress(xmlrpc.client.Fault):
            self.rpc.stopProcessGroup(name, True)

    def apply(self, name: str, wanted: str) -> bool:
        """Bring the service into the wanted state; whether anything changed."""
        if wanted in ("absent", "stopped") and not self.alive():
            return False
        changed = self.ensure_daemon()
        if self.module.check_mode:
            running = not changed and self.state(name) in (RUNNING, STARTING)
            return wanted == "restarted" or running != (wanted == "started")
        before = self.state(name)
        if wanted in ("started", "restarted"):
            if wanted == "started" and not changed and before in (RUNNING, STARTING):
                return False
            # The definition may be new: take the group out and in again, the others stay as they are.
            self.rpc.reloadConfig()
            if before is not None and not changed:
                self.stop(name)
                with contextlib.suppress(xmlrpc.client.Fault):
                    self.rpc.removeProcessGroup(name)
            with contextlib.suppress(xmlrpc.client.Fault):
                self.rpc.addProcessGroup(name)
            if self.state(name) not in (RUNNING, STARTING):
                with contextlib.suppress(xmlrpc.client.Fault):
                    self.rpc.startProcess(name, False)
            if self.state(name) is None:
                self.module.fail_json(
                    msg="the supervisor knows no service %s: its definition is missing" % name
                )
            return True
        active = before in (RUNNING, STARTING, BACKOFF, STOPPING)
        self.stop(name)
        if wanted == "absent" and before is not None:
            self.rpc.removeProcessGroup(name)
            return True
        return active


class Systemd:
    """systemd, by systemctl."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def run(self, *arguments: str, check: bool = True) -> str:
        code, out, err = self.module.run_command(["systemctl", *arguments])
        if check and code:
            self.module.fail_json(msg="systemctl %s: %s" % (" ".join(arguments), err.strip()))
        return out.strip()

    def apply(self, name: str, wanted: str) -> bool:
        """Bring the service into the wanted state; whether anything changed."""
        unit = "lifelog-%s.service" % name
        active = self.run("is-active", unit, check=False) in ("active", "activating")
        enabled = self.run("is-enabled", unit, check=False) == "enabled"
        on = wanted in ("started", "restarted")
        change = wanted == "restarted" or active != on or (enabled != on and wanted != "stopped")
        if change and not self.module.check_mode:
            self.run("daemon-reload")
            if on:
                self.run("enable", unit)
                self.run("reset-failed", unit, check=False)
            elif wanted == "absent":
                self.run("disable", unit, check=False)
            self.run(
                {"started": "start", "restarted": "restart"}.get(wanted, "stop"), unit, check=on
            )
        return change


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "default": "started",
                "choices": ["started", "stopped", "restarted", "absent"],
            },
            "manager": {"type": "str", "required": True, "choices": ["systemd", "supervisor"]},
            "supervisord": {"type": "str", "default": ""},
            "directory": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    name, state, directory = (module.params[key] for key in ("name", "state", "directory"))
    if module.params["manager"] == "systemd":
        module.exit_json(changed=Systemd(module).apply(name, state))
    if not os.path.isdir(directory):
        # Check mode on a fresh machine, or already removed.
        module.exit_json(changed=state in ("started", "restarted"))
    with contextlib.ExitStack() as stack:
        if not module.check_mode:
            lock = stack.enter_context(
                open(os.path.join(directory, ".lock"), "w", encoding="utf-8")
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.set_inheritable(lock.fileno(), False)
        module.exit_json(changed=Supervisor(module).apply(name, state))


if __name__ == "__main__":
    main()
