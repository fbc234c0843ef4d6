#!/usr/bin/python
"""Test machines on this one: systemd-nspawn containers with systemd and sshd, on two bridges with shaped links.

Each machine has a network namespace that outlives its reboots: mgmt0 (SSH, packages) and host0 (the cluster's own
traffic), both shaped with tbf in both directions. Its files are an overlay above the images that the role builds.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import uuid
import zlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: lab_machines
short_description: Start, measure and remove the machines of the lab
options:
  state:
    type: str
    choices: [checked, present, absent]
    default: present
    description: With checked nothing is done; what stands in the way is in problems, programs that are not installed in missing.
  directory:
    type: path
    required: true
    description: Where key, host keys and overlays are kept.
  machines:
    type: list
    elements: dict
    default: []
    description: >-
      Each with name, management and address (one address in each network), lower (directories of its image, the
      uppermost first), and optionally cpu_share (of one core) and memory_mb.
  management_network:
    type: str
    required: true
  data_network:
    type: str
    required: true
  link_rate:
    type: str
    default: 1gbit
  uplink:
    type: bool
    default: true
    description: Whether the machines reach what this machine reaches, through its address.
  memory_mb:
    type: int
    default: 0
    description: Memory that each machine may be expected to use.
  user:
    type: str
    default: ops
"""

PREFIX = "lifelog-"
BRIDGES = {"mgmt0": "lifelog-mgmt", "host0": "lifelog-data"}
TABLE = "lifelog_lab"
CGROUPS = Path("/sys/fs/cgroup")
# Of version 1, and the one of version 2 beside them, by whose path nspawn finds where it is.
HIERARCHIES = ("unified", "systemd", "cpu", "cpuacct", "memory")
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
PROGRAMS = ("systemd-nspawn", "debootstrap", "ip", "tc", "nft", "iperf3", "ssh-keygen")
RATE = re.compile(r"([1-9]\d*)([kmg])bit$")
UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}
# A name becomes a host name and a part of the name of a namespace.
NAME = re.compile(r"[a-z][a-z0-9-]{0,40}$")
# Ten systems boot at once: on two busy cores that takes minutes.
START_TIMEOUT_S = 300
# A machine whose nspawn has not been seen for as long has ended.
GONE_S = 15
STOP_TIMEOUT_S = 20
CPU_PERIOD_US = 100_000
TRIES = 10
# TCP over Ethernet carries 0.957 of the rate; below this the link is not believed.
LEAST_SHARE, LARGEST_SHARE = 0.85, 1.05


def cgroups_of(name: str = "") -> list[Path]:
    """The cgroups of a machine, one in each hierarchy, or of the whole lab.

    A machine that had none of its own would share those of its services with all others, and lose them when one of
    these stops a service of the same name.
    """
    version_2 = (CGROUPS / "cgroup.controllers").exists()
    roots = [CGROUPS] if version_2 else [CGROUPS / each for each in HIERARCHIES]
    return [root / "lifelog-lab" / name for root in roots if root.is_dir()]


class LabError(Exception):
    """What went wrong, in one sentence."""


def run(*argv: str) -> str:
    """Output of a command; a failing one ends the module with what it said."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(argv)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def bits_per_s(rate: str) -> float:
    """Rate of a link, given as tc writes it."""
    found = RATE.match(rate)
    if not found:
        raise LabError(f"lab_link_rate {rate} is no rate: write it like 1gbit or 100mbit")
    return int(found[1]) * UNITS[found[2]]


def peer(name: str, interface: str) -> str:
    """This machine's end of an interface; a name of an interface holds 15 characters."""
    return f"ll{interface[0]}{zlib.crc32(name.encode()):08x}"


