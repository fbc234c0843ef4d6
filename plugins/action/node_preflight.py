"""Says every reason at once why a node cannot run what the inventory wants of it. Changes nothing.

The sentences are left in the fact ``lifelog_problems``: the play that asked every node shows them together.
"""

from __future__ import annotations

import os

from ansible.plugins.action import ActionBase

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
ARCHITECTURES = ("x86_64", "aarch64")
# An AF_UNIX path holds 107 bytes.
SOCKET_LIMIT = 100


def problems(host: str, wanted: dict) -> list[str]:
    """One sentence for each problem: what is wrong, and what to change.

    What is wrong with a whole machine is said of its first host only.
    """
    found = host_problems(host, wanted) + secret_problems(host, wanted)
    return found + machine_problems(host, wanted) if wanted["leader"] else found


def host_problems(host: str, wanted: dict) -> list[str]:
    """Python, address and ports, which each host has for itself."""
    facts, found = wanted["facts"], []
    minor = facts["python"]["minor"]
    if minor not in wanted["minors"]:
        found.append(
            f"{host} runs Python {minor} and the locks are for {', '.join(wanted['minors'])}: "
            "set ansible_python_interpreter to one of these"
        )
    minors = wanted["spark_minors"]
    if "spark_masters" in wanted["group_names"] and len(set(minors.values())) > 1:
        which = "; ".join(
            f"{minor} on {', '.join(name for name in minors if minors[name] == minor)}"
            for minor in sorted(set(minors.values()))
        )
        found.append(
            f"the Spark nodes run different Pythons ({which}), and PySpark needs one minor version on all of them: "
            "set ansible_python_interpreter"
        )
    if not facts["has_address"]:
        found.append(
            f"{host}: node_address {wanted['address']} is not an address of this machine: correct it in the inventory"
        )
    for port in wanted["ports"]:
        for entry in facts["listeners"]:
            same = entry["address"] in (wanted["address"], "0.0.0.0", "::")
            if entry["port"] == port["port"] and same and not entry["ours"]:
                who = (
                    f"{entry['command'].split(' ')[0]} (pid {entry['pid']})"
                    if entry["pid"]
                    else "another user's process"
                )
                found.append(
                    f"{host}: port {port['port']} of {entry['address']} is taken by {who}: "
                    f"stop it, or set {port['variable']} to a free port"
                )
    return found


def secret_problems(host: str, wanted: dict) -> list[str]:
    """Whether others can read the secret of the cluster, which lies on the control node: here."""
    path = wanted["secret"]
    if "spark_masters" not in wanted["group_names"] or not os.path.exists(path):
        return []
    if mode := os.stat(path).st_mode & 0o077:
        return [
            f"{host}: others can use the secret {path} on the control node (mode {mode:03o}): type chmod 600 {path}"
        ]
    return []


def machine_problems(host: str, wanted: dict) -> list[str]:
    """Architecture, privileges, directories, disk, memory, processor and packages of a machine."""
    facts, found = wanted["facts"], []
    if facts["architecture"] not in ARCHITECTURES:
        found.append(
            f"{host}: there are no wheels for {facts['architecture']}: use a machine of {' or '.join(ARCHITECTURES)}"
        )
    if wanted["manager"] == "systemd":
        if not facts["systemd"]:
            found.append(f"{host} was not started by systemd: set node_service_manager: supervisor")
        if not facts["root"]:
            found.append(
                f"{host}: installing services needs root: set node_become: true, or node_service_manager: supervisor"
            )
    for path, files in facts["foreign"].items():
        if files:
            found.append(
                f"{host}: {path} was not made by the testbed and holds {', '.join(files)}: "
                "give the testbed a directory of its own, or remove this one"
            )
    for path, free in facts["free_mb"].items():
        if free < int(wanted["disk_mb"]):
            found.append(
                f"{host}: {path} has {free} MB free and {wanted['disk_mb']} MB are needed: free some space"
            )
    need = int(wanted["memory_per_host_mb"]) * int(wanted["hosts_here"])
    if int(wanted["memory_mb"]) < need:
        found.append(
            f"{host}: {wanted['memory_mb']} MB of memory for the {wanted['hosts_here']} hosts of this machine, "
            f"{need} MB are needed: move hosts elsewhere, or correct node_memory_mb"
        )
    missing = [
        flag
        for flag in wanted["cpu_flags"]
        if facts["cpu_flags"] and flag not in facts["cpu_flags"]
    ]
    if missing:
        found.append(
            f"{host}: the processor lacks {', '.join(missing)}, which the pinned NumPy needs: use another machine"
        )
    if len(wanted["socket"]) > SOCKET_LIMIT:
        found.append(
            f"{host}: the path {wanted['socket']} is longer than {SOCKET_LIMIT} characters, too long for a socket: "
            "move the project to a shorter path, or set testbed_state_dir"
        )
    return found + package_problems(host, wanted)


def package_problems(host: str, wanted: dict) -> list[str]:
    """Whether the missing packages of the operating system can be installed."""
    facts, packages = wanted["facts"], " ".join(wanted["packages"])
    if not packages:
        return []
    system = facts["os"]
    if not facts["apt"] or system["version"] not in SUPPORTED.get(system["id"], ()):
        remedy = (
            "install a time service by hand, or set node_clock_sync: false"
            if wanted["packages"] == ["chrony"]
            else "install Java 17 or newer and Python's venv module by hand"
        )
        return [
            f"{host}: {packages} is missing and {system['name'] or 'this system'} is not one that we install it on: {remedy}"
        ]
    if not (facts["root"] or wanted["become"] or wanted["sudo_works"]):
        return [
            f"{host}: {packages} is missing and installing it needs root; type: sudo apt-get install -y {packages}"
        ]
    return []


def unreadable(host: str, result: dict) -> str:
    """The sentence for a node that was reached and could not be read."""
    text = " ".join(str(result.get(key) or "") for key in ("msg", "module_stderr", "stderr"))
    reason = next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
    if "sudo" in text or "become" in text or "escalation" in text:
        return f"{host}: Ansible cannot become root there ({reason}): allow sudo, or add --ask-become-pass"
    if "not found" in text or "No such file" in text or "interpreter" in text:
        return (
            f"{host} has no usable Python ({reason}): type sudo apt-get install -y python3 there, "
            "or set ansible_python_interpreter"
        )
    return f"{host} cannot be read: {reason}"


class ActionModule(ActionBase):
    """``node_preflight``: see ``problems``; or only ``unreachable`` or ``unreadable``, why nothing is known."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        wanted, host = dict(self._task.args), task_vars["inventory_hostname"]
        if "unreachable" in wanted:
            reason = (
                str(wanted["unreachable"]).removeprefix("Task failed: ").strip().splitlines()[0]
            )
            found = [
                f"{host} cannot be reached ({reason}): check ansible_host, the network and the SSH key"
            ]
            return {"changed": False, "ansible_facts": {"lifelog_problems": found}}
        if "unreadable" in wanted:
            found = [unreadable(host, wanted["unreadable"])]
            return {"changed": False, "ansible_facts": {"lifelog_problems": found}}
        for name in ("become", "leader"):
            wanted[name] = str(wanted[name]).lower() in ("true", "yes", "1")
        wanted["sudo_works"] = False
        if wanted["packages"] and not wanted["facts"]["root"] and wanted["facts"]["sudo"]:
            wanted["sudo_works"] = (
                self._low_level_execute_command("sudo -n true", sudoable=False)["rc"] == 0
            )
        found = problems(host, wanted)
        return {"changed": False, "ansible_facts": {"lifelog_problems": found}}
