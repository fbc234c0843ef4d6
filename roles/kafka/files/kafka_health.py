"""Waits until a Kafka node is healthy: kafka_health.py broker|controller HOST:PORT NODE_ID [TIMEOUT_S].

A controller is healthy when the metadata quorum has a leader and counts the node among its voters; a broker when it
is in the cluster's list of live brokers. Speaks Kafka's protocol itself, since it runs where only Python is certain.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

DESCRIBE_QUORUM, DESCRIBE_CLUSTER = 55, 60


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

    def tags(self) -> None:
        for _ in range(self.varint()):
            self.varint()
            self.at += self.varint()


def ask(host: str, port: int, key: int, body: bytes) -> Reader:
    """One request of version 0 with a flexible header; the body of its answer."""
    client = b"lifelog"
    message = struct.pack(">hhih", key, 0, 1, len(client)) + client + b"\0" + body
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


def live_brokers(host: str, port: int) -> set[int]:
    """Ids of the brokers that the cluster counts as alive."""
    answer = ask(host, port, DESCRIBE_CLUSTER, b"\0\0")
    answer.take("i")
    error = answer.take("h")
    answer.string()
    if error:
        raise ConnectionError(f"DescribeCluster answers error {error}")
    answer.string()
    answer.take("i")
    found = set()
    for _ in range(answer.varint() - 1):
        found.add(answer.take("i"))
        answer.string()
        answer.take("i")
        answer.string()
        answer.tags()
    return found


def quorum(host: str, port: int) -> tuple[int, set[int]]:
    """Leader (-1: none) and voters of the metadata quorum."""
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
    error, leader = answer.take("h"), answer.take("i")
    answer.take("i")
    answer.take("q")
    voters = set()
    for _ in range(answer.varint() - 1):
        voters.add(answer.take("i"))
        answer.take("q")
        answer.tags()
    if error:
        raise ConnectionError(f"DescribeQuorum answers error {error}")
    return leader, voters


def problem(kind: str, host: str, port: int, node: int) -> str:
    """What is still missing, or nothing."""
    try:
        if kind == "broker":
            known = live_brokers(host, port)
            return (
                ""
                if node in known
                else f"it answers, but is not among the live brokers {sorted(known)}"
            )
        leader, voters = quorum(host, port)
    except (OSError, struct.error) as error:
        return str(error)
    if leader < 0:
        return "the metadata quorum has no leader"
    return "" if node in voters else f"node {node} is not among the voters {sorted(voters)}"


def main() -> int:
    kind, (host, _, port), node = sys.argv[1], sys.argv[2].rpartition(":"), int(sys.argv[3])
    deadline = time.monotonic() + float(sys.argv[4] if len(sys.argv) > 4 else 0)
    while missing := problem(kind, host, int(port), node):
        if time.monotonic() > deadline:
            print(
                f"Kafka {kind} {node} at {host}:{port} is not healthy: {missing}", file=sys.stderr
            )
            return 1
        time.sleep(0.25)
    return 0


if __name__ == "__main__":
    sys.exit(main())
