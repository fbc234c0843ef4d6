"""Calls on their way from the workers to the driver."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from lifelog.consumer.calls import CALL_SCHEMA, PACKED, pack, unpack


def rows(worker: str, count: int) -> list[dict[str, Any]]:
    empty: dict[type, Any] = {int: 0, str: "", bytes: b""}
    kinds = {field.name: str if pa.types.is_string(field.type) else int for field in CALL_SCHEMA}
    kinds |= {field.name: bytes for field in CALL_SCHEMA if pa.types.is_binary(field.type)}
    same = {name: empty[kind] for name, kind in kinds.items()}
    return [same | {"worker": worker, "call": at, "keys": bytes([at] * 16)} for at in range(count)]


def test_calls_of_all_tasks_arrive_as_they_were() -> None:
    tasks = [rows("a:1", 3), rows("b:2", 1)]
    packed = pa.Table.from_batches([pack(task) for task in tasks])
    assert (packed.num_rows, packed.column_names) == (2, [PACKED])
    found = unpack(packed)
    assert found.schema.equals(CALL_SCHEMA)
    assert found.to_pylist() == tasks[0] + tasks[1]


def test_no_task_means_no_calls() -> None:
    nothing = pa.table({PACKED: pa.array([], pa.binary())})
    assert unpack(nothing).num_rows == 0
    assert unpack(nothing).schema.equals(CALL_SCHEMA)
