"""Whose processor time it is: every process of a machine is one component's of the testbed, or foreign.

A process says by its command what it is, and by the directories named there whose it is: another
testbed on the same machine has others. Where the command says nothing, it is its parent's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

FOREIGN = "foreign"
_MAIN_CLASSES = {
    "org.apache.spark.deploy.master.Master": "spark_master",
    "org.apache.spark.deploy.worker.Worker": "spark_worker",
    "org.apache.spark.executor.CoarseGrainedExecutorBackend": "executor",
    "org.apache.spark.deploy.SparkSubmit": "driver",
    "pyspark.daemon": "python_worker",
    "pyspark.worker": "python_worker",
}
_COMMANDS = {"consume": "driver", "produce": "producer", "sample": "sampler"}
# Only producers are started like this; one whose parent was killed still runs.
_SPAWNED = "from multiprocessing."
_KAFKA = "kafka.Kafka"


@dataclass(frozen=True, slots=True)
class Testbed:
    """What tells one testbed's processes from all others.

    `directories`: what it installed on the machine; a process that names a path below one of them is
    its. `project`: directory of its playbooks, where this machine is its control node.
    """

    directories: Sequence[str]
    project: str

    # pytest would take the class for a test.
    __test__ = False

    def component(self, words: Sequence[str], parent: str, cwd: str = "") -> str:
        """The component of a process with the command `words`; `parent`: that of its parent."""
        named = _named(words)
        if named == "control":
            return named if self._is_of_project(words, cwd) else parent
        if named == "python_worker" and parent == "driver":
            # It plans a Python data source.
            return parent
        mine = self._names_own(words)
        if named and (mine or parent != FOREIGN):
            return named
        if parent == FOREIGN and self._names_own(words[:1]):
            # `lifelog job` and its like, which only the control node starts.
            return "control"
        return parent

    def _names_own(self, words: Iterable[str]) -> bool:
        places = "|".join(re.escape(os.path.normpath(path)) for path in self.directories)
        below = re.compile(f"(^|[=:,])({places})/")
        return any(below.search(word) for word in words)

    def _is_of_project(self, words: Iterable[str], cwd: str) -> bool:
        below = os.path.join(os.path.normpath(self.project), "")
        return any(os.path.normpath(os.path.join(cwd, word)).startswith(below) for word in words)


def _named(words: Sequence[str]) -> str | None:
    """The component that a command names, of whichever testbed."""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word in _MAIN_CLASSES:
            return _MAIN_CLASSES[word]
        if word == _KAFKA:
            return "controller" if _is_controller(following) else "broker"
        if os.path.basename(word) == "lifelog" and following in _COMMANDS:
            return _COMMANDS[following]
        if word == "-c" and following.startswith(_SPAWNED):
            return "producer"
        if at < 2 and os.path.basename(word) == "supervisord":
            return "service_manager"
        if at < 2 and os.path.basename(word) == "ansible-playbook":
            return "control"
    return None


def _is_controller(properties: str) -> bool:
    try:
        lines = Path(properties).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(re.fullmatch(r"process\.roles\s*=\s*controller\s*", line) for line in lines)
