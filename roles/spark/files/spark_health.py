"""Waits until a Spark master answers, or has a worker: spark_health.py MASTER_JSON_URL ADDRESS|- [TIMEOUT_S]."""

from __future__ import annotations

import json
import sys
import time
import urllib.request


def problem(url: str, address: str) -> str:
    """What is still missing, or nothing."""
    # Never by way of a proxy: the master is a node of ours.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            state = json.load(answer)
    except (OSError, ValueError) as error:
        return f"the master does not answer: {error}"
    if state.get("status") != "ALIVE":
        return f"the master is {state.get('status')}"
    if address == "-":
        return ""
    alive = sorted(worker["host"] for worker in state["workers"] if worker["state"] == "ALIVE")
    return "" if address in alive else f"the workers known are {alive}"


def main() -> int:
    url, address = sys.argv[1:3]
    deadline = time.monotonic() + float(sys.argv[3] if len(sys.argv) > 3 else 0)
    while missing := problem(url, address):
        if time.monotonic() > deadline:
            who = "Spark's master" if address == "-" else f"Spark's worker at {address}"
            print(f"{who} is not healthy ({url}): {missing}", file=sys.stderr)
            return 1
        time.sleep(0.25)
    return 0


if __name__ == "__main__":
    sys.exit(main())
