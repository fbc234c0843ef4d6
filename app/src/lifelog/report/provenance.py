"""Where the figures come from: machines, settings, versions, placement, hashes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lifelog.results.directory import agreed_start_ns
from lifelog.results.hardware import machines

Run = dict[str, Any]
# Values of one setting beyond these are only counted.
_MOST_VALUES = 6


def text(value: Any) -> str:
    """A setting's value for people."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, (dict, list, bool)) else str(value)


def side_by_side(values: Sequence[dict[str, Any]]) -> list[tuple[str, list[str], bool]]:
    """Key, its value in each dictionary, and whether they differ."""
    keys = list(dict.fromkeys(key for own in values for key in own))
    rows = [(key, [text(own.get(key)) for own in values]) for key in keys]
    return [(key, texts, len(set(texts)) > 1) for key, texts in rows]


def in_one_column(values: Sequence[dict[str, Any]]) -> list[tuple[str, list[str], bool]]:
    """As `side_by_side`, for more points than columns fit: one text with how often each occurs."""
    rows = []
    for key, texts, differ in side_by_side(values):
        counts = Counter(texts)
        if not differ:
            told = texts[0]
        elif len(counts) > _MOST_VALUES:
            told = f"{len(counts)} values: see run.json of each run"
        else:
            told = "; ".join(f"{own} ({count} points)" for own, count in counts.items())
            told = told.replace("(1 points)", "(1 point)")
        rows.append((key, [told], differ))
    return rows


def hardware(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: each node of the runs, and what it runs on; no rows without facts."""
    hosts: dict[str, dict[str, Any]] = {}
    for run in runs:
        hosts.update(machines(run["provenance"]))
    names: dict[Any, str] = {}
    rows = []
    for host, facts in sorted(hosts.items()):
        own = facts["machine_id"]
        machine = names.setdefault(own, f"machine {len(names) + 1}") if own else "-"
        memory = facts["memory_gib"]
        rows.append(
            [
                host,
                machine,
                text(facts["processor"]),
                text(facts["cores"]),
                "-" if memory is None else f"{memory:,.1f} GiB",
                text(facts["system"]),
                text(facts["kernel"]),
            ]
        )
    return ["node", "runs on", "processor", "cores", "memory", "system", "kernel"], rows


def started(directory: Path) -> str:
    """When a run started, UTC; empty where it is not recorded."""
    start_ns = agreed_start_ns(directory)
    if start_ns is None:
        return ""
    return f"{datetime.fromtimestamp(start_ns / 1e9, timezone.utc):%Y-%m-%d %H:%M} UTC"


def provenance(directory: Path, chosen: Sequence[Run], most_columns: int) -> dict[str, Any]:
    """What the template shows of it: the newest run of each point, a column each where they fit."""
    records = [run["provenance"] for run in chosen]
    details = [
        {
            "run": run["run"],
            "started": started(directory / run["run"]) or None,
            "brokers that led the partitions": record.get("placement", {}).get("leaders"),
            "workers that ran executors": record.get("placement", {}).get("executors"),
            "most records a micro-batch": record.get("max_offsets_per_trigger"),
            "bytes of an image": record.get("image_bytes"),
            "model loads": record.get("model_loads"),
            "seed": record.get("seed"),
            "Spark application": record.get("app_id"),
            **{f"SHA-256 of the {k}": v for k, v in (record.get("hashes") or {}).items()},
        }
        for run, record in zip(chosen, records, strict=True)
    ]
    tables = [
        ("Settings", [run["settings"] for run in chosen]),
        ("Versions", [record.get("versions") or {} for record in records]),
        ("Placement, data and hashes", details),
        ("Spark settings", [dict(sorted((r.get("spark_conf") or {}).items())) for r in records]),
    ]
    many = len(chosen) > most_columns
    show = in_one_column if many else side_by_side
    return {
        "hardware": hardware(chosen),
        "provenance": [(title, show(values)) for title, values in tables],
        "provenance_heads": ["all points"] if many else [run["point"] for run in chosen],
    }
