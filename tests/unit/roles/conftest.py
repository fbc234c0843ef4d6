"""Makes the plugins of the project importable as plain modules."""

from __future__ import annotations

import sys
from pathlib import Path

import ansible.module_utils

PROJECT = Path(__file__).resolve().parents[3]
for folder in (
    "plugins/action",
    "plugins/filter",
    "plugins/modules",
    "roles/artifacts/files",
    "roles/kafka/files",
    "roles/members/files",
    "roles/spark/files",
):
    sys.path.insert(0, str(PROJECT / folder))
# As ansible.cfg does it for the modules.
ansible.module_utils.__path__.append(str(PROJECT / "plugins/module_utils"))
