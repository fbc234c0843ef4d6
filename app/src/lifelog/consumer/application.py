"""The Spark application of one run or several: driver, executors and how warm they are.

Runs of one repetition whose executors would be the same share one (rule V10 asks for fresh ones
in each repetition): starting and warming up are then paid for once.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lifelog.consumer.session import calibrate_workers, make_session, spark_conf
from lifelog.consumer.worker import Work


class Application:
    """Driver, executors with their loaded models, and what is known of their speed."""

    def __init__(self, spec: dict[str, Any], jars: Path) -> None:
        """Start the driver's JVM and wait for all executors."""
        self.session = make_session(spec, jars)
        self.calibration: list[dict[str, Any]] = []
        # Whether the executors have had a whole warm-up.
        self.warm = False
        self._work: Work | None = None
        self._rounds: dict[tuple[Any, ...], list[float]] = {}

    def load(self, work: Work, slots: int) -> None:
        """Load the model in every slot and time bare engine calls there, where that is not done yet."""
        if work != self._work:
            self.calibration = calibrate_workers(self.session, work, slots)
            self._work = work

    def rounds_of(self, work: Work, settings: dict[str, Any]) -> list[float]:
        """Images/s of each warm-up round so far that such a run had, to be added to."""
        alike = work, settings["partitions"], settings["images_per_record"]
        return self._rounds.setdefault(alike, [])

    @property
    def bare_images_per_s(self) -> float:
        """What the engine does bare in all slots at once."""
        return float(sum(row["images_per_s"] for row in self.calibration))


def application_key(spec: dict[str, Any], jars: Path) -> str:
    """Equal for runs that may share an application: one repetition, and equal executors."""
    parts = [
        spec["experiment"],
        spec["repetition"],
        # Of a search each run is a repetition (rule V10), also one that is tried again.
        spec["run"] if spec.get("search") else None,
        spark_conf(spec, jars),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
