"""A producer does not outlive the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

PARENT = """
import multiprocessing, time
from lifelog.producer.run import end_with_parent

def body(ready):
    end_with_parent()
    ready.set()
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    child = context.Process(target=body, args=(ready,))
    child.start()
    ready.wait()
    print(child.pid, flush=True)
    time.sleep(600)
"""


def test_a_producer_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, "utf-8")
    source = Path(__file__).parents[4] / "app" / "src"
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(source)},
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        assert child.wait(timeout=20) is None


def test_a_process_of_its_own_goes_on() -> None:
    from lifelog.producer.run import end_with_parent

    end_with_parent()
