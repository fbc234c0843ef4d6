"""Waits until a Kafka node is healthy: kafka_health.py broker|controller HOST:PORT NODE_ID START_S SYNC_S [LOG].

A controller is healthy when the metadata quorum has a leader and counts the node among its voters; a broker when it
is in the cluster's list of live brokers, within START_S seconds, and each of its replicas is in sync, within SYNC_S.
Speaks Kafka's protocol itself, since it runs where only Python is certain.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

METADATA, DESCRIBE_QUORUM, DESCRIBE_CLUSTER = 3, 55, 60


class Reader:
    """Reads the compact types of Kafka's flexible protocol versions."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, layout: str):
        values = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return values[0]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def string(self) -> str:
        length = self.varint() - 1
        if length <= 0:
            return ""
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def integers(self) -> list[int]:
        return [self.take("i") for _ in range(self.varint() - 1)]

    def tags(self) -> None:
        for _ in range(self.varint()):
            self.varint()
            self.at += self.varint()


def ask(host: str, port: int, key: int, body: bytes, version: int = 0) -> Reader:
    """One request with a flexible header; the body of its answer."""
    client = b"lifelog"
    message = struct.pack(">hhih", key, version, 1, len(client)) + client + b"\0" + body
    with socket.create_connection((host, port), 3) as link:
        link.sendall(struct.pack(">i", len(message)) + message)
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack_from(">i", data)[0]:
            block = link.recv(65536)
            if not block:
                raise ConnectionError("the connection was closed")
            data += block
    reader = Reader(data[4:])
    reader.take("i")
    reader.tags()
    return reader


def members(host: str, port: int, kind: str) -> tuple[int, dict[int, tuple[str, int]]]:
    """Leader of the controllers (-1: none; of brokers any broker) and addresses of the live nodes of one kind."""
    body = b"\0" + (b"\2" if kind == "controller" else b"\1") + b"\0"
    answer = ask(host, port, DESCRIBE_CLUSTER, body, version=1)
    answer.take("i")
    error = answer.take("h")
    answer.string()
    if error:
        raise ConnectionError(f"DescribeCluster answers error {error}")
    answer.take("b")
    answer.string()
    leader = answer.take("i")
    found = {}
    for _ in range(answer.varint() - 1):
        node = answer.take("i")
        found[node] = (answer.string(), answer.take("i"))
        answer.string()
        answer.tags()
    return leader, found


def out_of_sync(host: str, port: int, node: int) -> list[str]:
    """The partitions of which the node holds a replica that is not in sync."""
    answer = ask(host, port, METADATA, b"\0\0\0\0", version=12)
    answer.take("i")
    for _ in range(answer.varint() - 1):
        answer.take("i")
        answer.string()
        answer.take("i")
        answer.string()
        answer.tags()
    answer.string()
    answer.take("i")
    found = []
    for _ in range(answer.varint() - 1):
        answer.take("h")
        topic = answer.string()
        answer.take("16s")
        answer.take("?")
        for _ in range(answer.varint() - 1):
            answer.take("h")
            partition = answer.take("i")
            answer.take("i")
            answer.take("i")
            replicas, in_sync, _ = answer.integers(), answer.integers(), answer.integers()
            answer.tags()
            if node in replicas and node not in in_sync:
                found.append(f"{topic}-{partition}")
        answer.take("i")
        answer.tags()
    return found


def voters_of(host: str, port: int) -> set[int]:
    """The voters of the metadata quorum, which only its leader tells."""
    topic = b"__cluster_metadata"
    body = b"\x02" + bytes([len(topic) + 1]) + topic + b"\x02" + struct.pack(">i", 0) + b"\0\0\0"
    answer = ask(host, port, DESCRIBE_QUORUM, body)
    error = answer.take("h")
    if error:
        raise ConnectionError(f"DescribeQuorum answers error {error}")
    answer.varint()
    answer.string()
    answer.varint()
    answer.take("i")
    error = answer.take("h")
    answer.take("i")
    answer.take("i")
    answer.take("q")
    voters = set()
    for _ in range(answer.varint() - 1):
        voters.add(answer.take("i"))
        answer.take("q")
        answer.tags()
    if error:
        raise ConnectionError(f"DescribeQuorum answers error {error}")
    return voters


def problem(kind: str, host: str, port: int, node: int) -> tuple[str, bool]:
    """What is still missing, or nothing; and whether it is only that replicas are not in sync yet."""
    try:
        if kind == "broker":
            _, known = members(host, port, kind)
            if node not in known:
                return f"it answers, but is not among the live brokers {sorted(known)}", False
            behind = out_of_sync(host, port, node)
            if behind:
                return f"{len(behind)} of its replicas are not in sync, {behind[0]} for one", True
            return "", False
        leader, known = members(host, port, kind)
        if leader not in known:
            return "the metadata quorum has no leader", False
        voters = voters_of(*known[leader])
        if node not in voters:
            return f"node {node} is not among the voters {sorted(voters)}", False
        return "", False
    except (OSError, struct.error) as error:
        return str(error), False


def main() -> int:
    kind, (host, _, port), node = sys.argv[1], sys.argv[2].rpartition(":"), int(sys.argv[3])
    start_s, sync_s = float(sys.argv[4]), float(sys.argv[5])
    began = time.monotonic()
    while True:
        missing, behind = problem(kind, host, int(port), node)
        if not missing:
            return 0
        if time.monotonic() - began > (max(start_s, sync_s) if behind else start_s):
            see = f"; see {sys.argv[6]}" if len(sys.argv) > 6 else ""
            print(
                f"Kafka {kind} {node} at {host}:{port} is not healthy: {missing}{see}",
                file=sys.stderr,
            )
            return 1
        time.sleep(0.25)


if __name__ == "__main__":
    sys.exit(main())
