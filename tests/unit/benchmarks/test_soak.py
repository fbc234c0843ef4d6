"""What a soak says of memory, and what it deletes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soak

from lifelog.verification.accounting import Account
from lifelog.verification.callsfile import Calls


def memory(mb_an_hour: float, minutes: int = 30) -> soak.Memory:
    random = np.random.default_rng(0)
    found = soak.Memory()
    for minute in np.arange(0, minutes, 1 / 6):
        found.minutes.append(minute)
        for own in found.pss_mb.values():
            # It grows to its size in the first minutes.
            grown = 200 * min(1.0, minute / 5) + mb_an_hour * minute / 60
            own.append(grown + random.normal(0, 1))
    return found


@pytest.mark.parametrize(("mb_an_hour", "flat"), [(0, True), (20, False), (-20, False)])
def test_growth_is_told_from_noise(mb_an_hour: float, flat: bool) -> None:
    slope, twice = memory(mb_an_hour).growth("executor")
    assert slope == pytest.approx(mb_an_hour, abs=8)
    assert (abs(slope) <= twice) == flat


def test_the_table_has_the_processes_and_the_account() -> None:
    text = soak.table(memory(0, 5), Calls(), Account(), 30_000)
    assert "0 lost, 0 repeated, 0 predicted wrongly" in text
    assert "| an executor's JVM | " in text


def test_only_finished_micro_batches_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[Any] = []

    class Admin:
        def __enter__(self) -> Admin:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def delete_records(self, offsets: dict[Any, int]) -> None:
            deleted.append({key.partition: at for key, at in offsets.items()})

    monkeypatch.setattr(soak, "admin", lambda _servers: Admin())
    soak._delete_behind(tmp_path, ["h:1"], "t")
    assert not deleted
    (tmp_path / "consumer").mkdir()
    events = [
        json.dumps({"sources": [{"endOffset": {"t": {"0": at, "1": at + 1}}}]}) for at in (5, 9)
    ]
    # The last line may be half written.
    (tmp_path / "consumer/progress.jsonl").write_text("\n".join([*events, events[0][:9]]))
    soak._delete_behind(tmp_path, ["h:1"], "t")
    assert deleted == [{0: 9, 1: 10}]