def nspawn_pid(root: Path) -> int | None:
    """The process that holds the machine of this root directory."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"systemd-nspawn") and f"--directory={root}".encode() in words:
                return int(folder.name)
    return None


def mounted(path: Path) -> bool:
    """Whether something is mounted at this very path."""
    return any(
        line.split()[1] == str(path) for line in Path("/proc/mounts").read_text().splitlines()
    )


class Lab:
    """The lab that the parameters describe; every step says whether it changed anything."""

    def __init__(self, params: dict) -> None:
        self.directory = Path(params["directory"])
        self.machines = {machine["name"]: machine for machine in params["machines"]}
        self.networks = {
            "mgmt0": ipaddress.ip_network(params["management_network"]),
            "host0": ipaddress.ip_network(params["data_network"]),
        }
        self.rate, self.uplink, self.user = params["link_rate"], params["uplink"], params["user"]
        self.memory_mb = params["memory_mb"]
        self.changes: list[str] = []

    # What stands in the way

    def problems(self) -> list[str]:
        """One sentence for each thing that must be changed before the machines can start."""
        if os.geteuid():
            return [
                "the lab makes network namespaces and mounts, which needs root: type sudo in front of the command"
            ]
        found = []
        bits_per_s(self.rate)
        for name, machine in self.machines.items():
            if not NAME.match(name):
                found.append(
                    f"{name} cannot be the name of a machine: use small letters, digits and hyphens"
                )
            for key, interface in (("management", "mgmt0"), ("address", "host0")):
                if ipaddress.ip_address(machine[key]) not in self.networks[interface]:
                    variable = "ansible_host" if key == "management" else "node_address"
                    found.append(
                        f"{name}: {variable} {machine[key]} is not in {self.networks[interface]}: correct it"
                    )
            limits = machine.get("cpu_share") or machine.get("memory_mb")
            if limits and not any((CGROUPS / c).is_dir() for c in ("cpu", "memory")):
                found.append(
                    f"{name}: limits need cgroups of version 1 here: take out lab_cpu_share and lab_memory_mb"
                )
        if shutil.which("ip"):
            found += self.taken()
        running = sum(nspawn_pid(self.root(name)) is not None for name in self.machines)
        need = self.memory_mb * (len(self.machines) - running)
        free = next(
            int(line.split()[1]) // 1024
            for line in Path("/proc/meminfo").read_text().splitlines()
            if line.startswith("MemAvailable")
        )
        if free < need:
            found.append(
                f"{free} MB of memory are free and {len(self.machines)} machines need {need} MB: "
                "take machines out of the inventory, or end other programs"
            )
        return found

    def taken(self) -> list[str]:
        """Networks that this machine already reaches in another way."""
        found = []
        for route in json.loads(run("ip", "-json", "-4", "route") or "[]"):
            if route.get("dev") in BRIDGES.values() or route["dst"] == "default":
                continue
            for variable, network in zip(
                ("management", "data"), self.networks.values(), strict=True
            ):
                if ipaddress.ip_network(route["dst"], strict=False).overlaps(network):
                    found.append(
                        f"{network} is in use on {route['dev']}: choose another lab_{variable}_network "
                        "and change the addresses in the inventory"
                    )
        return found

    # Networks

    def root(self, name: str) -> Path:
        return self.directory / "machines" / name / "root"

    def bridges(self) -> None:
        """Make the bridges; only the one of the management network has an address here."""
        for interface, bridge in BRIDGES.items():
            if Path("/sys/class/net", bridge).exists():
                continue
            self.changes.append(f"bridge {bridge}")
            run("ip", "link", "add", bridge, "type", "bridge")
            if interface == "mgmt0":
                network = self.networks[interface]
                run("ip", "address", "add", f"{network[-2]}/{network.prefixlen}", "dev", bridge)
            run("ip", "link", "set", bridge, "up")

    def forward(self) -> None:
        """Let the machines out through this machine's address, or keep them in."""
        there = subprocess.run(
            ["nft", "list", "table", "ip", TABLE], capture_output=True, check=False
        ).returncode == 0  # fmt: skip
        if there == self.uplink:
            return
        self.changes.append("uplink" if self.uplink else "no uplink")
        if not self.uplink:
            run("nft", "delete", "table", "ip", TABLE)
            return
        before = self.directory / "ip_forward"
        if not before.exists():
            before.write_text(FORWARD.read_text())
        FORWARD.write_text("1")
        run("nft", "add", "table", "ip", TABLE)
        run(
            "nft", "add", "chain", "ip", TABLE, "out", "{ type nat hook postrouting priority 100; }"
        )
        inside, bridge = str(self.networks["mgmt0"]), BRIDGES["mgmt0"]
        rule = ["ip", "saddr", inside, "oifname", "!=", bridge, "masquerade"]
        run("nft", "add", "rule", "ip", TABLE, "out", *rule)

    def links(self, machine: dict) -> None:
        """Make the namespace of a machine and its two links."""
        name = machine["name"]
        space = PREFIX + name
        if Path("/run/netns", space).exists():
            return
        self.changes.append(f"network of {name}")
        run("ip", "netns", "add", space)
        try:
            run("ip", "-n", space, "link", "set", "lo", "up")
            for interface, key in (("mgmt0", "management"), ("host0", "address")):
                here, prefix = peer(name, interface), self.networks[interface].prefixlen
                pair = ("type", "veth", "peer", "name", interface, "netns", space)
                run("ip", "link", "add", here, *pair)
                if interface == "mgmt0":
                    # Never larger than what this machine's own link carries.
                    run("ip", "link", "set", here, "mtu", "1400")
                    run("ip", "-n", space, "link", "set", interface, "mtu", "1400")
                run("ip", "link", "set", here, "master", BRIDGES[interface], "up")
                own = f"{machine[key]}/{prefix}"
                run("ip", "-n", space, "address", "add", own, "dev", interface)
                run("ip", "-n", space, "link", "set", interface, "up")
            gateway = str(self.networks["mgmt0"][-2])
            run("ip", "-n", space, "route", "add", "default", "via", gateway)
        except LabError:
            run("ip", "netns", "delete", space)
            raise

    def shape(self) -> None:
        """Hold every link to its rate in both directions."""
        # What is sent in two milliseconds, and at least what one segment may hold.
        burst = max(int(bits_per_s(self.rate) / 8 * 0.002), 16_384)
        wanted = ["tbf", "rate", self.rate, "burst", str(burst), "latency", "20ms"]
        for name in self.machines:
            for interface in BRIDGES:
                for where, device in (
                    (["-n", PREFIX + name], interface),
                    ([], peer(name, interface)),
                ):
                    run("tc", *where, "qdisc", "replace", "dev", device, "root", *wanted)

    # Machines

    def identity(self, machine: dict) -> None:
        """Give a new machine its name, its host key, the lab's key and this machine's name servers."""
        name, root = machine["name"], self.root(machine["name"])
        host_key = self.directory / "machines" / name / "ssh_host_ed25519_key"
        if not host_key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(host_key))
        for end in ("", ".pub"):
            shutil.copy(f"{host_key}{end}", root / "etc/ssh")
        (root / "etc/hostname").write_text(f"{name}\n")
        # Left empty, every machine would take its id from the hardware, which all of them share.
        (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        known = [f"{m['address']} {m['name']}" for m in self.machines.values()]
        (root / "etc/hosts").write_text("\n".join(["127.0.0.1 localhost", *known]) + "\n")
        for source in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"):
            if Path(source).exists():
                # Debian 13 may have a link here.
                (root / "etc/resolv.conf").unlink(missing_ok=True)
                (root / "etc/resolv.conf").write_text(Path(source).read_text())
                break
        account = root / "home" / self.user
        keys = account / ".ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_text((self.directory / "key.pub").read_text())
        owner = account.stat()
        for path in (keys.parent, keys):
            os.chown(path, owner.st_uid, owner.st_gid)

    def keys(self) -> None:
        """Make the key of the lab."""
        self.directory.mkdir(parents=True, exist_ok=True)
        key = self.directory / "key"
        if not key.exists():
            self.changes.append("key")
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key))

    def known_hosts(self) -> None:
        """Write the machines' host keys under the addresses that SSH reaches them at."""
        lines = []
        for name, machine in sorted(self.machines.items()):
            kind, key = (
                (self.directory / "machines" / name / "ssh_host_ed25519_key.pub")
                .read_text()
                .split()[:2]
            )
            lines.append(f"{machine['management']},{machine['address']} {kind} {key}\n")
        (self.directory / "known_hosts").write_text("".join(lines))
        # Whoever called sudo uses them.
        owner = int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0"))
        for name in ("key", "key.pub", "known_hosts"):
            os.chown(self.directory / name, *owner)

    def group(self, machine: dict) -> list[Path]:
        """Make the cgroups of a machine, limits included; processes that enter them are its own."""
        folders = cgroups_of(machine["name"])
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            controller = folder.parent.parent.name
            if controller == "cpu":
                share = machine.get("cpu_share")
                quota = int(float(share) * CPU_PERIOD_US) if share else -1
                (folder / "cpu.cfs_period_us").write_text(str(CPU_PERIOD_US))
                (folder / "cpu.cfs_quota_us").write_text(str(quota))
            if controller == "memory":
                limit = machine.get("memory_mb")
                (folder / "memory.limit_in_bytes").write_text(
                    str(int(limit) * 2**20 if limit else -1)
                )
        return folders

    def start(self, machine: dict) -> None:
        """Boot a machine that does not run."""
        name, root = machine["name"], self.root(machine["name"])
        folder = root.parent
        lower = ":".join(machine["lower"])
        image = folder / "image"
        if image.exists() and image.read_text() != lower:
            self.remove(name)
            self.links(machine)
        groups = self.group(machine)
        if nspawn_pid(root) is not None:
            return
        self.changes.append(f"machine {name}")
        for part in ("root", "upper", "work"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        if not mounted(root):
            options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
            run("mount", "-t", "overlay", PREFIX + name, "-o", options, str(root))
        if not image.exists():
            self.identity(machine)
            image.write_text(lower)
        command = [
            "systemd-nspawn", "--quiet", "--settings=no", f"--directory={root}", f"--machine={name}", "--boot",
            "--register=no", "--keep-unit", f"--network-namespace-path=/run/netns/{PREFIX}{name}",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=passive",
        ]  # fmt: skip
        # A machine that reboots makes nspawn end with 133, and whoever started it starts it again.
        if Path("/run/systemd/system").is_dir():
            properties = ("Delegate=yes", "RestartForceExitStatus=133", "SuccessExitStatus=133")
            unit = ["systemd-run", "--quiet", "--collect", f"--unit={PREFIX}lab-{name}"]
            run(*unit, *(f"--property={each}" for each in properties), *command)
            return
        again = ["sh", "-c", 'while "$@"; [ $? -eq 133 ]; do :; done', "sh"]

        def enter() -> None:
            for group in groups:
                (group / "cgroup.procs").write_text("0")

        with open(folder / "console.log", "ab") as log:
            subprocess.Popen(
                [*again, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=enter,
                cwd="/",
            )

    def wait(self) -> None:
        """Wait until every machine's sshd answers."""
        started = time.monotonic()
        for name, machine in self.machines.items():
            log = self.root(name).parent / "console.log"
            seen = time.monotonic()
            while True:
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection((machine["management"], 22), 1) as connection,
                ):
                    connection.settimeout(5)
                    if connection.recv(4) == b"SSH-" and self.open_to_users(name):
                        break
                now = time.monotonic()
                if nspawn_pid(self.root(name)) is not None:
                    seen = now
                if now - seen > GONE_S:
                    said = log.read_text(errors="replace").split("\n") if log.exists() else []
                    last = next(
                        (line for line in reversed(said) if line.strip()), "it said nothing"
                    )
                    raise LabError(f"{name} ended while it started ({last}): see {log}")
                if now - started > START_TIMEOUT_S:
                    raise LabError(
                        f"{name} does not answer to SSH {START_TIMEOUT_S} s after its start: see {log};"
                        " if this machine is busy, run the play again, which goes on from here"
                    )
                time.sleep(0.1)

    def open_to_users(self, name: str) -> bool:
        """Whether the machine has booted: until then sshd answers and lets nobody in but root."""
        pids = run("ip", "netns", "pids", PREFIX + name).split()
        return not any(Path("/proc", pid, "root/run/nologin").exists() for pid in pids)

    # Measuring

    def measured(self) -> dict:
        """Rate of every link and share of every processor; measured again only after a change."""
        file = self.directory / "measured.json"
        key = {
            "rate": self.rate,
            "interfaces": {
                name: Path("/sys/class/net", peer(name, "host0"), "ifindex").read_text().strip()
                for name in self.machines
            },
            "limits": {
                n: [m.get("cpu_share"), m.get("memory_mb")] for n, m in self.machines.items()
            },
        }
        with contextlib.suppress(OSError, ValueError):
            before = json.loads(file.read_text())
            if before["key"] == key:
                return before
        names = list(self.machines)
        result: dict = {
            "key": key,
            "links": {name: {} for name in names},
            "cpu_share": {},
            "memory_mb": {},
        }
        # In a ring: each link once in each direction, and never two at a time.
        for sender, receiver in zip(names, names[1:] + names[:1], strict=True):
            rate = self.rate_between(sender, receiver) if len(names) > 1 else 0.0
            result["links"][sender]["out_mbit_per_s"] = result["links"][receiver][
                "in_mbit_per_s"
            ] = rate
        for name, machine in self.machines.items():
            if machine.get("cpu_share"):
                result["cpu_share"][name] = self.share(machine)
            if machine.get("memory_mb"):
                limit = CGROUPS / "memory/lifelog-lab" / name / "memory.limit_in_bytes"
                result["memory_mb"][name] = int(limit.read_text()) // 2**20
        file.write_text(json.dumps(result, indent=1) + "\n")
        return result

    def rate_between(self, sender: str, receiver: str) -> float:
        """Mbit/s that iperf3 carries between two machines over the data network; the best of a few tries.

        A busy machine carries less than its links allow: only what it carries at its best tells of them.
        """
        wanted = bits_per_s(self.rate) / 1e6
        rates: list[float] = []
        while len(rates) < TRIES and (not rates or max(rates) < LEAST_SHARE * wanted):
            rates.append(self.iperf(sender, receiver))
        if not LEAST_SHARE * wanted <= max(rates) <= LARGEST_SHARE * wanted:
            raise LabError(
                f"the link from {sender} to {receiver} carries {max(rates):.0f} Mbit/s and {wanted:.0f} were asked "
                "for: choose a lower lab_link_rate, or end other programs"
            )
        return round(max(rates), 1)

    def iperf(self, sender: str, receiver: str) -> float:
        address = self.machines[receiver]["address"]
        server = subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                PREFIX + receiver,
                "iperf3",
                "--server",
                "--one-off",
                "--bind",
                address,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        client = [
            "ip",
            "netns",
            "exec",
            PREFIX + sender,
            "iperf3",
            "--client",
            address,
            "--time",
            "1",
            "--json",
        ]
        try:
            for _ in range(50):
                done = subprocess.run(
                    client, capture_output=True, text=True, timeout=30, check=False
                )
                # A refused connection is told in the output only.
                received = json.loads(done.stdout or "{}").get("end", {}).get("sum_received")
                if received:
                    return received["bits_per_second"] / 1e6
                time.sleep(0.1)
            raise LabError(f"iperf3 from {sender} to {receiver} failed: {done.stdout.strip()}")
        finally:
            server.kill()
            server.wait()

    def share(self, machine: dict) -> float:
        """Share of a core that a busy process gets in the machine's cgroup."""
        groups = self.group(machine)
        spin = (
            "import time\nt, c = time.perf_counter(), time.process_time()\n"
            "while time.perf_counter() - t < 2: pass\n"
            "print((time.process_time() - c) / (time.perf_counter() - t))"
        )

        def enter() -> None:
            for group in groups:
                (group / "cgroup.procs").write_text("0")

        done = subprocess.run(
            [sys.executable, "-c", spin],
            capture_output=True,
            text=True,
            preexec_fn=enter,
            check=True,
        )
        return round(float(done.stdout), 3)

    # Removing

    def kill(self, names: list[str]) -> None:
        """End machines at once: nothing of theirs is kept, and shutting down may wait for sessions."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while True:
            pids = [pid for name in names if (pid := nspawn_pid(self.root(name))) is not None]
            for name in names:
                if Path("/run/netns", PREFIX + name).exists():
                    pids += map(int, run("ip", "netns", "pids", PREFIX + name).split())
            if not pids:
                return
            if time.monotonic() > deadline:
                raise LabError(f"processes {pids} of the lab do not end: kill them, then try again")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def remove(self, name: str) -> None:
        """Remove a machine and everything of it."""
        self.changes.append(f"machine {name} removed")
        self.kill([name])
        root = self.root(name)
        if mounted(root):
            run("umount", str(root))
        for interface in BRIDGES:
            # It would go with the namespace, but that lives on where anything still holds it.
            with contextlib.suppress(LabError):
                run("ip", "link", "delete", peer(name, interface))
        if Path("/run/netns", PREFIX + name).exists():
            run("ip", "netns", "delete", PREFIX + name)
        for folder in cgroups_of(name):
            for inner, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(inner)
        shutil.rmtree(root.parent, ignore_errors=True)

    def there(self) -> list[str]:
        """Names of the machines that exist, in whole or in part."""
        found = {path.name.removeprefix(PREFIX) for path in Path("/run/netns").glob(f"{PREFIX}*")}
        return sorted(found | {path.name for path in (self.directory / "machines").glob("*")})

    def present(self) -> dict:
        self.keys()
        self.bridges()
        self.forward()
        for name in self.there():
            if name not in self.machines:
                self.remove(name)
        for machine in self.machines.values():
            self.links(machine)
            self.start(machine)
        self.known_hosts()
        self.shape()
        self.wait()
        return self.measured()

    def absent(self) -> None:
        names = self.there()
        self.kill(names)
        for name in names:
            self.remove(name)
        for bridge in BRIDGES.values():
            if Path("/sys/class/net", bridge).exists():
                self.changes.append(f"bridge {bridge} removed")
                run("ip", "link", "delete", bridge)
        self.uplink = False
        self.forward()
        before = self.directory / "ip_forward"
        if before.exists():
            FORWARD.write_text(before.read_text())
        for folder in cgroups_of():
            with contextlib.suppress(OSError):
                folder.rmdir()
        if self.directory.exists():
            if any(
                f" {self.directory}/" in line
                for line in Path("/proc/mounts").read_text().splitlines()
            ):
                raise LabError(
                    f"something is still mounted below {self.directory}: end what uses it, then try again"
                )
            self.changes.append("files")
            shutil.rmtree(self.directory)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["checked", "present", "absent"],
                "default": "present",
            },
            "directory": {"type": "path", "required": True},
            "machines": {"type": "list", "elements": "dict", "default": []},
            "management_network": {"type": "str", "required": True},
            "data_network": {"type": "str", "required": True},
            "link_rate": {"type": "str", "default": "1gbit"},
            "uplink": {"type": "bool", "default": True},
            "memory_mb": {"type": "int", "default": 0},
            "user": {"type": "str", "default": "ops"},
        },
        supports_check_mode=True,
    )
    result: dict = {}
    try:
        lab = Lab(module.params)
        state = module.params["state"]
        if state == "checked":
            missing = [name for name in PROGRAMS if not shutil.which(name)]
            module.exit_json(changed=False, problems=lab.problems(), missing=missing)
        if module.check_mode:
            names = set(lab.machines) ^ set(lab.there()) if state == "present" else set(lab.there())
            module.exit_json(changed=bool(names), changes=sorted(names))
        if state == "present":
            result["measured"] = lab.present()
            rates = [
                rate for link in result["measured"]["links"].values() for rate in link.values()
            ]
            result["link_mbit_per_s"] = {"least": min(rates), "median": statistics.median(rates)}
        else:
            lab.absent()
    except (LabError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(lab.changes), changes=lab.changes, **result)


if __name__ == "__main__":
    main()
