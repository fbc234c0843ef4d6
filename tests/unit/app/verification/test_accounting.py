"""Accounting: every loss, repeat and invention is found, exactly and by its name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import STREAM, image_keys, warmup_keys

from lifelog.record import KEY_DTYPE
from lifelog.verification.accounting import (
    Account,
    ImageRange,
    Ledger,
    Sent,
    call_faults,
    to_ranges,
)


def close(sent: list[Sent], *images: np.ndarray) -> Account:
    ledger = Ledger(sent, STREAM)
    for part in images:
        ledger.add(part)
    return ledger.close()


def expand(ranges: list[ImageRange]) -> list[tuple[int, int]]:
    return [(r.producer, s) for r in ranges for s in range(r.first, r.last + 1)]


@settings(max_examples=150)
@given(st.data())
def test_every_fault_is_found_exactly(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=4), label="sent")
    picks = st.sets(st.integers(0, 59), max_size=12)
    sent, parts = [], []
    lost, twice, arrived, surplus = [], [], [], 0
    for producer, count in enumerate(counts, start=1):
        everyone = set(range(count))
        failed = data.draw(picks) & everyone
        missing = data.draw(picks) & everyone
        repeated = (data.draw(picks) & everyone) - missing
        copies = data.draw(st.integers(1, 3))
        ranges = tuple(to_ranges(np.array(sorted(failed), int)))
        unsent = data.draw(st.integers(0, 3))
        good = count - len(failed)
        sent.append(Sent(producer, count + unsent, good, len(failed), unsent, ranges))
        assert sent[-1].imbalance() is None
        came = sorted(everyone - missing) + sorted(repeated) * copies
        parts.append(image_keys(producer, np.array(came, int)))
        lost += [(producer, s) for s in sorted(missing - failed)]
        twice += [(producer, s) for s in sorted(repeated)]
        arrived += [(producer, s) for s in sorted(failed - missing)]
        surplus += copies * len(repeated)
    stream = np.concatenate(parts)
    stream = stream[data.draw(st.randoms()).sample(range(len(stream)), len(stream))]
    cut = data.draw(st.integers(0, len(stream)))
    account = close(sent, stream[:cut], stream[cut:])
    assert account.processed == len(stream)
    assert (account.lost, expand(account.lost_ranges)) == (len(lost), lost)
    assert (account.duplicated, expand(account.duplicated_ranges)) == (surplus, twice)
    assert account.unacknowledged_arrived == len(arrived)
    assert expand(account.unacknowledged_arrived_ranges) == arrived
    assert account.never_sent == 0


def test_equal_sums_do_not_hide_a_fault() -> None:
    account = close([Sent(1, 8, 8, 0, 0)], image_keys(1, [0, 3, 5, 6]), image_keys(1, [0, 3, 5, 6]))
    assert [str(r) for r in account.lost_ranges] == [
        "producer 1 sequences 1-2",
        "producer 1 sequence 4",
        "producer 1 sequence 7",
    ]
    assert account.duplicated == 4


def test_an_image_no_producer_sent_is_found() -> None:
    wrong_index = image_keys(1, [5])
    wrong_index["index"] = (wrong_index["index"] + 1) % STREAM
    beyond, huge, stranger = image_keys(1, [10]), image_keys(1, [0]), image_keys(9, [0])
    huge["sequence"] = 2**64 - 1
    good = image_keys(1, [0, 1, 2, 3, 4, 6, 7, 8, 9])
    account = close([Sent(1, 10, 10, 0, 0)], good, wrong_index, beyond, huge, stranger)
    assert account.never_sent == 4
    assert [str(r) for r in account.lost_ranges] == ["producer 1 sequence 5"]
    assert "producer 9 sequence 0" in [str(r) for r in account.never_sent_ranges]
    assert f"producer 1 sequence {2**64 - 1}" in [str(r) for r in account.never_sent_ranges]


def test_more_copies_than_the_counter_holds_do_not_wrap_around() -> None:
    account = close([Sent(1, 1, 1, 0, 0)], image_keys(1, [0] * 40_000), image_keys(1, [0] * 40_000))
    assert account.duplicated == 2**16 - 2
    assert account.lost == 0


def test_warm_up_is_never_booked() -> None:
    with pytest.raises(ValueError, match="warm-up"):
        close([], warmup_keys(1))


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (Sent(2, 10, 8, 1, 0), "producer 2 scheduled 10 images, but 8"),
        (Sent(2, 10, 11, 0, -1), "scheduled 10"),
        (Sent(2, 10, 8, 2, 0, ((1, 1),)), "counts 2 failed images, and names 1"),
        (Sent(2, 10, 8, 2, 0, ((9, 10),)), "never sent"),
        (Sent(2, 10, 6, 4, 0, ((1, 2), (2, 3))), "overlaps"),
    ],
)
def test_a_report_that_cannot_be_true_is_refused(report: Sent, words: str) -> None:
    assert words in (report.imbalance() or "")


def test_calls_without_a_result_and_calls_with_two_are_named() -> None:
    workers = ["a", "a", "a", "a", "a", "a", "b", "b", "a", "b"]
    calls = np.array([1, 2, 5, 6, 6, 9, 3, 4, 0, 9])
    counted = np.array([False, True, True, True, True, True, True, True, True, False])
    assert [str(fault) for fault in call_faults(workers, calls, counted)] == [
        "worker a calls 3-4 without a result",
        "worker a calls 7-8 without a result",
        "worker a call 6 twice",
    ]


def test_a_warm_up_row_fills_its_place_among_the_calls() -> None:
    counted = np.array([True, False, True])
    assert call_faults(["a"] * 3, np.array([4, 5, 6]), counted) == []
    assert KEY_DTYPE.itemsize == 16
