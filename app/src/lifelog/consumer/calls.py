"""What a worker says of its engine calls, and how that reaches the driver.

Spark carries one value for each task: all its calls as an Arrow stream. As rows of their own they
would be taken apart and put together again four times on their way, which the JVMs do slowly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

CALL_SCHEMA = pa.schema(
    [
        ("worker", pa.string()),
        ("call", pa.int64()),
        ("images", pa.int32()),
        ("skip", pa.int32()),
        ("keys", pa.binary()),
        ("record_images", pa.int32()),
        ("correct", pa.int32()),
        ("wrong", pa.int32()),
        ("near_ties", pa.int32()),
        ("wrong_keys", pa.binary()),
        ("damaged", pa.int32()),
        ("damaged_keys", pa.binary()),
        ("malformed", pa.int32()),
        ("malformed_note", pa.string()),
        ("started_ns", pa.int64()),
        ("ended_ns", pa.int64()),
        ("convert_ns", pa.int64()),
        ("infer_ns", pa.int64()),
        ("latency_ms", pa.binary()),
    ]
)
PACKED = "calls"
PACKED_COLUMNS = f"{PACKED} binary"


def pack(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Calls, as rows of CALL_SCHEMA, in one value of the column `PACKED`."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, CALL_SCHEMA) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=CALL_SCHEMA))
    return pa.record_batch({PACKED: pa.array([sink.getvalue().to_pybytes()], pa.binary())})


def unpack(packed: pa.Table) -> pa.Table:
    """The calls that were packed by any number of tasks, one row each."""
    values: Iterable[Any] = packed[PACKED]
    tables = [pa.ipc.open_stream(value.as_buffer()).read_all() for value in values]
    return pa.concat_tables(tables) if tables else CALL_SCHEMA.empty_table()
