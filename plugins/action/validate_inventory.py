"""Checks the whole inventory, reads no facts, and reports every problem at once."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from ansible.plugins.action import ActionBase

GROUPS = ("kafka_controllers", "kafka_brokers", "spark_masters", "spark_workers")
# What one experiment keeps busy at once beside the hosts: nothing, but one poll for each of them.
FOREIGN = (
    "ansible_",
    "inventory_",
    "group_names",
    "groups",
    "omit",
    "playbook_dir",
    "hostvars",
    "role_",
)
MANAGERS = ("supervisor", "systemd")


def known_names(roles: Path) -> set[str]:
    """Every variable that some role's argument specification names."""
    names: set[str] = set()
    for path in roles.glob("*/meta/argument_specs.yml"):
        specs = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for entry in specs.get("argument_specs", {}).values():
            names.update(entry.get("options") or {})
    return names


def _duplicates(values: Mapping[str, object]) -> dict[object, list[str]]:
    seen: dict[object, list[str]] = {}
    for host, value in values.items():
        seen.setdefault(value, []).append(host)
    return {value: hosts for value, hosts in seen.items() if len(hosts) > 1}


def group_problems(groups: Mapping[str, list[str]], retired: set[str]) -> list[str]:
    """Groups that are empty, too large, or overlap where they must not."""
    found = []
    for group in GROUPS:
        if not groups.get(group):
            found.append(f"the group {group} is empty: give it a host")
    masters = groups.get("spark_masters", [])
    if len(masters) > 1:
        found.append(f"spark_masters has {len(masters)} hosts ({', '.join(masters)}): keep one")
    controllers = groups.get("kafka_controllers", [])
    if controllers and len(controllers) not in (1, 3, 5):
        found.append(
            f"kafka_controllers has {len(controllers)} hosts ({', '.join(controllers)}): make it 1, 3 or 5"
        )
    for host in controllers:
        if host in groups.get("kafka_brokers", []):
            found.append(
                f"{host} is in kafka_controllers and in kafka_brokers: take it out of one of them"
            )
    for host in masters:
        if host in groups.get("spark_workers", []):
            found.append(
                f"{host} is in spark_masters and in spark_workers: take it out of one of them"
            )
    for group in GROUPS:
        for host in sorted(retired & set(groups.get(group, []))):
            found.append(f"{host} is in retired and in {group}: take it out of one of them")
    return found


def address_problems(hosts: Iterable[str], hostvars: Mapping[str, Mapping]) -> list[str]:
    """Addresses that are missing, malformed, unusable or used twice."""
    found, addresses = [], {}
    for host in hosts:
        value = hostvars[host].get("node_address")
        if value in (None, ""):
            found.append(
                f"{host} has no node_address: set it to the address that the other nodes reach it at"
            )
            continue
        try:
            address = ipaddress.ip_address(str(value))
        except ValueError:
            found.append(f"{host}: node_address {value} is not an IP address: correct it")
            continue
        if address.is_unspecified or address.is_multicast:
            found.append(
                f"{host}: node_address {value} is not the address of one machine: name the one to bind to"
            )
        addresses[host] = str(address)
    for value, same in _duplicates(addresses).items():
        found.append(f"{' and '.join(same)} have the same node_address {value}: give each its own")
    return found


def number_problems(groups: Mapping[str, list[str]], hostvars: Mapping[str, Mapping]) -> list[str]:
    """Kafka's node ids, cores and memory of the workers."""
    found, ids = [], {}
    for host in dict.fromkeys(
        [*groups.get("kafka_controllers", []), *groups.get("kafka_brokers", [])]
    ):
        value = hostvars[host].get("kafka_node_id")
        if value is None:
            found.append(f"{host} has no kafka_node_id: set it to a number that no other host has")
        elif not str(value).isdigit():
            found.append(f"{host}: kafka_node_id {value} is not a whole number from 0: correct it")
        else:
            ids[host] = int(str(value))
    for value, same in _duplicates(ids).items():
        found.append(f"{' and '.join(same)} have the same kafka_node_id {value}: give each its own")
    for name in ("spark_worker_cores", "spark_worker_memory_mb"):
        values = {host: hostvars[host].get(name) for host in groups.get("spark_workers", [])}
        set_here = {host: value for host, value in values.items() if value is not None}
        for host, value in set_here.items():
            if "{{" not in str(value) and not (str(value).isdigit() and int(str(value)) > 0):
                found.append(f"{host}: {name} {value} is not a whole number above 0: correct it")
        if len({str(value) for value in set_here.values()}) > 1 or 0 < len(set_here) < len(values):
            what = ", ".join(
                f"{host} {value if value is not None else 'unset'}"
                for host, value in values.items()
            )
            found.append(f"the workers differ in {name} ({what}): give all of them the same")
    return found


