"""Filters of the testbed's roles."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping

# A link is short below this share of what is expected; TCP over Ethernet carries 0.957 of the rate.
LINK_SHARE = 0.85


def machine_hosts(names: list[str], hostvars: Mapping, machine: str) -> list[str]:
    """Those of the hosts that live on the machine with this id, in the order given."""
    found = []
    for name in names:
        facts = hostvars[name].get("ansible_facts", {}).get("lifelog_node") or {}
        if facts.get("machine_id") == machine:
            found.append(name)
    return found


def next_machine(names: list[str], hostvars: Mapping, name: str) -> str:
    """The first host of the machine after this one's, in a ring of all machines; nothing where there is only one."""
    firsts: dict[str, str] = {}
    for other in names:
        facts = hostvars[other].get("ansible_facts", {}).get("lifelog_node") or {}
        if machine := facts.get("machine_id"):
            firsts.setdefault(machine, other)
    ring = list(firsts.values())
    if len(ring) < 2 or name not in ring:
        return ""
    return ring[(ring.index(name) + 1) % len(ring)]


def link_rows(names: list[str], hostvars: Mapping, default_mbit: object) -> list[dict[str, object]]:
    """The measured link of each machine to the next: rates in Mbit/s, what was expected, and what is wrong."""
    rows = []
    for name in names:
        if not (to := next_machine(names, hostvars, name)):
            continue
        rate = hostvars[name]["ansible_facts"].get("lifelog_link_rate") or {}
        expected = min(int(hostvars[end].get("node_link_mbit", default_mbit)) for end in (name, to))
        there, back = rate.get("there_mbit_s"), rate.get("back_mbit_s")
        if there is None or back is None:
            verdict = f"no reading: {rate.get('absent_because') or 'not measured'}"
        else:
            verdict = "short" if min(there, back) < LINK_SHARE * expected else ""
        rows.append(
            {"from": name, "to": to, "there": there, "back": back, "expected": expected}
            | {"verdict": verdict}
        )
    return rows


def link_lines(rows: list[Mapping]) -> list[str]:
    """The table of the links, ready to print."""
    head = {
        "from": "from",
        "to": "to",
        "there": "there",
        "back": "back",
        "expected": "expected",
        "verdict": "Mbit/s",
    }
    cells = [
        {key: "-" if row[key] is None else str(row[key]) for key in head} for row in [head, *rows]
    ]
    width = {key: max(len(row[key]) for row in cells) for key in head}
    return [
        "  ".join(
            row[key].rjust(width[key])
            if key in ("there", "back", "expected")
            else row[key].ljust(width[key])
            for key in head
        ).rstrip()
        for row in cells
    ]


def kafka_uuid(seed: str) -> str:
    """A Kafka id (16 bytes in URL-safe base64) that is always the same for the same seed.

    Kafka's tools read a leading hyphen as an option, so such ids are passed over.
    """
    for salt in range(1000):
        digest = hashlib.sha256(f"{seed}/{salt}".encode()).digest()[:16]
        text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not text.startswith("-"):
            return text
    raise AssertionError("one in 64 begins with a hyphen")


def shell_words(words: list[object]) -> str:
    """A command line that splits into exactly these words again."""
    return shlex.join(str(word) for word in words)


def systemd_words(words: list[object]) -> str:
    """A command for ExecStart: quoted, with nothing for systemd to expand."""
    quoted = []
    for word in words:
        text = (
            str(word)
            .replace("\\", "\\\\")
            .replace('"', '\\"')
            .replace("%", "%%")
            .replace("$", "$$")
        )
        quoted.append(f'"{text}"' if not text or any(c in text for c in " \t\"';") else text)
    return " ".join(quoted)


def java_property(value: object) -> str:
    """A value as a file of Java properties has it: true and false in lower case, a list with commas, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(java_property(entry) for entry in value)
    return str(value).strip().replace("\\", "\\\\").replace("\n", "\\n")


def java_properties(text: str) -> dict[str, str]:
    """The lines key=value of a text; of a key that comes twice, the first."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key.strip(), value.strip())
    return found


