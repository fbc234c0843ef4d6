"""calls.arrow: what the workers say about each engine call, added up and booked image by image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog.record import KEY_BYTES, WARMUP_PRODUCER, expand_calls, parse_keys
from lifelog.verification.accounting import CallFault, ImageRange, Ledger, call_faults

# How an Arrow stream ends; without it the writer was interrupted.
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
MOST_EXAMPLES = 10
_NUMBERS = (
    *("batch", "call", "images", "skip", "record_images", "correct", "wrong", "near_ties"),
    *("damaged", "malformed", "started_ns", "ended_ns", "convert_ns", "infer_ns"),
)
_BINARIES = ("keys", "wrong_keys", "damaged_keys", "latency_ms")


@dataclass(slots=True)
class Calls:
    """Totals over the counted calls, warm-up left out.

    `images_by_batch`: of calls of the engine; `backlog`: the images that were checked without one, by
    micro-batch. `judged`: images whose prediction was compared and may be counted in the accuracy. `mixed`:
    counted images that shared a call with warm-up images, and so have no accuracy or latency of
    their own. `latency_sums`: micro-batch -> (sum of ms, images).
    """

    images_by_batch: Counter[int] = field(default_factory=Counter)
    backlog_by_batch: Counter[int] = field(default_factory=Counter)
    rows: int = 0
    correct: int = 0
    judged: int = 0
    wrong: int = 0
    near_ties: int = 0
    damaged: int = 0
    malformed: int = 0
    mixed: int = 0
    convert_ns: int = 0
    infer_ns: int = 0
    latency: list[bytes] = field(default_factory=list)
    latency_images: int = 0
    latency_sums: dict[int, tuple[float, int]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    faults: list[CallFault] = field(default_factory=list)

    @property
    def images(self) -> int:
        """Counted images that were inferred."""
        return sum(self.images_by_batch.values())

    @property
    def backlog(self) -> int:
        """Images that were checked and not inferred."""
        return sum(self.backlog_by_batch.values())

    def example(self, kind: str, text: str) -> None:
        """Keep one of the first few cases of a kind."""
        cases = self.examples.setdefault(kind, [])
        if len(cases) < MOST_EXAMPLES and text not in cases:
            cases.append(text)


def read_calls(path: Path, ledger: Ledger, dataset_images: int) -> tuple[Calls | None, str | None]:
    """Read the file and book every counted image in `ledger`; or say why it cannot be used."""
    import pyarrow as pa

    calls = Calls()
    workers: list[NDArray[Any]] = []
    numbers: list[NDArray[np.int64]] = []
    counted: list[NDArray[np.bool_]] = []
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < len(_END_OF_STREAM):
                return None, "consumer/calls.arrow is empty"
            file.seek(-len(_END_OF_STREAM), 2)
            if file.read() != _END_OF_STREAM:
                return None, "consumer/calls.arrow is cut off"
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                if batch.num_rows:
                    real = _add(calls, batch, ledger, dataset_images)
                    workers.append(batch.column("worker").to_numpy(zero_copy_only=False))
                    numbers.append(_column(batch, "call"))
                    counted.append(real)
    except FileNotFoundError:
        return None, "consumer/calls.arrow is missing"
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        # ArrowInvalid is a ValueError: a broken file, or rows that contradict themselves.
        return None, f"consumer/calls.arrow cannot be used: {str(error).splitlines()[0]}"
    if numbers:
        calls.faults = call_faults(
            np.concatenate(workers), np.concatenate(numbers), np.concatenate(counted)
        )
    return calls, None


def _add(calls: Calls, batch: Any, ledger: Ledger, dataset_images: int) -> NDArray[np.bool_]:
    """Add one record batch; returns which of its rows hold counted images, bool (rows,)."""
    rows = {name: _column(batch, name) for name in _NUMBERS}
    binaries = {name: _binary(batch.column(name)) for name in _BINARIES}
    key_sizes, key_bytes = binaries["keys"]
    if (key_sizes % KEY_BYTES).any():
        raise ValueError("a row's keys are cut off")
    images, owner = expand_calls(
        parse_keys(key_bytes),
        key_sizes // KEY_BYTES,
        rows["record_images"],
        rows["skip"],
        rows["images"],
        dataset_images,
    )
    is_real = images["producer"] != WARMUP_PRODUCER
    ledger.add(images if is_real.all() else images[is_real])
    own = np.bincount(owner[is_real], minlength=len(key_sizes))
    pure = own == rows["images"]
    # A malformed record has no key that could be read, so it cannot be called warm-up.
    real = (own > 0) | (rows["malformed"] > 0)
    checked = np.where(rows["call"] == 0, own, 0)
    own = own - checked
    for number in np.unique(rows["batch"]).tolist():
        here = rows["batch"] == number
        calls.images_by_batch[number] += int(own[here].sum())
        calls.backlog_by_batch[number] += int(checked[here].sum())
    calls.rows += int(np.count_nonzero(own))
    judged = pure & (own > 0)
    calls.correct += int(rows["correct"][judged].sum())
    calls.judged += int((rows["images"] - rows["damaged"])[judged].sum())
    calls.mixed += int(own[~pure].sum())
    for name in ("wrong", "near_ties", "damaged", "malformed", "convert_ns", "infer_ns"):
        setattr(calls, name, getattr(calls, name) + int(rows[name][real].sum()))
    _add_latency(calls, rows["batch"], judged, *binaries["latency_ms"])
    for kind in ("wrong", "damaged"):
        if rows[kind][real].any():
            for key in parse_keys(binaries[f"{kind}_keys"][1])[: 10 * MOST_EXAMPLES]:
                if key["producer"] != WARMUP_PRODUCER:
                    place = int(key["sequence"])
                    text = str(ImageRange(int(key["producer"]), place, place))
                    calls.example(kind, f"{text} (dataset index {int(key['index'])})")
    for at in np.flatnonzero(rows["malformed"]).tolist()[:MOST_EXAMPLES]:
        calls.example("malformed", str(batch.column("malformed_note")[at].as_py()))
    return own > 0


def _add_latency(
    calls: Calls,
    batches: NDArray[np.int64],
    judged: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    raw: memoryview,
) -> None:
    if not len(raw):
        return
    if (sizes % 8).any():
        raise ValueError("a row's latency histogram is cut off")
    pairs = np.frombuffer(raw, "<i4").reshape(-1, 2).astype(np.int64)
    row = np.repeat(np.arange(len(sizes)), sizes // 8)
    kept = judged[row]
    pairs, batch_of = pairs[kept], batches[row[kept]]
    calls.latency.append(pairs.astype("<i4").tobytes())
    calls.latency_images += int(pairs[:, 1].sum())
    for number in np.unique(batch_of).tolist():
        own = pairs[batch_of == number]
        total, count = calls.latency_sums.get(number, (0.0, 0))
        total += float((own[:, 0] * own[:, 1]).sum())
        calls.latency_sums[number] = (total, count + int(own[:, 1].sum()))


def _column(batch: Any, name: str) -> NDArray[np.int64]:
    column = batch.column(name)
    if column.null_count:
        raise ValueError(f"column {name} has empty values")
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.int64)


def _binary(column: Any) -> tuple[NDArray[np.int64], memoryview]:
    """Sizes int64 (rows,) and the bytes, without a copy, of a binary column."""
    if column.null_count:
        raise ValueError("a binary column has empty values")
    _, offsets_buffer, data = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    content = memoryview(data) if data is not None else memoryview(b"")
    return np.diff(offsets), content[int(offsets[0]) : int(offsets[-1])]
