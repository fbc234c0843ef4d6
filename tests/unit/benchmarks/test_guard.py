"""The guard finds code that became slower, and says what cannot be compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import guard
import pytest

CASE = "producer, 1 image a record"


@pytest.fixture
def slower(tmp_path: Path) -> Path:
    """The package as it is, with a producer whose keys take longer."""
    source = tmp_path / "src"
    shutil.copytree(guard.PROJECT / guard.SOURCES, source)
    file = source / "lifelog/producer/run.py"
    text = file.read_text()
    call = "pack_key(load.producer, index, sent.images)"
    assert call in text
    file.write_text(text.replace(call, f"[{call} for _ in range(12)][0]"))
    return source


def test_what_became_slower_is_found(slower: Path) -> None:
    now = guard.PROJECT / guard.SOURCES
    text, found = guard.compare(CASE, now, slower, 6)
    assert found, text
    assert text.endswith("SLOWER")
    text, found = guard.compare(CASE, slower, now, 6)
    assert not found, text


@pytest.mark.parametrize("case", list(guard.CASES))
def test_each_case_is_done(case: str) -> None:
    with guard.Timed(guard.PROJECT / guard.SOURCES, case) as own:
        assert own.reason == ""
        assert own.seconds() > 0


def test_what_cannot_be_compared_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    now = guard.PROJECT / guard.SOURCES
    (tmp_path / "lifelog").mkdir()
    text, found = guard.compare(CASE, tmp_path, now, 3)
    assert text.startswith("before: it cannot be done there")
    assert not found
    assert guard.compare(CASE, now, tmp_path, 3)[1]
    assert guard.main(["--base", "no-such-revision"]) == 2
    assert "--base no-such-revision: " in capfd.readouterr().err
