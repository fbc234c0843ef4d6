"""What an operator does to a real testbed: install again, check, look before, kill, reset."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
import yaml
from cluster import HERE, PROJECT, Testbed

pytestmark = pytest.mark.timeout(1800)
SITE = ("site.yml", "--skip-tags", "experiment")
# Not of a playbook: environments, what tests and linters leave, and what running services write.
PASSED_OVER = {
    ".venv", ".git", ".testbed", "results", "__pycache__", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", ".hypothesis", ".ansible", "log", "data",
}  # fmt: skip


def changed(recap: str) -> dict[str, int]:
    """How much a play changed on each host."""
    return {h: int(n) for h, n in re.findall(r"(?m)^(\S+)\s+: ok=\d+\s+changed=(\d+)", recap)}


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LIFELOG_CACHE") or Path(home) / "lifelog-testbed")


def tree(*roots: Path) -> str:
    """A hash over names, modes, times and contents of files."""
    digest = hashlib.sha256()
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - PASSED_OVER)
            for name in sorted([*names, *folders]):
                path = Path(folder, name)
                status = path.lstat()
                digest.update(f"{path} {status.st_mode} {status.st_size}".encode())
                if path.is_file() and not path.is_symlink() and status.st_size < 1_000_000:
                    digest.update(f"{status.st_mtime_ns}".encode() + path.read_bytes())
    return digest.hexdigest()


def of_the_testbed(bed: Testbed) -> list[str]:
    """Commands of the processes that the testbed has running."""
    found = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    return [line for line in found if f"{bed.state}/local/" in line]


def test_a_second_installation_changes_nothing(testbed: Testbed) -> None:
    done = testbed.play(*SITE)
    assert done.returncode == 0, done.stdout[-4000:]
    assert len(changed(done.stdout)) == 6
    assert set(changed(done.stdout).values()) == {0}, done.stdout[-4000:]


@pytest.mark.ci
def test_a_check_of_what_is_installed_changes_nothing(testbed: Testbed) -> None:
    before = tree(PROJECT, testbed.state, cache() / "lifelog")
    done = testbed.play(*SITE, "--check", "--diff")
    assert done.returncode == 0, done.stdout[-4000:]
    assert set(changed(done.stdout).values()) == {0}, done.stdout[-4000:]
    assert "Not checked" in done.stdout
    assert tree(PROJECT, testbed.state, cache() / "lifelog") == before


@pytest.mark.ci
def test_a_check_of_a_fresh_machine_leaves_no_file(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A short name: the supervisor's socket is below it.
    base = tmp_path_factory.mktemp("fresh")
    monkeypatch.setenv("LIFELOG_CACHE", str(base / "cache"))
    before = tree(PROJECT, base)
    done = Testbed(base / "state", base / "results").play(
        *SITE, "--check", "--diff", "-e", "kafka_port=19092", "-e", "kafka_controller_port=19093",
        "-e", "spark_master_port=17077", "-e", "spark_master_webui_port=18080",
        "-e", "spark_worker_port=17078", "-e", "spark_worker_webui_port=18081",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert min(changed(done.stdout).values()) > 0
    assert "+process.roles=broker" in done.stdout
    assert "would run: jars of Kafka" in done.stdout
    assert "Not checked" in done.stdout
    assert tree(PROJECT, base) == before


@pytest.mark.ci
@pytest.mark.parametrize("tag", ["artifacts", "node", "kafka", "spark", "members", "app"])
def test_each_role_alone_by_its_tag_changes_nothing_either(testbed: Testbed, tag: str) -> None:
    done = testbed.play("site.yml", "--tags", tag)
    assert done.returncode == 0, done.stdout[-4000:]
    assert set(changed(done.stdout).values()) == {0}, done.stdout[-4000:]


def test_every_problem_of_every_node_is_listed_at_once(testbed: Testbed, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'No route to host' >&2\nexit 255\n", encoding="utf-8")
    ssh.chmod(0o755)
    inventory = yaml.safe_load((HERE / "inventory/hosts.yml").read_text(encoding="utf-8"))
    for group, host, changes in (
        ("kafka_controllers", "test-controller", {"node_disk_mb": 10**9, "node_memory_mb": 100}),
        ("kafka_brokers", "test-broker-1", {"ansible_python_interpreter": "/absent/python3"}),
        ("kafka_brokers", "test-broker-2", {"ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)}),
        ("spark_workers", "test-worker-1", {"node_address": "192.0.2.7"}),
    ):  # fmt: skip
        inventory[group]["hosts"][host].update(changes)
    file = tmp_path / "hosts.yml"
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    # On ports where the installed testbed listens already: those are another one's now.
    bed = Testbed(tmp_path / "state", tmp_path / "results")
    done = bed.play("playbooks/preflight.yml", "-i", str(file))
    assert done.returncode != 0
    listed = done.stdout + done.stderr
    for sentence in (
        "test-controller: port 9093 of ",
        f"MB free and {10**9} MB are needed: free some space",
        "test-controller: 100 MB of memory for the 4 hosts of this machine",
        "test-broker-1 has no usable Python (The module interpreter '/absent/python3' was not found",
        "test-broker-2 cannot be reached (",
        "test-worker-1: node_address 192.0.2.7 is not an address of this machine",
        "test-master: port 8080 of ",
    ):
        assert sentence in listed, listed[-4000:]
    assert set(changed(done.stdout).values()) == {0}
    assert not bed.state.exists()


def test_files_can_be_used_by_those_who_need_them(testbed: Testbed) -> None:
    etc = testbed.state / "local/etc"
    modes = {
        str(path.relative_to(etc)): path.stat().st_mode & 0o777
        for path in etc.rglob("*")
        if not path.is_socket()
    }
    assert not {name: oct(mode) for name, mode in modes.items() if mode & 0o022}
    assert modes["supervisor"] == modes["supervisor/conf.d"] == 0o700
    assert modes["supervisor/supervisord.conf"] == 0o600
    secret = next((testbed.state / "secrets").rglob("spark")).read_text(encoding="utf-8").strip()
    knowing = {name for name in modes if (etc / name).is_file() and secret in (etc / name).read_text("utf-8")}  # fmt: skip
    assert knowing
    assert {modes[name] for name in knowing} == {0o600}


def test_a_reset_wants_a_typed_yes(testbed: Testbed) -> None:
    done = testbed.play("playbooks/reset.yml")
    assert done.returncode != 0
    assert "Nothing was changed: type yes when asked, or add -e reset_confirm=yes" in done.stdout
    assert len(of_the_testbed(testbed)) >= 7


@pytest.mark.last
def test_a_reset_leaves_no_process_and_no_file(testbed: Testbed) -> None:
    # What the inventories of other tests say of this cluster is not this inventory's to remove.
    own = f"inventory-{hashlib.sha256(str(HERE / 'inventory').encode()).hexdigest()[:8]}"
    for file in (testbed.state / "clusters").glob("*"):
        if file.stem != own:
            file.unlink()
    # The worst case: nobody is there who would end the services, and a dead socket.
    pid = int((testbed.state / "local/etc/supervisor/supervisord.pid").read_text("utf-8"))
    os.kill(pid, signal.SIGKILL)
    assert len(of_the_testbed(testbed)) >= 6
    done = testbed.play("playbooks/reset.yml", "-e", "reset_confirm=yes")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "apt-get purge openjdk" in done.stdout
    assert of_the_testbed(testbed) == []
    assert not testbed.state.exists()
    again = testbed.play("playbooks/reset.yml", "-e", "reset_confirm=yes")
    assert again.returncode == 0, again.stdout[-4000:]
    assert set(changed(again.stdout).values()) == {0}


@pytest.mark.ci
@pytest.mark.last
def test_after_a_reset_the_testbed_can_be_installed_again(testbed: Testbed) -> None:
    done = testbed.play(*SITE, timeout_s=900)
    assert done.returncode == 0, done.stdout[-4000:]
    assert len(of_the_testbed(testbed)) >= 7
