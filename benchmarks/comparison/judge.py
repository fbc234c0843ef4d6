"""Whether a peer did the work: each image once, each prediction that of the offline model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comparison.rows import JUDGED
from lifelog.bundle import DatasetBundle, ModelBundle
from lifelog.consumer.worker import NEAR_TIE_MARGIN
from lifelog.record import start_index


@dataclass(frozen=True, slots=True)
class Verdict:
    """`accuracy` against the labels, `offline_accuracy` of the same images.

    `near_ties` differ from the offline prediction where its two best scores nearly equal, which the
    size of a call decides; `wrong` differ elsewhere. `repeated` images came more than once.
    """

    images: int
    accuracy: float
    offline_accuracy: float
    near_ties: int
    wrong: int
    repeated: int

    @property
    def fault(self) -> str | None:
        """What disqualifies the run, as words; None where nothing does."""
        faults = [f"{self.wrong} predictions are wrong"] if self.wrong else []
        faults += [f"{self.repeated} images came more than once"] if self.repeated else []
        return " and ".join(faults) or None


def judge(
    rows: NDArray[Any],
    dataset: DatasetBundle,
    model: ModelBundle,
    judged: dict[str, int] | None = None,
) -> Verdict:
    """Compare the predictions of `rows`, ROW_DTYPE (n,), n > 0, with labels and offline answers.

    `judged`: the counts {"correct", "near_ties", "wrong"} of a peer that judges by itself.
    """
    count = len(dataset.labels)
    first = {int(p): start_index(int(p), count) for p in np.unique(rows["producer"])}
    starts = np.vectorize(first.__getitem__, otypes=[np.int64])(rows["producer"])
    index = (starts + rows["sequence"].astype(np.int64)) % count
    identity = rows[["producer", "sequence"]]
    repeated = len(rows) - len(np.unique(identity))
    offline = model.predictions[index]
    labels = dataset.labels[index]
    if judged is None:
        if (rows["predicted"] == JUDGED).any():
            raise ValueError("a peer returned no predictions and no counts of its own")
        predicted = rows["predicted"].astype(np.int64)
        differs = predicted != offline
        near = differs & (model.margins[index] < NEAR_TIE_MARGIN)
        correct, near_ties = int((predicted == labels).sum()), int(near.sum())
        wrong = int(differs.sum()) - near_ties
    else:
        correct, near_ties, wrong = (judged[key] for key in ("correct", "near_ties", "wrong"))
    return Verdict(
        images=len(rows),
        accuracy=correct / len(rows),
        offline_accuracy=float((offline == labels).mean()),
        near_ties=near_ties,
        wrong=wrong,
        repeated=repeated,
    )
