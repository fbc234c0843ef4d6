"""Every wrong inventory is answered with the sentence that says what to change."""

from __future__ import annotations

import copy
import ipaddress
from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from validate_inventory import known_names, problems

ROLES = Path(__file__).resolve().parents[3] / "roles"
KNOWN = known_names(ROLES)
GROUPS = {
    "kafka_controllers": ["c1"],
    "kafka_brokers": ["b1", "b2"],
    "spark_masters": ["m1"],
    "spark_workers": ["w1", "w2"],
    "retired": [],
}
HOSTVARS = {
    "c1": {"node_address": "127.0.10.1", "kafka_node_id": 1},
    "b1": {"node_address": "127.0.10.11", "kafka_node_id": 11},
    "b2": {"node_address": "127.0.10.12", "kafka_node_id": 12},
    "m1": {"node_address": "127.0.10.20"},
    "w1": {"node_address": "127.0.10.21", "ansible_connection": "local"},
    "w2": {"node_address": "127.0.10.22"},
}


def check(groups: dict | None = None, forks: int = 20, **changes: dict) -> list[str]:
    """Problems of the good inventory with these groups and host variables changed."""
    hostvars = copy.deepcopy(HOSTVARS)
    for host, values in changes.items():
        hostvars.setdefault(host, {}).update(values)
    return problems({**GROUPS, **(groups or {})}, hostvars, KNOWN, forks)


def test_good_inventory_has_no_problem() -> None:
    assert check() == []


def shipped(name: str) -> tuple[dict, dict]:
    """Groups and host variables of an inventory of the project, as Ansible reads them."""
    loader = DataLoader()
    inventory = InventoryManager(loader, [str(ROLES.parent / "inventory" / name)])
    manager = VariableManager(loader, inventory)
    hostvars = {
        host.name: manager.get_vars(host=host, include_hostvars=False)
        for host in inventory.get_hosts()
    }
    foreign = ("vars", "environment")
    return inventory.get_groups_dict(), {
        host: {key: value for key, value in values.items() if key not in foreign}
        for host, values in hostvars.items()
    }


@pytest.mark.parametrize("name", ["local", "lab", "paper"])
def test_the_shipped_inventories_have_no_problem(name: str) -> None:
    groups, hostvars = shipped(name)
    assert hostvars
    assert problems(groups, hostvars, KNOWN, 20) == []


def test_the_nodes_of_the_paper_hold_what_they_run() -> None:
    """8 GB that the kernel shows as a little less, and what the roles leave to the operating system."""
    groups, hostvars = shipped("paper")
    assert {group: len(hosts) for group, hosts in groups.items() if hosts} == {
        "all": 10,
        "kafka_controllers": 1,
        "kafka_brokers": 4,
        "spark_masters": 1,
        "spark_workers": 4,
    }
    defaults = {
        name: value
        for role in ("node", "spark", "kafka")
        for name, value in yaml.safe_load((ROLES / role / "defaults/main.yml").read_text()).items()
    }
    for host, values in hostvars.items():
        of = {**defaults, **values}
        heaps = {
            "controller": [of["kafka_controller_heap_mb"]],
            "broker": [of["kafka_heap_mb"]],
            "master": [of["spark_daemon_memory_mb"], of["spark_driver_memory_mb"]],
            "worker": [of["spark_daemon_memory_mb"], of["spark_worker_memory_mb"]],
        }[host.split("-")[0]]
        assert sum(heaps) + of["node_memory_reserve_mb"] <= 7800
        assert ipaddress.ip_address(of["node_address"]) in ipaddress.ip_network("192.0.2.0/24")
        assert ipaddress.ip_address(of["ansible_host"]) in ipaddress.ip_network("198.51.100.0/24")


