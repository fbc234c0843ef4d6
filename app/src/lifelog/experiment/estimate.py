"""How much time and disk runs take: time as an earlier run of the same point did, or roughly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lifelog.encodings import encoding
from lifelog.experiment.definition import Point
from lifelog.experiment.placement import Cluster, place
from lifelog.experiment.settings import SIZED_MODES, Settings, Share, drain_timeout_s

# Values of one image where the dataset is not at hand: 28 x 28, as all the MNIST family has.
DEFAULT_IMAGE_VALUES = 784
# For the disk: what one saturated producer cannot exceed (measured: 42,000 records/s, 118 MB/s),
# and what all producers of a node cannot (1 Gbit/s).
_PRODUCER_RECORDS_PER_S = 42_000
_PRODUCER_BYTES_PER_S = 118e6
_NODE_BYTES_PER_S = 125e6
_RECORD_OVERHEAD_BYTES = 40
# Our own choices, from runs on a laptop. What a run takes beside warming up, sending and draining:
# Ansible's steps, and the start of Spark's application where it shares none.
_OVERHEAD_S = 45.0
# What an earlier run's own stages leave out: Ansible's steps before and after.
_AROUND_STAGES_S = 20.0
# Images/s where nothing is known, and the share of the sending time that it takes to check what is
# left when saturated producers have ended.
_GUESSED_IMAGES_PER_S = 10_000
_DRAIN_SHARE = 0.15


def duration_estimate_s(settings: Settings, earlier: Mapping[str, Any] | None = None) -> float:
    """Wall-clock time of one run in seconds.

    `earlier`: run.json of a run of the same settings, whose stages say it best.
    """
    stages = (earlier or {}).get("stages_s")
    if isinstance(stages, dict) and stages.get("measure"):
        took = [float(value) for value in stages.values() if isinstance(value, (int, float))]
        return _AROUND_STAGES_S + sum(took)
    seconds = settings.duration_s
    if settings.mode in SIZED_MODES:
        rate = (earlier or {}).get("throughput_images_per_s") or _GUESSED_IMAGES_PER_S
        seconds = settings.producers * (settings.images_per_producer or 0) / float(rate)
    elif settings.mode == "saturation":
        # What piled up is read as well, so that every image is accounted for.
        seconds += min(drain_timeout_s(settings), _DRAIN_SHARE * settings.duration_s)
    return _OVERHEAD_S + settings.warmup_s + seconds


def earlier_run(directory: Path, point: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """run.json of the newest valid run of a point with these settings; None where there is none.

    `settings`: as resolved for the inventory; the rate of a paced point may differ. A file that
    cannot be read is no help here, and is named where results are read.
    """
    wanted = {key: value for key, value in settings.items() if key != "target_rate"}
    files = [path / "run.json" for path in directory.glob(f"{point}-r[0-9]*-a[0-9]*")]
    for file in sorted((f for f in files if f.exists()), key=_modified, reverse=True):
        try:
            run = json.loads(file.read_text(encoding="utf-8"))
            same = all(run["settings"].get(key) == value for key, value in wanted.items())
            if run["valid"] and run["point"] == point and same:
                return dict(run)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def disk_bytes_per_broker(
    points: Iterable[Point], cluster: Cluster, image_values: Mapping[str, int] | None = None
) -> int:
    """Room that the largest run of these points needs on each broker; topics are deleted after their run.

    `image_values`: pixels times channels of an image, by dataset name (784 where not given).
    """
    most = 0.0
    for point in points:
        s = point.settings
        values = (image_values or {}).get(s.dataset, DEFAULT_IMAGE_VALUES)
        record = s.images_per_record * values * encoding(s.encoding).bytes_per_value
        record += _RECORD_OVERHEAD_BYTES
        brokers = len(place(point.name, s, cluster).brokers)
        if s.mode in SIZED_MODES:
            stored = s.producers * (s.images_per_producer or 0) / s.images_per_record * record
        elif s.mode == "paced" and not isinstance(s.target_rate, Share):
            stored = (s.target_rate or 0) * s.duration_s / s.images_per_record * record
        else:
            each = min(_PRODUCER_RECORDS_PER_S * record, _PRODUCER_BYTES_PER_S)
            stored = min(s.producers * each, brokers * _NODE_BYTES_PER_S) * s.duration_s
        most = max(most, stored * s.replication / brokers)
    return int(most)


def _modified(file: Path) -> int:
    return file.stat().st_mtime_ns
