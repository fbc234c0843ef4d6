"""PyFlink: a standalone cluster, a SQL table over the topic and a vectorised (pandas) UDF.

Job manager, task manager with `cores` slots and job submission are Flink's own scripts, all in this
process's tree. In a cluster each slot has a Python process of its own; the in-process mode for
trying things out shares one among all slots.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyflink

from comparison.task import Task
from processes import guard

HOME = Path(pyflink.__file__).parent
TASK_MANAGER_MEMORY = "1728m"
START_TIMEOUT_S = 90


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configure(task: Task, directory: Path) -> int:
    """Write Flink's configuration, its own with what differs; returns the port to ask."""
    rest = free_port()
    conf = directory / "conf"
    conf.mkdir(parents=True)
    for file in (HOME / "conf").glob("log4j*"):
        (conf / file.name).write_bytes(file.read_bytes())
    lines = [
        line
        for line in (HOME / "conf" / "config.yaml").read_text("utf-8").splitlines()
        if "opts" in line or line.strip().startswith(("env:", "java:", "all:"))
    ]
    flat = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": free_port(),
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.memory.process.size": "1024m",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": task.cores,
        "taskmanager.memory.process.size": TASK_MANAGER_MEMORY,
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": rest,
        "parallelism.default": task.cores,
        "io.tmp.dirs": directory / "tmp",
    }
    lines += [f"{key}: {value}" for key, value in flat.items()]
    (conf / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (directory / "tmp").mkdir()
    return rest


def slots(rest: int) -> int:
    """Task slots that have registered."""
    import json

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{rest}/overview", timeout=5) as answer:
            return int(json.load(answer)["slots-total"])
    except OSError:
        return 0


def main(task_file: str) -> int:
    """Start the cluster, submit the job, and wait until ended from outside."""
    guard()
    task = Task.load(task_file)
    directory = Path(task.directory) / "flink"
    rest = configure(task, directory)
    environment = {
        **os.environ,
        "FLINK_HOME": str(HOME),
        "FLINK_CONF_DIR": str(directory / "conf"),
        "FLINK_LOG_DIR": str(directory / "log"),
        "FLINK_PID_DIR": str(directory / "pid"),
    }
    services = [
        subprocess.Popen(["bash", str(HOME / "bin" / script), "start-foreground"], env=environment)
        for script in ("jobmanager.sh", "taskmanager.sh")
    ]
    deadline = time.monotonic() + START_TIMEOUT_S
    while slots(rest) < task.cores:
        if time.monotonic() > deadline or any(s.poll() is not None for s in services):
            print("Flink's cluster did not start", file=sys.stderr)
            return 1
        time.sleep(0.2)
    job = Path(__file__).with_name("flink_job.py")
    submit = [
        "bash", str(HOME / "bin" / "flink"), "run", "--detached",
        "--jobmanager", f"127.0.0.1:{rest}", "--jarfile", task.flink_jar,
        "-pyclientexec", sys.executable, "-pyexec", sys.executable, "-py", str(job), task_file,
    ]  # fmt: skip
    subprocess.run(submit, env=environment, check=True, timeout=START_TIMEOUT_S)
    return max(service.wait() for service in services)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