def other_problems(hosts: Iterable[str], hostvars: Mapping[str, Mapping], forks: int) -> list[str]:
    """Service managers, ports, and too few forks."""
    found = []
    for host in hosts:
        manager = hostvars[host].get("node_service_manager")
        if manager is not None and manager not in MANAGERS:
            near = difflib.get_close_matches(str(manager), MANAGERS, 1)
            hint = f"{near[0]} was meant?" if near else f"choose {' or '.join(MANAGERS)}"
            found.append(f"{host}: node_service_manager {manager} is unknown: {hint}")
        for name, value in hostvars[host].items():
            if (
                name.endswith("_port")
                and name.startswith(("kafka_", "spark_"))
                and "{{" not in str(value)
            ):
                if not (str(value).isdigit() and 1 <= int(str(value)) <= 65535):
                    found.append(
                        f"{host}: {name} {value} is not a port from 1 to 65535: correct it"
                    )
    count = len(list(hosts))
    if forks < count:
        found.append(
            f"forks is {forks} and the inventory has {count} hosts, all of which an experiment polls at once: set forks = {count}"
        )
    return found


def spelling_problems(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping], known: set[str]
) -> list[str]:
    """Variables that nobody reads, with the nearest name that somebody does; each once."""
    where: dict[str, list[str]] = {}
    for host in hosts:
        for name in hostvars[host]:
            if name not in known and not name.startswith(FOREIGN):
                where.setdefault(name, []).append(host)
    found = []
    every = len(list(hosts))
    for name, users in sorted(where.items()):
        near = difflib.get_close_matches(name, sorted(known), 1)
        hint = (
            f"{near[0]} was meant?"
            if near
            else "take it out, or name it in validate_inventory_extra_names"
        )
        who = (
            "the inventory"
            if len(users) == every
            else users[0]
            if len(users) == 1
            else f"{users[0]} and {len(users) - 1} more"
        )
        found.append(f"{who} sets {name}, which no role reads: {hint}")
    return found


def problems(
    groups: Mapping[str, list[str]], hostvars: Mapping[str, Mapping], known: set[str], forks: int
) -> list[str]:
    """One sentence for each thing that is wrong: which host, and what to change.

    ``hostvars`` holds what the inventory itself says of each host, ``known`` the names of every role's variables.
    """
    hosts = list(dict.fromkeys(host for group in GROUPS for host in groups.get(group, [])))
    retired = groups.get("retired", [])
    return [
        *group_problems(groups, set(retired)),
        *address_problems(dict.fromkeys([*hosts, *retired]), hostvars),
        *number_problems(groups, hostvars),
        *other_problems(hosts, hostvars, forks),
        *spelling_problems(hosts, hostvars, known),
    ]


class ActionModule(ActionBase):
    """``validate_inventory: {roles: DIRECTORY, extra_names: [...]}``"""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        manager = self._task.get_variable_manager()
        inventory = manager._inventory
        groups = {group: list(hosts) for group, hosts in task_vars["groups"].items()}
        hostvars = {}
        for host in {host for hosts in groups.values() for host in hosts}:
            # What the inventory says, without the defaults of the roles.
            found = manager.get_vars(host=inventory.get_host(host), include_hostvars=False)
            hostvars[host] = {
                name: value for name, value in found.items() if name not in ("vars", "environment")
            }
        known = known_names(Path(self._task.args["roles"])) | set(
            self._task.args.get("extra_names") or []
        )
        found = problems(groups, hostvars, known, int(task_vars["ansible_forks"]))
        if found:
            return {
                "failed": True,
                "changed": False,
                "msg": "the inventory has problems:\n" + "\n".join(f"- {line}" for line in found),
            }
        return {"changed": False}
