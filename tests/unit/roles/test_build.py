"""Steps that fill the cache, as two playbooks at once run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.ci
@pytest.mark.parametrize("lock", sorted(PROJECT.glob("app/locks/py*.txt")), ids=lambda p: p.stem)
def test_every_lock_has_wheels_for_its_python(tmp_path: Path, lock: Path) -> None:
    """Also those of Pythons that no machine here has; of each package it is asked whether there is a wheel."""
    minor = lock.stem.replace("py3", "3.")
    platform = "x86_64-manylinux_2_28"
    done = subprocess.run(
        [
            *("uv", "pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--only-binary=:all:"),
            *(f"--python-version={minor}", f"--python-platform={platform}"),
            *("--target", str(tmp_path / "environment"), "-r", str(lock)),
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "+ numpy==" in done.stderr
