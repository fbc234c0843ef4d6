"""Worker processes of a peer, and the end of a peer whose orchestrator is gone."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable

from comparison.task import Task
from lifelog.node.jobs import end_process_tree


def guard() -> None:
    """End this process and its descendants when standard input closes: nobody is left to do it."""

    def wait() -> None:
        # Unbuffered: a thread inside a buffered read would hold its lock when Python ends.
        while os.read(0, 1024):
            pass
        end_process_tree()

    threading.Thread(target=wait, name="guard", daemon=True).start()


def run_workers(body: Callable[[str, int], None], task_file: str) -> int:
    """Run `body(task_file, worker)` in `cores` processes; returns 1 where one of them failed."""
    guard()
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=body, args=(task_file, worker))
        for worker in range(Task.load(task_file).cores)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return int(any(worker.exitcode for worker in workers))


def own_partitions(task: Task, worker: int) -> list[int]:
    """The partitions of one of `cores` workers."""
    return list(range(worker, task.partitions, task.cores))
