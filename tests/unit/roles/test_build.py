"""Steps that fill the cache, as two playbooks at once run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


def test_two_playbooks_fill_one_cache(tmp_path: Path) -> None:
    """The second waits for the first and finds the step done: one directory, whole, and no remains."""
    target = tmp_path / "cache/app-key"
    command = [sys.executable, str(PROJECT / "roles/artifacts/files/build.py"), "app", str(target)]
    builds = [
        subprocess.Popen([*command, f"--app={PROJECT / 'app'}"], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [(build.communicate(timeout=300)[1], build.returncode) for build in builds] == [
        ("", 0)
    ] * 3
    assert sorted(path.suffix for path in target.iterdir()) == [".whl"]
    assert sorted(path.name for path in target.parent.iterdir()) == [".app-key.lock", "app-key"]
