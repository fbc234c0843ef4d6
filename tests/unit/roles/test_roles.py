"""What holds for every role: defaults and argument specifications name the same, docs are fresh, filters are right."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from artifact_keys import keys
from node_preflight import problems, unreadable
from testbed import kafka_uuid, machine_hosts, shell_words, systemd_words

PROJECT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.parent.parent for path in PROJECT.glob("roles/*/meta/argument_specs.yml"))


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_defaults_are_specified(role: Path) -> None:
    defaults = set(yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {})
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))[
        "argument_specs"
    ]["main"]["options"]
    required = {name for name, option in options.items() if option.get("required")}
    assert defaults == set(options) - required


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_specified_defaults_are_those_of_the_role(role: Path) -> None:
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {}
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))[
        "argument_specs"
    ]["main"]["options"]
    fixed = {
        name: value
        for name, value in defaults.items()
        if "{{" not in str(value) or "default" in options[name]
    }
    assert {name: options[name].get("default") for name in fixed} == fixed


def test_the_docs_of_the_roles_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / "docs/roles.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_requirements_of_the_tests_are_those_of_the_app() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((PROJECT / "app/pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = set(project["dependencies"]).union(*project["optional-dependencies"].values())
    lines = (PROJECT / "requirements/app.in").read_text(encoding="utf-8").splitlines()
    assert wanted <= {line for line in lines if not line.startswith("#")}


def test_kafka_ids_are_stable_and_never_begin_with_a_hyphen() -> None:
    ids = [kafka_uuid(f"cluster/{number}") for number in range(500)]
    assert ids == [kafka_uuid(f"cluster/{number}") for number in range(500)]
    assert len(set(ids)) == 500
    assert all(len(text) == 22 and not text.startswith("-") for text in ids)


def test_commands_survive_quoting() -> None:
    words = ["java", "-cp", "/a b/*", "it's", 'a"b', "100%"]
    assert shlex.split(shell_words(words)) == words
    assert systemd_words(["a", "b c", "100%", "$HOME"]) == 'a "b c" 100%% $$HOME'


def test_hosts_of_one_machine() -> None:
    hostvars = {
        "a": {"ansible_facts": {"lifelog_node": {"machine_id": "1"}}},
        "b": {"ansible_facts": {"lifelog_node": {"machine_id": "2"}}},
        "c": {"ansible_facts": {"lifelog_node": {"machine_id": "1"}}},
        "d": {},
    }
    assert machine_hosts(["d", "c", "b", "a"], hostvars, "1") == ["c", "a"]


def test_the_key_of_the_app_follows_its_content(tmp_path: Path) -> None:
    (tmp_path / "src/lifelog").mkdir(parents=True)
    (tmp_path / "locks").mkdir()
    for name in (
        "pyproject.toml",
        "locks/bootstrap.txt",
        "locks/sdists.txt",
        "locks/py311.txt",
        "src/lifelog/a.py",
    ):
        (tmp_path / name).write_text("1", encoding="utf-8")
    first = keys(tmp_path)
    (tmp_path / "src/lifelog/__pycache__").mkdir()
    (tmp_path / "src/lifelog/__pycache__/a.pyc").write_text("x", encoding="utf-8")
    assert keys(tmp_path) == first
    (tmp_path / "src/lifelog/a.py").write_text("2", encoding="utf-8")
    second = keys(tmp_path)
    assert second["app"] != first["app"]
    assert second["locks"] == first["locks"]


def wanted(**changes: object) -> dict:
    """What a good node is checked against, with changes."""
    facts = {
        "python": {"minor": "3.11"},
        "has_address": True,
        "listeners": [],
        "free_mb": {"/data": 9000},
        "cpu_flags": ["sse4_2"],
        "os": {"id": "debian", "version": "12", "name": "Debian 12"},
        "apt": True,
        "root": False,
        "sudo": False,
        "systemd": False,
        "architecture": "x86_64",
        "foreign": {"/data": []},
    }
    facts.update({key[6:]: value for key, value in changes.items() if key.startswith("facts_")})
    base: dict = {
        "facts": facts,
        "minors": ["3.10", "3.11"],
        "spark_minors": {"m1": "3.11", "w1": "3.11"},
        "manager": "supervisor",
        "leader": True,
        "group_names": ["spark_workers"],
        "address": "10.0.0.1",
        "ports": [{"variable": "spark_worker_port", "port": 7078}],
        "disk_mb": 3000,
        "memory_mb": 8000,
        "memory_per_host_mb": 512,
        "hosts_here": 1,
        "become": False,
        "sudo_works": False,
        "packages": [],
        "socket": "/run/s",
        "secret": "/absent",
        "cpu_flags": ["sse4_2"],
    }
    base.update({key: value for key, value in changes.items() if not key.startswith("facts_")})
    return base


def test_a_good_node_has_no_problem() -> None:
    assert problems("w1", wanted()) == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"facts_has_address": False}, "node_address 10.0.0.1 is not an address of this machine"),
        ({"facts_listeners": [{"address": "0.0.0.0", "port": 7078, "ours": False, "command": "nc -l", "pid": 7}]},
         "port 7078 of 0.0.0.0 is taken by nc (pid 7): stop it, or set spark_worker_port to a free port"),
        ({"facts_free_mb": {"/data": 10}}, "/data has 10 MB free and 3000 MB are needed"),
        ({"memory_mb": 600, "hosts_here": 2}, "1024 MB are needed"),
        ({"facts_cpu_flags": ["sse2"]}, "the processor lacks sse4_2"),
        ({"socket": "/x" * 60}, "too long for a socket"),
        (
            {"spark_minors": {"m1": "3.11", "w1": "3.12", "w2": "3.11"}, "group_names": ["spark_masters"]},
            "the Spark nodes run different Pythons (3.11 on m1, w2; 3.12 on w1)",
        ),
        ({"facts_architecture": "riscv64"}, "there are no wheels for riscv64: use a machine of x86_64 or aarch64"),
        ({"facts_foreign": {"/data": ["photos"]}}, "/data was not made by the testbed and holds photos: give the testbed a directory"),
        ({"manager": "systemd", "facts_root": True}, "w1 was not started by systemd: set node_service_manager: supervisor"),
        ({"manager": "systemd", "facts_systemd": True}, "installing services needs root: set node_become: true"),
        ({"facts_python": {"minor": "3.9"}}, "runs Python 3.9 and the locks are for 3.10, 3.11"),
        ({"packages": ["openjdk-17-jre-headless"]}, "type: sudo apt-get install -y openjdk-17-jre-headless"),
        ({"packages": ["python3-venv"], "facts_os": {"id": "fedora", "version": "42", "name": "Fedora 42"}}, "Fedora 42 is not one"),
        ({"packages": ["chrony"], "facts_os": {"id": "fedora", "version": "42", "name": "Fedora 42"}}, "or set node_clock_sync: false"),
    ],
)  # fmt: skip
def test_bad_nodes(changes: dict, part: str) -> None:
    (sentence,) = problems("w1", wanted(**changes))
    assert part in sentence


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"msg": "Missing sudo password"}, "w1: Ansible cannot become root there (Missing sudo password): allow sudo"),
        ({"msg": "Task failed.\nmore", "module_stderr": "/bin/sh: 1: sudo: not found"}, "w1: Ansible cannot become root there"),
        ({"msg": "The module interpreter '/x' was not found."}, "w1 has no usable Python (The module interpreter '/x' was not found.)"),
        ({"msg": "Timed out\nlong"}, "w1 cannot be read: Timed out"),
        ({}, "w1 cannot be read: no reason given"),
    ],
)  # fmt: skip
def test_a_node_that_cannot_be_read(result: dict, sentence: str) -> None:
    assert unreadable("w1", result).startswith(sentence)


def test_a_secret_that_others_can_use(tmp_path: Path) -> None:
    secret = tmp_path / "spark"
    secret.touch(0o600)
    master = {"group_names": ["spark_masters"], "secret": str(secret)}
    assert problems("m1", wanted(**master)) == []
    secret.chmod(0o640)
    (sentence,) = problems("m1", wanted(**master))
    assert sentence.endswith(f"(mode 040): type chmod 600 {secret}")


def test_what_is_wrong_with_a_machine_is_said_once() -> None:
    bad = {"facts_free_mb": {"/data": 10}, "memory_mb": 1, "leader": False}
    assert problems("w1", wanted(**bad)) == []


def test_our_own_listener_is_no_problem() -> None:
    ours = [{"address": "10.0.0.1", "port": 7078, "ours": True, "command": "java", "pid": 7}]
    assert problems("w1", wanted(facts_listeners=ours)) == []
