"""Every linter is clean."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LINTERS = {
    "ruff": ["ruff", "check", "."],
    "ruff-format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "yamllint": ["yamllint", "--strict", "."],
    "shellcheck": ["shellcheck", "testbed", ".ci/run"],
    "ansible-lint": ["ansible-lint", "--offline", "--strict"],
}


@pytest.mark.parametrize("name", LINTERS)
def test_linter_is_clean(name: str) -> None:
    program, *options = LINTERS[name]
    beside_python = Path(sys.executable).with_name(program)
    found = str(beside_python) if beside_python.exists() else shutil.which(program)
    assert found, f"{program} is not installed: run the tests with ./testbed test"
    path = f"{beside_python.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [found, *options],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
