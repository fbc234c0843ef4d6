#!/usr/bin/python
"""What the testbed needs to know of a node, in one round trip.

``setup`` would gather ten times as much and take a second a host on a small machine. Standard library only: it runs
on nodes that have nothing but Python.
"""

from __future__ import annotations

import glob
import os
import platform
import pwd
import re
import shutil
import socket
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testbed_clock import clock_of, container, installed
from ansible.module_utils.testbed_link import link_of
from ansible.module_utils.testbed_marks import foreign_files

DOCUMENTATION = r"""
module: node_facts
short_description: Read what the testbed needs to know of a node
description: Sets the fact C(lifelog_node).
options:
  address: {type: str, description: The address of the node; tells whether this machine has it.}
  paths: {type: list, elements: str, default: [], description: Directories whose free space is wanted.}
  ours: {type: str, default: "", description: A listening process with this in its command line is ours.}
  directories: {type: list, elements: str, default: [], description: Directories that must be ours, or empty.}
  kernel: {type: str, default: "", description: Name of the kernel where other hosts share it; they share its clock.}
  account: {type: str, default: "", description: The account that services run as; tells whether it is there.}
"""


def read(path: str) -> str:
    """The file's text without surrounding blanks, or nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def java() -> dict | None:
    """The Java that a service would start, without starting it: ``release`` says the version."""
    home = os.environ.get("JAVA_HOME", "")
    path = os.path.join(home, "bin", "java") if home else shutil.which("java") or ""
    if not os.access(path, os.X_OK):
        return None
    release = read(os.path.join(os.path.dirname(os.path.realpath(path)), "..", "release"))
    found = re.search(r'JAVA_VERSION="([^"]*)"', release)
    version = found.group(1) if found else ""
    major = version.removeprefix("1.").split(".")[0] if version else "0"
    return {"path": path, "version": version, "major": int(re.match(r"\d*", major).group() or 0)}


def addresses(family: str, text: str) -> str:
    """An address of /proc/net/tcp* in its usual notation."""
    raw = bytes.fromhex(text)
    words = b"".join(
        raw[i : i + 4][:: -1 if sys.byteorder == "little" else 1] for i in range(0, len(raw), 4)
    )
    if family == "tcp":
        return socket.inet_ntop(socket.AF_INET, words)
    mapped = words[:12] == bytes(10) + b"\xff\xff"
    return (
        socket.inet_ntop(socket.AF_INET, words[12:])
        if mapped
        else socket.inet_ntop(socket.AF_INET6, words)
    )


def listeners(ours: str) -> list[dict]:
    """Every listening TCP socket: address, port, and its process where we may know it."""
    found = []
    for family in ("tcp", "tcp6"):
        for line in read("/proc/net/" + family).splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                address, port = fields[1].split(":")
                found.append(
                    {
                        "address": addresses(family, address),
                        "port": int(port, 16),
                        "inode": fields[9],
                    }
                )
    owners = {}
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            owners[target[8:-1]] = link.split("/")[2]
    for entry in found:
        pid = owners.get(entry.pop("inode"), "")
        command = read("/proc/%s/cmdline" % pid).replace("\0", " ").strip() if pid else ""
        entry.update(pid=int(pid or 0), command=command[:100], ours=bool(ours) and ours in command)
    return found


def has_address(address: str) -> bool:
    """Whether a socket can be bound to the address here."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
        return True
    except OSError:
        return False


def free_mb(path: str) -> int:
    """Free space of the file system that would hold the path, in MB."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free // 1_000_000


def account(name: str) -> dict | None:
    """What the account is for; nothing where there is none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return {"comment": found.pw_gecos, "home": found.pw_dir}


def memory_mb() -> int:
    """Memory of the machine in MB (of 1024 x 1024 bytes), its own limit where it has one."""
    total = int(re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo")).group(1)) // 1024
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = read(path)
        if limit.isdigit():
            total = min(total, int(limit) >> 20)
    return total


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str"},
            "paths": {"type": "list", "elements": "str", "default": []},
            "ours": {"type": "str", "default": ""},
            "directories": {"type": "list", "elements": "str", "default": []},
            "kernel": {"type": "str", "default": ""},
            "account": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    release = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)', read("/etc/os-release")))
    cpu = read("/proc/cpuinfo")
    boot = read("/proc/sys/kernel/random/boot_id")
    model = re.search(r"model name\s*: (.*)", cpu)
    flags = re.search(r"(?:flags|Features)\s*: (.*)", cpu)
    base = getattr(sys, "_base_executable", None) or sys.executable
    try:
        import ensurepip
        import venv

        complete = bool(ensurepip and venv)
    except ImportError:
        complete = False
    kind = container()
    clock = clock_of(kind, module.params["kernel"])
    address = module.params["address"]
    facts = {
        "machine_id": read("/etc/machine-id") or boot + socket.gethostname(),
        "kernel_id": boot,
        "hostname": socket.gethostname(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "os": {
            "id": release.get("ID", ""),
            "version": release.get("VERSION_ID", ""),
            "name": release.get("PRETTY_NAME", ""),
        },
        "cores": len(os.sched_getaffinity(0)),
        "cpu_model": model.group(1).strip() if model else "",
        "cpu_flags": sorted(flags.group(1).split()) if flags else [],
        "memory_mb": memory_mb(),
        "python": {
            "executable": base,
            "version": platform.python_version(),
            "minor": "%d.%d" % sys.version_info[:2],
            "venv": complete,
        },
        "java": java(),
        "root": os.geteuid() == 0,
        "sudo": bool(shutil.which("sudo")),
        "apt": bool(shutil.which("apt-get")),
        "systemd": os.path.isdir("/run/systemd/system"),
        "container": kind,
        "clock": clock,
        # A container cannot set its clock, and a service that was stopped was stopped by somebody.
        "chrony_needed": clock["source"] == "none" and not kind and not installed(),
        "iperf3": bool(shutil.which("iperf3")),
        "account": account(module.params["account"]),
        "foreign": {path: foreign_files(path)[:3] for path in module.params["directories"]},
        "free_mb": {path: free_mb(path) for path in module.params["paths"]},
        "listeners": listeners(module.params["ours"]),
        "has_address": has_address(address) if address else None,
        "link": link_of(address) if address else None,
    }
    module.exit_json(changed=False, ansible_facts={"lifelog_node": facts})


if __name__ == "__main__":
    main()
