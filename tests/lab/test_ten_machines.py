"""The same playbooks over SSH and systemd: ten machines first, then the life of a smaller cluster.

The tests build on each other, in this order: starting and installing machines is what takes the time.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from machines import INSTALL, PROJECT, Lab, changed, good

pytestmark = [pytest.mark.ci, pytest.mark.timeout(3600)]
SERVICES = {
    "controller-1": "lifelog-kafka-controller-1",
    "broker-1": "lifelog-kafka-broker-1",
    "broker-4": "lifelog-kafka-broker-4",
    "master-1": "lifelog-spark-master-1",
    "worker-1": "lifelog-spark-worker-1",
    "worker-4": "lifelog-spark-worker-4",
}
BROKERS = ["broker-1", "broker-2", "broker-3", "broker-4"]
WORKERS = ["worker-1", "worker-2", "worker-3", "worker-4"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Ten machines; afterwards nothing of them is left, whatever happened."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        good(lab.play("playbooks/lab.yml"))
        yield lab
    finally:
        good(lab.play("playbooks/lab.yml", "-e", "lab_state=absent"))
    assert changed(lab.play("playbooks/lab.yml", "-e", "lab_state=absent")) == set()
    assert not lab.machines.exists()
    assert not list(Path("/run/netns").glob("lifelog-*"))
    assert not list(Path("/sys/class/net").glob("lifelog-*"))
    assert not list(Path("/sys/class/net").glob("ll[hm]????????"))
    assert not list(Path("/sys/fs/cgroup").glob("**/lifelog-lab"))
    assert str(lab.machines) not in Path("/proc/mounts").read_text("utf-8")
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    assert "lifelog" not in rules.stdout

    def ended() -> bool:
        """Also the connections that Ansible keeps open for a minute."""
        return not [
            p.pid for p in psutil.process_iter(["cmdline", "status"])
            if p.info["status"] != psutil.STATUS_ZOMBIE and str(lab.machines) in " ".join(p.info["cmdline"] or [])
        ]  # fmt: skip

    wait_for("a process of the lab is left", ended)


def wait_for(what: str, ready: object, timeout_s: float = 120) -> None:
    """Ask again until the answer is yes."""
    deadline = time.monotonic() + timeout_s
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(1)


def test_machines_share_no_control_group(lab: Lab) -> None:
    # Else each would lose its services with those of the same name on another.
    for name in ("controller-1", "master-1", *BROKERS, *WORKERS):
        pids = subprocess.run(
            ["ip", "netns", "pids", f"lifelog-{name}"], capture_output=True, text=True, check=True
        ).stdout.split()
        groups = Path(f"/proc/{pids[0]}/cgroup").read_text("ascii").splitlines()
        of_services = [line for line in groups if line.split(":")[1] in ("", "name=systemd")]
        assert of_services
        assert all(name in line for line in of_services), of_services


def test_machines_are_held_to_what_was_asked_for(lab: Lab) -> None:
    assert len(lab.rates()) == 20
    assert 850 <= min(lab.rates()) <= max(lab.rates()) <= 1050
    assert changed(lab.play("playbooks/lab.yml")) == set()
    limits = {"lab_cpu_share": 0.2, "lab_memory_mb": 8192}
    lab.group("spark_workers")["worker-3"].update(limits)
    lab.save()
    good(lab.play("playbooks/lab.yml", "-e", "lab_link_rate=100mbit"))
    assert 85 <= min(lab.rates()) <= max(lab.rates()) <= 105
    assert 0.15 <= lab.measured()["cpu_share"]["worker-3"] <= 0.25
    assert lab.measured()["memory_mb"] == {"worker-3": 8192}
    for name in limits:
        del lab.group("spark_workers")["worker-3"][name]
    lab.save()
    good(lab.play("playbooks/lab.yml"))
    assert lab.measured()["cpu_share"] == {}
    assert min(lab.rates()) >= 850


def test_every_problem_of_every_node_is_named_at_once(lab: Lab) -> None:
    """Before anything is installed; each machine has another problem, and is mended again."""
    before = lab.hosts
    bad = Lab.__new__(Lab)
    bad.__dict__.update(lab.__dict__)
    bad.hosts = json.loads(json.dumps(before))
    brokers, workers = bad.group("kafka_brokers"), bad.group("spark_workers")
    brokers["broker-1"]["ansible_host"] = "198.18.1.99"
    brokers["broker-2"]["ansible_ssh_private_key_file"] = str(
        lab.machines / "machines/broker-2/ssh_host_ed25519_key"
    )
    brokers["broker-3"]["node_memory_mb"] = 100
    brokers["broker-3"]["node_disk_mb"] = 100_000_000
    # Its Python is another minor than that of the other Spark nodes.
    workers["broker-4"] = brokers.pop("broker-4")
    mend = {
        # Nobody may become root.
        "worker-1": ("mv /etc/sudoers.d/ops /root", None),
        # A processor without the instructions, on a system that nobody has tried.
        "worker-2": (
            "sed 's/ssse3//g; s/sse4_2//g' /proc/cpuinfo > /tmp/cpuinfo && mount --bind /tmp/cpuinfo /proc/cpuinfo",
            "umount /proc/cpuinfo",
        ),
        # It lacks Java and venv, and its system is not one on which we install them.
        "worker-4": (
            "sed -i.before s/12/11/ /etc/os-release",
            "mv /etc/os-release.before /etc/os-release",
        ),
    }
    for host, (breaking, _) in mend.items():
        assert lab.ssh(host).run(breaking).rc == 0
    try:
        bad.save()
        done = bad.play("playbooks/preflight.yml")
    finally:
        lab.save()
        for host, (_, mending) in mend.items():
            if mending:
                assert lab.ssh(host).run(mending).rc == 0
        # Without sudo, from outside: the machine's files are an overlay here.
        root = lab.machines / "machines/worker-1/root"
        (root / "root/ops").rename(root / "etc/sudoers.d/ops")
    assert done.returncode != 0
    text = " ".join(done.stdout.split())
    for sentence in (
        "broker-1 cannot be reached (",
        "broker-2 cannot be reached (",
        "broker-3: 100 MB of memory for the 1 hosts of this machine, 512 MB are needed",
        "broker-3: /opt/lifelog has ",
        "the Spark nodes run different Pythons (3.11 on master-1, worker-2, worker-3, worker-4; 3.13 on broker-4)",
        "worker-1: Ansible cannot become root there",
        "worker-2: the processor lacks sse4_2, ssse3, which the pinned NumPy needs",
        "worker-4: openjdk-17-jre-headless python3-venv is missing and Debian GNU/Linux 11",
    ):
        assert sentence in text, done.stdout[-6000:]
    assert not lab.ssh("worker-3").file("/opt/lifelog").exists


def test_a_check_of_fresh_machines_changes_nothing(lab: Lab) -> None:
    done = good(lab.play("site.yml", "--check", "--diff"))
    assert "would install" in done.stdout
    assert not lab.ssh("broker-1").file("/etc/lifelog").exists


def test_sixteen_producers_four_brokers_four_workers(lab: Lab) -> None:
    good(lab.play("site.yml", "-e", "set=producers=16,partitions=8,duration_s=40"))
    runs = {
        file.parent.name: json.loads(file.read_text("utf-8"))
        for file in lab.results.glob("smoke/*/run.json")
    }
    assert sorted(runs) == ["paced-r01-a01", "saturation-r01-a01"]
    for name, run in runs.items():
        assert run["valid"], run["invalid_reasons"]
        assert run["produced"] == run["processed"] + run["backlog"] > 1000
        assert set(run["provenance"]["placement"]["leaders"]) == {11, 12, 13, 14}
        assert len(run["provenance"]["placement"]["executors"]) == 4
        nodes = {
            file.stem: json.loads(file.read_text("utf-8"))
            for file in lab.results.glob(f"smoke/{name}/nodes/*.json")
        }
        assert {nodes[host]["os"]["version"] for host in BROKERS} == {"12", "13"}
        assert {nodes[host]["python"]["minor"] for host in WORKERS} == {"3.11"}
        assert {node["clock"]["source"] for node in nodes.values()} == {"shared"}
        for host in [*BROKERS, "master-1", *WORKERS]:
            did = run["node_metrics"][host]
            assert 0 < did["mean_busy_cores"] <= 4, did
            assert did["mean_network_in_mbit_per_s"] > 0, did
            header = json.loads(
                (lab.results / f"smoke/{name}/metrics/{host}.jsonl").open("r").readline()
            )
            assert header["container"] == "systemd-nspawn"
            assert header["interface"] == "host0"


def test_workers_fetch_from_the_brokers_of_other_machines(lab: Lab) -> None:
    fixed = PROJECT / "tests/local/experiments/fixed.yml"
    settings = "set=reader=direct,partitions=8,replication=2"
    good(lab.play("playbooks/app.yml", "-e", f"experiment={fixed}", "-e", settings))
    (file,) = lab.results.glob("fixed/*/run.json")
    run = json.loads(file.read_text("utf-8"))
    assert run["valid"], run["invalid_reasons"]
    assert run["produced"] == run["processed"] == 4 * 5000
    assert set(run["provenance"]["placement"]["leaders"]) == {11, 12, 13, 14}


def test_every_node_carries_what_its_link_allows(lab: Lab) -> None:
    done = good(lab.play("playbooks/links.yml", "-e", "links_must_hold=yes"))
    for host in lab.names():
        assert host in done.stdout


def test_a_second_installation_changes_nothing(lab: Lab) -> None:
    assert changed(lab.play(*INSTALL)) == set()
    assert changed(lab.play("site.yml", "--check", "--diff")) == set()


@pytest.mark.parametrize("host", SERVICES)
def test_services_are_confined(lab: Lab, host: str) -> None:
    machine = lab.ssh(host)
    unit = SERVICES[host]
    service = machine.service(unit)
    assert service.is_running
    assert service.is_enabled
    properties = service.systemd_properties
    assert properties["Type"] == "simple"
    assert properties["Restart"] == "on-failure"
    assert properties["User"] == "lifelog"
    assert int(properties["LimitNOFILE"]) >= 65536
    (process,) = machine.process.filter(user="lifelog", ppid=1)
    assert process.comm == "java"
    assert machine.user("lifelog").shell == "/usr/sbin/nologin"
    last = machine.check_output(f"systemd-analyze security --no-pager {unit}").splitlines()[-1]
    assert float(last.split("level for ")[1].split(": ")[1].split()[0]) <= 2.5, last
    address = machine.check_output("ip -4 -o address show dev host0").split()[3].split("/")[0]
    ours = [line for line in machine.check_output("ss -Hltnp").splitlines() if '"java"' in line]
    assert ours
    assert not [line for line in ours if address not in line.split()[3]]
    for path, mode in (
        ("/etc/lifelog", 0o755),
        ("/opt/lifelog", 0o755),
        ("/var/lib/lifelog", 0o755),
    ):
        assert machine.file(path).mode == mode
    # All but the lock file of uv, which every user may hold.
    writable = "find /etc/lifelog /opt/lifelog /var/lib/lifelog -perm -o+w -type f ! -name .lock"
    assert not machine.check_output(writable)


def test_a_jump_host_serves(lab: Lab) -> None:
    """Through one machine to another, at the address that the control node has no way to."""
    target = lab.group("kafka_brokers")["broker-1"]["node_address"]
    known = f"-o UserKnownHostsFile={lab.machines / 'known_hosts'} -o IdentitiesOnly=yes"
    jump = f"ssh -W %h:%p -i {lab.machines / 'key'} {known} ops@198.18.1.20"
    options = ("-m", "ansible.builtin.ping", "-e", f"ansible_host={target}")
    command = lab.command("ansible", "broker-1", *options)
    direct = subprocess.run(
        [*command, "-T", "3"], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert direct.returncode != 0
    command += ["-e", json.dumps({"ansible_ssh_common_args": f'{known} -o ProxyCommand="{jump}"'})]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_reboot_brings_the_services_back(lab: Lab) -> None:
    for host in ("broker-1", "worker-1"):
        command = lab.command("ansible", host, "--become", "-m", "ansible.builtin.reboot")
        done = subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, timeout=700, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        machine = lab.ssh(host)
        wait_for(f"{host}: no service", lambda m=machine, h=host: m.service(SERVICES[h]).is_running)
        # The link is shaped as before.
        assert "tbf" in machine.check_output("tc qdisc show dev host0")


def test_a_killed_service_comes_back(lab: Lab) -> None:
    for host in ("controller-1", "broker-1", "master-1", "worker-1"):
        machine, unit = lab.ssh(host), SERVICES[host]
        before = machine.service(unit).systemd_properties["MainPID"]
        machine.run_expect([0], f"kill -9 {before}")
        wait_for(
            f"{unit} was not started again",
            lambda m=machine, u=unit, b=before: (
                m.service(u).systemd_properties["MainPID"] not in ("0", b)
            ),
        )


def test_hosts_leave_and_come_without_uplink(lab: Lab) -> None:
    """Where packages of the operating system are present, nodes need nothing but the control node."""
    leaving = [*BROKERS[2:], *WORKERS[1:]]
    for host in leaving:
        lab.move(host, "kafka_brokers" if host in BROKERS else "spark_workers", "retired")
    lab.save()
    assert set(leaving) <= changed(lab.play(*INSTALL))
    for host in leaving:
        machine = lab.ssh(host)
        kind = "kafka" if host in BROKERS else "spark"
        assert not machine.service(f"lifelog-{kind}-{host}").exists
        assert not machine.process.filter(comm="java")
    # A machine keeps its programs for hosts that may come; here everything is to be brought again.
    lab.ssh("worker-2").run_expect([0], "rm -rf /opt/lifelog")
    for host in set(leaving) - {"worker-2"}:
        lab.group("retired").pop(host)
    lab.save()
    good(lab.play("playbooks/lab.yml", "-e", "lab_uplink=false"))
    # There are as many machines as hosts: the others are gone.
    assert sorted(lab.measured()["links"]) == sorted(lab.names())
    assert len(lab.names()) == 6
    asked = "apt-get update -o Acquire::Retries=0 -o Acquire::http::Timeout=5"
    assert "Err:" in lab.ssh("worker-2").run(asked).stdout
    lab.move("worker-2", "retired", "spark_workers")
    lab.save()
    assert "worker-2" in changed(lab.play(*INSTALL))
    assert lab.ssh("worker-2").service("lifelog-spark-worker-2").is_running


def test_a_changed_setting_restarts_what_it_concerns(lab: Lab) -> None:
    def started() -> dict[str, str]:
        return {
            host: lab.ssh(host).service(unit).systemd_properties["MainPID"]
            for host, unit in SERVICES.items()
            if host in lab.names()
        }

    before = started()
    lab.hosts["kafka_brokers"]["vars"] = {"kafka_broker_properties": {"num.io.threads": 6}}
    lab.save()
    assert changed(lab.play("site.yml", "--tags", "kafka")) == {"broker-1", "broker-2"}
    after = started()
    assert {host for host in before if before[host] != after[host]} == {"broker-1"}


def test_after_a_reset_nothing_is_left(lab: Lab) -> None:
    good(lab.play("playbooks/reset.yml", "-e", "reset_confirm=yes"))
    for host in lab.names():
        machine = lab.ssh(host)
        assert not machine.process.filter(comm="java"), host
        for path in ("/etc/lifelog", "/opt/lifelog", "/var/lib/lifelog", "/var/log/lifelog"):
            assert not machine.file(path).exists, f"{host}: {path}"
        assert not machine.run("ls /etc/systemd/system/lifelog-*").stdout
        assert not machine.user("lifelog").exists
