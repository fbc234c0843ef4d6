"""Filters of the testbed's roles."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping


def machine_hosts(names: list[str], hostvars: Mapping, machine: str) -> list[str]:
    """Those of the hosts that live on the machine with this id, in the order given."""
    found = []
    for name in names:
        facts = hostvars[name].get("ansible_facts", {}).get("lifelog_node") or {}
        if facts.get("machine_id") == machine:
            found.append(name)
    return found


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


def app_last_json(text: str) -> object:
    """What a command of ours says in the last line that it prints."""
    return json.loads(text.strip().splitlines()[-1])


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, object]:
        return {
            "app_last_json": app_last_json,
            "machine_hosts": machine_hosts,
            "kafka_uuid": kafka_uuid,
            "shell_words": shell_words,
            "systemd_words": systemd_words,
        }
