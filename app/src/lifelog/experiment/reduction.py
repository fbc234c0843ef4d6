"""An experiment on an inventory that is smaller than the one it is meant for.

Levels that do not fit are replaced by the most that there is, at least two levels of every factor
remain, and whatever became smaller is told, because a reduced experiment answers less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifelog.errors import UserError, nearest
from lifelog.experiment.placement import Cluster
from lifelog.experiment.settings import Settings
from lifelog.experiment.yamlfile import Document

# Which group of hosts bounds a setting.
_BOUND_BY = {"brokers": "brokers", "replication": "brokers", "workers": "workers"}
_GROUPS = {"brokers": "kafka_brokers", "workers": "spark_workers"}
_WORDS = {
    "brokers": "brokers",
    "workers": "workers",
    "replication": "replicas",
    "producers": "producers",
    "partitions": "partitions",
    "images_per_producer": "images a producer",
    "duration_s": "s of sending",
    "repetitions": "repetitions",
}


@dataclass(frozen=True, slots=True)
class Reduced:
    """Factors and shared settings that fit. `told`: what became smaller, by setting."""

    factors: dict[str, list[Any]] | None
    settings: dict[str, Any]
    told: dict[str, str]


def reduce(
    document: Document,
    factors: Mapping[str, list[Any]] | None,
    settings: Mapping[str, Any],
    reduced: Mapping[str, Any],
    full: Mapping[str, int],
    overrides: Mapping[str, Any],
    cluster: Cluster | None,
) -> Reduced:
    """Fit factors and settings to the inventory.

    Nothing changes where it has all of `full`, or where there is no inventory. What `overrides`
    sets stays. UserError where fewer than two levels of a factor would remain.
    """
    _check(document, factors, reduced, full)
    fitted = dict(factors or {})
    shared = dict(settings)
    if cluster is None or not _smaller(full, cluster):
        return Reduced(None if factors is None else fitted, shared, {})
    for key, value in reduced.items():
        if key not in overrides:
            (fitted if key in fitted else shared)[key] = value
    for key in _BOUND_BY:
        most = _most(key, cluster, shared, overrides)
        if key in overrides:
            continue
        if key in fitted:
            fitted[key] = _fit_levels(key, fitted[key], most)
        elif _is_count(shared.get(key)):
            shared[key] = min(shared[key], most)
    told = {}
    for key, levels in fitted.items():
        if levels != (factors or {})[key]:
            told[key] = _told_levels(key, levels, (factors or {})[key])
    for key in (key for key in shared if key in Settings.model_fields):
        value, before = shared[key], settings.get(key, Settings.model_fields[key].default)
        if value != before:
            told[key] = f"{_shown(value)} instead of {_shown(before)} {_WORDS.get(key, key)}"
    return Reduced(None if factors is None else fitted, shared, told)


def _check(
    document: Document,
    factors: Mapping[str, list[Any]] | None,
    reduced: Mapping[str, Any],
    full: Mapping[str, int],
) -> None:
    if reduced and not full:
        raise document.fault(
            ("reduced",), "applies below full: say which inventory is meant, full: {brokers: 4}"
        )
    for key, value in reduced.items():
        if key not in Settings.model_fields:
            known = list(Settings.model_fields)
            raise document.fault(("reduced", key), f"there is no such setting{nearest(key, known)}")
        if key in (factors or {}):
            two = isinstance(value, list) and len(value) >= min(2, len((factors or {})[key]))
            if not two or any(level in value[:at] for at, level in enumerate(value)):
                raise document.fault(
                    ("reduced", key), "is a factor: list at least two of its levels, each once"
                )


def _smaller(full: Mapping[str, int], cluster: Cluster) -> bool:
    return any(_have(group, cluster) < count for group, count in full.items())


def _have(group: str, cluster: Cluster) -> int:
    return len(cluster.brokers if group == "brokers" else cluster.workers)


def _most(
    key: str, cluster: Cluster, shared: Mapping[str, Any], overrides: Mapping[str, Any]
) -> int:
    most = _have(_BOUND_BY[key], cluster)
    if key == "replication":
        brokers = overrides.get("brokers", shared.get("brokers"))
        if _is_count(brokers):
            most = min(most, brokers)
    return most


def _fit_levels(key: str, levels: Sequence[Any], most: int) -> list[Any]:
    """Levels up to `most`; one that is higher becomes `most`."""
    if not all(_is_count(level) for level in levels):
        # Said with its line where the settings are checked.
        return list(levels)
    fitted = list(dict.fromkeys(min(level, most) for level in levels))
    if len(fitted) >= min(2, len(levels)):
        return fitted
    if most < 2:
        group = _BOUND_BY[key]
        raise UserError(
            f"{key}: two levels at least need 2 {group}, and the inventory has {most}: add a host "
            f"to {_GROUPS[group]}, or fix it with set={key}={most}"
        )
    return [most // 2, most]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _told_levels(key: str, levels: Sequence[Any], before: Sequence[Any]) -> str:
    which = "of" if all(level in before for level in levels) else "instead of"
    return f"{key} {_listed(levels)} {which} {_listed(before)}"


def _listed(levels: Sequence[Any]) -> str:
    return ", ".join(_shown(level) for level in levels)


def _shown(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return "all" if value is None else str(value)