def installed_problems(
    hosts: Mapping[str, Mapping], brokers: Mapping[str, object], quorum: str, cluster: str
) -> list[str]:
    """Why what is installed already and the inventory cannot both be right, one sentence each.

    ``hosts`` says what each Kafka host, retired ones too, was formatted with (``node.id``, ``cluster.id``,
    ``controller.quorum.bootstrap.servers``) and its ``wanted`` id, or nothing; ``brokers`` the id of each broker.
    """
    anew = "or remove the cluster with playbooks/reset.yml and make a new one"
    found = []
    quorums: dict[str, list[str]] = {}
    for host, had in hosts.items():
        formatted = had.get("controller.quorum.bootstrap.servers", "")
        if formatted and sorted(formatted.split(",")) != sorted(quorum.split(",")):
            quorums.setdefault(formatted, []).append(host)
        if had.get("cluster.id", cluster) != cluster:
            found.append(
                f"{host} was formatted for the cluster {had['cluster.id']} and kafka_cluster_id is {cluster}: "
                f"set it back, {anew}"
            )
        node, wanted = had.get("node.id"), had.get("wanted")
        if node is not None and wanted is None:
            for broker, other in brokers.items():
                if str(other) == node:
                    found.append(
                        f"{broker} has the kafka_node_id {node} of {host}, which is retired and not removed yet: "
                        "give it another"
                    )
        elif node is not None and str(wanted) != node:
            found.append(
                f"{host} was formatted as Kafka node {node} and its kafka_node_id is {wanted}: set it back to {node}"
            )
    for formatted, users in quorums.items():
        found.append(
            f"the controllers of a formatted cluster cannot be changed: they are {formatted.replace(',', ', ')} "
            f"({', '.join(users)} know{'s' if len(users) == 1 else ''} them) and the inventory says "
            f"{quorum.replace(',', ', ')}: put kafka_controllers back, {anew}"
        )
    return found


def strangers(
    brokers: list[Mapping], workers: list[Mapping], ids: list[object], addresses: list[str]
) -> list[str]:
    """A sentence for each registered broker or live worker that no host of the inventory is.

    ``ids`` and ``addresses`` are those of the hosts in kafka_brokers, spark_workers and retired.
    """
    known = {int(str(number)) for number in ids}
    found = [
        f"broker {broker['id']} at {broker['address']} is registered in Kafka and is in no group of the inventory: "
        "put its host into kafka_brokers to keep it, or into retired to have it removed"
        for broker in brokers
        if broker["id"] not in known
    ]
    found += [
        f"{worker['id']} at {worker['host']} is registered at the Spark master and is in no group of the inventory: "
        "put its host into spark_workers to keep it, or into retired to have it removed"
        for worker in workers
        # A worker that ended stays in the master's list for a while.
        if worker["state"] == "ALIVE" and worker["host"] not in addresses
    ]
    return found


def setting_lines(found: Mapping[str, Mapping], host: str, check: bool = False) -> list[str]:
    """One line for each kind of result of ``kernel_settings``; of a check, what would be set."""
    kinds = {
        "set": "would be set" if check else "set",
        "already_set": "already set",
        "refused": "refused",
    }
    lines = []
    for kind, label in kinds.items():
        if entries := found.get(kind):
            form = "{} ({})" if kind == "refused" else "{} = {}"
            lines.append(
                f"{host}: {label}: " + ", ".join(form.format(*entry) for entry in entries.items())
            )
    return lines


def app_last_json(text: str) -> object:
    """What a command of ours says in the last line that it prints."""
    return json.loads(text.strip().splitlines()[-1])


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, object]:
        return {
            "app_last_json": app_last_json,
            "installed_problems": installed_problems,
            "java_properties": java_properties,
            "java_property": java_property,
            "link_lines": link_lines,
            "link_rows": link_rows,
            "machine_hosts": machine_hosts,
            "kafka_uuid": kafka_uuid,
            "next_machine": next_machine,
            "setting_lines": setting_lines,
            "shell_words": shell_words,
            "strangers": strangers,
            "systemd_words": systemd_words,
        }
