#!/usr/bin/python
"""Measure the link to another node with iperf3: there, then back, each for a few seconds.

``listen`` starts two servers on the other node, one for each direction. A server ends with its one client, and without
one when its time is over.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: link_rate
short_description: Measure the link between two nodes in both directions
description: Without C(listen) sets the fact C(lifelog_link_rate). A link that cannot be measured is no failure.
options:
  listen: {type: bool, default: false, description: Start the servers, and return in problem why they do not run.}
  address: {type: str, required: true, description: Address that the servers are bound to.}
  own_address: {type: str, description: Address of this node that the traffic leaves from.}
  port: {type: int, default: 5201, description: The first of two ports.}
  seconds: {type: int, default: 2, description: Length of the measurement of one direction.}
  problem: {type: str, default: "", description: Why the servers do not run; then nothing is measured.}
"""

# What a server waits for its client: the first is done by then, and Ansible has come to the second node.
PATIENCE_S = 20
START_TIMEOUT_S = 5


def listens(port: int, tables: tuple[str, ...] = ("/proc/net/tcp", "/proc/net/tcp6")) -> bool:
    """Whether something listens on the port; asking a server itself would be its one connection."""
    for table in tables:
        try:
            with open(table, encoding="utf-8") as file:
                lines = [line.split() for line in file][1:]
        except OSError:
            continue
        if any(line[1].endswith(":%04X" % port) and line[3] == "0A" for line in lines):
            return True
    return False


def start_server(address: str, port: int) -> str:
    """Start a server for one client, detached; why it does not run, if so."""
    if listens(port):
        return "port %d is taken" % port
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [
                "timeout",
                str(PATIENCE_S),
                "iperf3",
                "--server",
                "--one-off",
                "--bind",
                address,
                "--port",
                str(port),
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                said.seek(0)
                return "iperf3 does not start on port %d: %s" % (port, said.read().strip()[-200:])
            time.sleep(0.05)
    return ""


def received_mbit_s(text: str) -> tuple[float | None, str | None]:
    """What arrived in Mbit/s by iperf3's JSON, or why nothing did."""
    try:
        found = json.loads(text)
        if found.get("error"):
            return None, found["error"]
        return round(found["end"]["sum_received"]["bits_per_second"] / 1e6, 1), None
    except (ValueError, KeyError, AttributeError):
        return None, "iperf3 says something else than expected: %s" % text.strip()[:100]


def measure(params: dict, port: int, *direction: str) -> tuple[float | None, str | None]:
    """Rate of one direction in Mbit/s, or why there is none."""
    own = ["--bind", params["own_address"]] if params["own_address"] else []
    try:
        done = subprocess.run(
            ["iperf3", "--client", params["address"], "--port", str(port), "--time", str(params["seconds"]),
             "--connect-timeout", "3000", "--json", *own, *direction],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=params["seconds"] + 10,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, "iperf3 did not end"
    return received_mbit_s(done.stdout or done.stderr)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "listen": {"type": "bool", "default": False},
            "address": {"type": "str", "required": True},
            "own_address": {"type": "str"},
            "port": {"type": "int", "default": 5201},
            "seconds": {"type": "int", "default": 2},
            "problem": {"type": "str", "default": ""},
        },
        supports_check_mode=False,
    )
    params = module.params
    module.get_bin_path("iperf3", required=True)
    ports = params["port"], params["port"] + 1
    if params["listen"]:
        problems = [start_server(params["address"], port) for port in ports]
        module.exit_json(changed=False, problem=next(filter(None, problems), ""))
    there, back, why = None, None, params["problem"] or None
    if not why:
        there, why = measure(params, ports[0])
    if not why:
        back, why = measure(params, ports[1], "--reverse")
    rate = {"there_mbit_s": there, "back_mbit_s": back, "absent_because": why}
    module.exit_json(changed=False, ansible_facts={"lifelog_link_rate": rate})


if __name__ == "__main__":
    main()
