"""Conservation (rule V4): what became of every single image, by one counter per image.

Sums are not enough: {0, 3, 5, 6} and {1, 2, 4, 7} agree in count, sum and sum of squares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog.record import WARMUP_PRODUCER, start_index

Range = tuple[int, int]
_COUNT_TYPE = np.uint16


@dataclass(frozen=True, slots=True)
class Sent:
    """What one producer says about its images: sequences 0 to scheduled - unsent - 1 were sent.

    `failed_ranges`: inclusive ranges of sequences that were sent and not acknowledged.
    """

    producer: int
    scheduled: int
    acknowledged: int
    failed: int
    unsent: int
    failed_ranges: tuple[Range, ...] = ()

    @property
    def sent(self) -> int:
        """Images sent, acknowledged or not."""
        return self.scheduled - self.unsent

    def imbalance(self) -> str | None:
        """Why this report cannot be true; None where it adds up."""
        who = f"producer {self.producer}"
        parts = (self.scheduled, self.acknowledged, self.failed, self.unsent)
        total = self.acknowledged + self.failed + self.unsent
        if min(parts) < 0 or self.scheduled != total:
            return (
                f"{who} scheduled {self.scheduled} images, but {self.acknowledged} acknowledged "
                f"+ {self.failed} failed + {self.unsent} unsent are {total}"
            )
        end, named = -1, 0
        for first, last in sorted(self.failed_ranges):
            if first <= end or last < first or last >= self.sent:
                return f"{who} names {first}-{last} as failed, which overlaps or was never sent"
            end, named = last, named + last - first + 1
        if named != self.failed:
            return f"{who} counts {self.failed} failed images, and names {named}"
        return None


@dataclass(frozen=True, slots=True)
class ImageRange:
    """Consecutive images of one producer, both ends included."""

    producer: int
    first: int
    last: int

    def __str__(self) -> str:
        if self.first == self.last:
            return f"producer {self.producer} sequence {self.first}"
        return f"producer {self.producer} sequences {self.first}-{self.last}"


@dataclass(slots=True)
class Account:
    """What became of the images.

    `duplicated` counts surplus copies; `never_sent` images whose key no producer sent;
    `unacknowledged_arrived` images that came although their producer saw no acknowledgement.
    """

    processed: int = 0
    lost: int = 0
    duplicated: int = 0
    never_sent: int = 0
    unacknowledged_arrived: int = 0
    lost_ranges: list[ImageRange] = field(default_factory=list)
    duplicated_ranges: list[ImageRange] = field(default_factory=list)
    never_sent_ranges: list[ImageRange] = field(default_factory=list)
    unacknowledged_arrived_ranges: list[ImageRange] = field(default_factory=list)


def to_ranges(numbers: NDArray[Any]) -> list[Range]:
    """Ascending integers (n,) -> inclusive runs of consecutive ones: 1 2 3 7 is (1, 3), (7, 7)."""
    if not len(numbers):
        return []
    edges = np.flatnonzero(np.diff(numbers) > 1)
    firsts = numbers[np.concatenate([[0], edges + 1])]
    lasts = numbers[np.concatenate([edges, [len(numbers) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


class Ledger:
    """Counts, for each image that the producers sent, how often it was processed."""

    def __init__(self, reports: Iterable[Sent], dataset_images: int) -> None:
        """Open an account for producers whose reports add up; `dataset_images`: stream length."""
        self._reports = {report.producer: report for report in reports}
        self._counts = {
            producer: np.zeros(report.sent, _COUNT_TYPE)
            for producer, report in self._reports.items()
        }
        self._dataset_images = dataset_images
        self._strangers: list[NDArray[Any]] = []
        self._processed = 0

    def add(self, images: NDArray[Any]) -> None:
        """Book processed images: KEY_DTYPE (n,), each image's own key; warm-up must be left out."""
        if (images["producer"] == WARMUP_PRODUCER).any():
            raise ValueError("warm-up images are never counted")
        self._processed += len(images)
        for producer in np.unique(images["producer"]).tolist():
            own = images[images["producer"] == producer]
            counts = self._counts.get(producer)
            if counts is None:
                self._strangers.append(own)
                continue
            first = start_index(producer, self._dataset_images)
            walked = own["sequence"] % np.uint64(self._dataset_images)
            expected = (walked + np.uint64(first)) % np.uint64(self._dataset_images)
            known = (own["sequence"] < len(counts)) & (own["index"] == expected)
            if not known.all():
                self._strangers.append(own[~known])
                own = own[known]
            if not len(own):
                continue
            sequences = own["sequence"].astype(np.int64)
            low = int(sequences.min())
            came = np.bincount(sequences - low)
            # Saturating: what matters is none, one or more, and the count of copies up to 65,535.
            place = counts[low : low + len(came)]
            most = np.iinfo(_COUNT_TYPE).max
            place[...] = np.minimum(place.astype(np.int64) + came, most).astype(_COUNT_TYPE)

    def close(self) -> Account:
        """The account of all images booked so far."""
        account = Account(processed=self._processed)
        for producer, counts in sorted(self._counts.items()):
            acknowledged = np.ones(len(counts), np.bool_)
            for first, last in self._reports[producer].failed_ranges:
                acknowledged[first : last + 1] = False
            lost = np.flatnonzero(acknowledged & (counts == 0))
            twice = np.flatnonzero(counts > 1)
            arrived = np.flatnonzero(~acknowledged & (counts > 0))
            account.lost += len(lost)
            account.duplicated += int(counts[twice].astype(np.int64).sum()) - len(twice)
            account.unacknowledged_arrived += len(arrived)
            account.lost_ranges += _named(producer, lost)
            account.duplicated_ranges += _named(producer, twice)
            account.unacknowledged_arrived_ranges += _named(producer, arrived)
        if self._strangers:
            strangers = np.concatenate(self._strangers)
            account.never_sent = len(strangers)
            for producer in np.unique(strangers["producer"]).tolist():
                own = strangers[strangers["producer"] == producer]
                account.never_sent_ranges += _named(producer, np.unique(own["sequence"]))
        return account


