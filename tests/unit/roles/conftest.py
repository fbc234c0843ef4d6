"""Makes the plugins of the project importable as plain modules."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
for folder in (
    "plugins/action",
    "plugins/filter",
    "plugins/modules",
    "roles/kafka/files",
    "roles/spark/files",
):
    sys.path.insert(0, str(PROJECT / folder))
