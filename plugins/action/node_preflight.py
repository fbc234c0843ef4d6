"""Fails with every reason at once why a node cannot run what the inventory wants of it. Changes nothing."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
# An AF_UNIX path holds 107 bytes.
SOCKET_LIMIT = 100


def problems(host: str, wanted: dict) -> list[str]:
    """One sentence for each problem: what is wrong, and what to change."""
    facts, found = wanted["facts"], []
    minor = facts["python"]["minor"]
    if minor not in wanted["minors"]:
        found.append(
            f"{host} runs Python {minor} and the locks are for {', '.join(wanted['minors'])}: "
            "set ansible_python_interpreter to one of these"
        )
    minors = wanted["spark_minors"]
    if {"spark_masters", "spark_workers"} & set(wanted["group_names"]) and len(
        set(minors.values())
    ) > 1:
        mix = ", ".join(sorted(set(minors.values())))
        found.append(
            f"{host}: the Spark nodes run Python {mix}, and PySpark needs one minor version on all of them"
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
        return [
            f"{host}: {packages} is missing and {system['name'] or 'this system'} is not one that we install it on: "
            "install Java 17 or newer and Python's venv module by hand"
        ]
    if not (facts["root"] or wanted["become"] or wanted["sudo_works"]):
        return [
            f"{host}: {packages} is missing and installing it needs root; type: sudo apt-get install -y {packages}"
        ]
    return []


class ActionModule(ActionBase):
    """``node_preflight``: see ``problems``."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        wanted = dict(self._task.args)
        wanted["become"] = str(wanted["become"]).lower() in ("true", "yes", "1")
        wanted["sudo_works"] = False
        if wanted["packages"] and not wanted["facts"]["root"] and wanted["facts"]["sudo"]:
            wanted["sudo_works"] = (
                self._low_level_execute_command("sudo -n true", sudoable=False)["rc"] == 0
            )
        found = problems(task_vars["inventory_hostname"], wanted)
        if found:
            return {"failed": True, "changed": False, "msg": "\n".join(found)}
        return {"changed": False}