def _named(producer: int, sequences: NDArray[Any]) -> list[ImageRange]:
    return [ImageRange(producer, first, last) for first, last in to_ranges(sequences)]


@dataclass(frozen=True, slots=True)
class CallFault:
    """Engine calls of one worker process whose row is missing (`missing`), or is there twice."""

    worker: str
    first: int
    last: int
    missing: bool

    def __str__(self) -> str:
        calls = (
            f"call {self.first}" if self.first == self.last else (f"calls {self.first}-{self.last}")
        )
        return f"worker {self.worker} {calls} {'without a result' if self.missing else 'twice'}"


def call_faults(
    workers: Sequence[str] | NDArray[Any],
    calls: NDArray[np.int64],
    counted: NDArray[np.bool_],
) -> list[CallFault]:
    """Engine calls whose result was thrown away: their images were inferred twice.

    One entry per row of results: worker process, number of the call in it (1, 2, ...; 0 is no
    call), whether the row holds counted images. Looks from the first to the last counted row of
    each process; rows of warm-up fill their places.
    """
    names = np.asarray(workers, dtype=object)
    faults: list[CallFault] = []
    numbered = calls > 0
    for worker in sorted(set(names[numbered].tolist())):
        own = (names == worker) & numbered
        real = calls[own & counted]
        if not len(real):
            continue
        low, high = int(real.min()), int(real.max())
        inside = calls[own & (calls >= low) & (calls <= high)]
        times = np.bincount(inside - low)
        for missing, places in ((True, times == 0), (False, times > 1)):
            faults += [
                CallFault(worker, low + first, low + last, missing)
                for first, last in to_ranges(np.flatnonzero(places))
            ]
    return faults
