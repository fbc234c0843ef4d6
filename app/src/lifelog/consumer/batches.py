"""How large micro-batches and Arrow batches are made. Pure: the capacity model counts by the same."""

from __future__ import annotations

# What a pipeline is expected to carry of the bare engine's rate; our own choice. It only sizes the
# micro-batches: brokers, producers and workers of one machine share its cores.
EXPECTED_SHARE = 0.4
ARROW_BATCH_IMAGES, ARROW_BATCH_BYTES = 10_000, 32 << 20
# Of a micro-batch whose images are only checked: the driver holds their keys.
BACKLOG_RECORDS, BACKLOG_BYTES = 1_000_000, 2 << 30


def expected_images_per_s(bare_images_per_s: float, partitions: int, slots: int) -> float:
    """What the pipeline is expected to carry, of what the engine does bare in all slots at once.

    A partition is one task: more slots than partitions wait.
    """
    return EXPECTED_SHARE * bare_images_per_s * min(1.0, partitions / slots)


def most_records(
    batch_cap_s: float, expected_images_per_s: float, images_per_record: int, partitions: int
) -> int:
    """Records of a micro-batch at most: `batch_cap_s` of what is expected, one of each partition."""
    return max(partitions, int(batch_cap_s * expected_images_per_s / images_per_record))


def backlog_records(record_bytes: int, partitions: int) -> int:
    """Records of a micro-batch at most, where images are only checked."""
    return max(partitions, min(BACKLOG_RECORDS, BACKLOG_BYTES // record_bytes))


def arrow_batch_records(images_per_call: int, images_per_record: int, image_bytes: int) -> int:
    """Records per Arrow batch: whole calls, about ARROW_BATCH_IMAGES images or ARROW_BATCH_BYTES."""
    images = min(ARROW_BATCH_IMAGES, ARROW_BATCH_BYTES // image_bytes)
    calls = max(1, images // (images_per_call * images_per_record))
    return calls * images_per_call
