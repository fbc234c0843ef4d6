"""A process that sends paced images: `python -m comparison.paced TASK RATE IMAGES START_NS`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from comparison.brokers import send
from comparison.task import Task
from lifelog.bundle import load_dataset_bundle


def main(argv: list[str]) -> int:
    """Send on the schedule; print how late the latest image and the last one were, as JSON."""
    task, rate, count, start_ns = Task.load(argv[0]), float(argv[1]), int(argv[2]), int(argv[3])
    images = load_dataset_bundle(Path(task.dataset_file)).images
    where = task.servers, task.topic, task.partitions
    each = task.images_per_record
    sent, sent_ns = send(*where, images, count, each, rate=rate, start_ns=start_ns)
    took_s = (sent_ns - start_ns) / 1e9
    print(json.dumps({"took_s": took_s, "max_late_ms": round(sent.max_late_ms, 3)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