CASES = {
    "b1 and b2 have the same kafka_node_id 11: give each its own": {"b2": {"kafka_node_id": 11}},
    "c1 and b1 have the same kafka_node_id 1: give each its own": {"b1": {"kafka_node_id": "1"}},
    "w1 and w2 have the same node_address 127.0.10.21: give each its own": {
        "w2": {"node_address": "127.0.10.21"}
    },
    "m1 has no node_address: set it to the address that the other nodes reach it at": {
        "m1": {"node_address": ""}
    },
    "w1: node_address 127.0.10.300 is not an IP address: correct it": {
        "w1": {"node_address": "127.0.10.300"}
    },
    "b1: node_address 0.0.0.0 is not the address of one machine: name the one to bind to": {
        "b1": {"node_address": "0.0.0.0"}
    },
    "b1 has no kafka_node_id: set it to a number that no other host has": {
        "b1": {"kafka_node_id": None}
    },
    "b1: kafka_node_id eleven is not a whole number from 0: correct it": {
        "b1": {"kafka_node_id": "eleven"}
    },
    "the workers differ in spark_worker_cores (w1 1, w2 2): give all of them the same": {
        "w1": {"spark_worker_cores": 1},
        "w2": {"spark_worker_cores": 2},
    },
    "the workers differ in spark_worker_cores (w1 4, w2 unset): give all of them the same": {
        "w1": {"spark_worker_cores": 4}
    },
    "w1: spark_worker_memory_mb 1g is not a whole number above 0: correct it": {
        "w1": {"spark_worker_memory_mb": "1g"},
        "w2": {"spark_worker_memory_mb": "1g"},
    },
    "w1 sets spark_worker_core, which no role reads: spark_worker_cores was meant?": {
        "w1": {"spark_worker_core": 1}
    },
    "b1 sets kafka_hep_mb, which no role reads: kafka_heap_mb was meant?": {
        "b1": {"kafka_hep_mb": 512}
    },
    "m1: node_service_manager sytemd is unknown: systemd was meant?": {
        "m1": {"node_service_manager": "sytemd"}
    },
    "b1: kafka_port 99999 is not a port from 1 to 65535: correct it": {"b1": {"kafka_port": 99999}},
}


@pytest.mark.parametrize("sentence", CASES)
def test_wrong_host_variable(sentence: str) -> None:
    assert sentence in check(**CASES[sentence])


GROUP_CASES = {
    "the group kafka_brokers is empty: give it a host": {"kafka_brokers": []},
    "the group kafka_controllers is empty: give it a host": {"kafka_controllers": []},
    "spark_masters has 2 hosts (m1, m2): keep one": {"spark_masters": ["m1", "m2"]},
    "kafka_controllers has 2 hosts (c1, c2): make it 1, 3 or 5": {
        "kafka_controllers": ["c1", "c2"]
    },
    "b1 is in kafka_controllers and in kafka_brokers: take it out of one of them": {
        "kafka_controllers": ["b1"]
    },
    "m1 is in spark_masters and in spark_workers: take it out of one of them": {
        "spark_workers": ["m1", "w1"]
    },
    "b2 is in retired and in kafka_brokers: take it out of one of them": {"retired": ["b2"]},
}


@pytest.mark.parametrize("sentence", GROUP_CASES)
def test_wrong_groups(sentence: str) -> None:
    extra = {
        "m2": {"node_address": "127.0.10.30"},
        "c2": {"node_address": "127.0.10.2", "kafka_node_id": 2},
    }
    assert sentence in check(GROUP_CASES[sentence], **extra)


def test_a_retired_host_needs_an_address_of_its_own() -> None:
    assert check({"retired": ["b3"]}, b3={"node_address": "127.0.10.13"}) == []
    assert check({"retired": ["b3"]}, b3={}) == [
        "b3 has no node_address: set it to the address that the other nodes reach it at"
    ]


def test_too_few_forks() -> None:
    (sentence,) = check(forks=5)
    assert sentence == (
        "forks is 5 and the inventory has 6 hosts, all of which an experiment polls at once: set forks = 6"
    )


def test_every_problem_is_reported_at_once() -> None:
    found = check({"spark_masters": []}, b2={"kafka_node_id": 11}, w1={"node_address": "nowhere"})
    assert len(found) == 3
