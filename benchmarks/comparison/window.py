"""From rows and samples to the figures of one run; pure, no files and no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The first part of a run's images warms caches, compilers and allocators up.
WARM_SHARE = 0.3
# A paced run counts images that are due after this part of it.
PACED_WARM_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Window:
    """`images` that were completed after `start_ns` and up to `end_ns`."""

    start_ns: int
    end_ns: int
    images: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def images_per_s(self) -> float:
        """Images / time between completions."""
        return self.images / self.seconds


def measured_window(end_ns: NDArray[np.int64], warm_share: float = WARM_SHARE) -> Window:
    """Window from the completion of the first `warm_share` of the images to the last completion.

    `end_ns`: int64 (n,), ascending. ValueError where it has no length: too few calls.
    """
    if len(end_ns) < 2:
        raise ValueError(f"{len(end_ns)} images give no rate")
    start = int(end_ns[int(len(end_ns) * warm_share)])
    # Images of the call that ends the warm-up belong to the warm-up, all of them.
    images = len(end_ns) - int(np.searchsorted(end_ns, start, side="right"))
    if not images:
        raise ValueError("all images were completed at once")
    return Window(start, int(end_ns[-1]), images)


def grown(at_ns: Sequence[int], total: Sequence[float], window: Window) -> float:
    """Growth of a sampled total over a window, linear between samples.

    ValueError where the samples do not reach over the window.
    """
    if not at_ns or at_ns[0] > window.start_ns or at_ns[-1] < window.end_ns:
        raise ValueError("the samples do not reach over the window")
    first, last = np.interp([window.start_ns, window.end_ns], at_ns, total)
    return float(last - first)


def counts_over_time(end_ns: NDArray[np.int64], step_s: float = 0.5) -> list[int]:
    """Images completed in each `step_s` since the first completion, to be kept as raw figures."""
    if not len(end_ns):
        return []
    steps = (end_ns - end_ns[0]) // int(step_s * 1e9)
    return [int(count) for count in np.bincount(steps.astype(np.int64))]


def latencies_ms(
    rows: NDArray[Any], start_ns: int, images_per_s: float, images: int
) -> NDArray[np.float64]:
    """End of inference minus scheduled time, float64, of the images due after the warm part.

    `rows`: ROW_DTYPE of the paced producer. `start_ns`: scheduled time of sequence 0, on the
    clock of the rows. `images`: how many were scheduled.
    """
    counted = rows[rows["sequence"] >= int(images * PACED_WARM_SHARE)]
    due_ns = start_ns + counted["sequence"].astype(np.float64) * (1e9 / images_per_s)
    late: NDArray[np.float64] = (counted["end_ns"] - due_ns) / 1e6
    return late
