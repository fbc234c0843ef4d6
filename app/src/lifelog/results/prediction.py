"""Predictions beside what was measured, by the calibration that fits a run, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lifelog.capacity.calibration import Calibration, calibrate, predict_run
from lifelog.capacity.fit import Observation, speed_of
from lifelog.capacity.verdict import Utilisation, contradictions, lagging, unchecked
from lifelog.errors import UserError
from lifelog.results.directory import read_results
from lifelog.results.hardware import other_machines
from lifelog.results.observation import observe
from lifelog.results.summary import latest_settings
from lifelog.verification.utilisation import utilisations

CALIBRATION = "calibration"
MAKE = "./testbed ansible-playbook playbooks/app.yml -e experiment=calibration"


@dataclass(frozen=True, slots=True)
class Known:
    """A calibration that was read, what it holds for, and its runs that were of no use."""

    directory: Path
    calibration: Calibration
    provenance: Mapping[str, Any]
    observations: tuple[Observation, ...]
    unused: tuple[str, ...]


def load_calibration(directory: Path) -> Known:
    """Fit the runs below `directory`; UserError, with the command that makes one, where it cannot be."""
    try:
        runs = latest_settings(read_results(directory).runs)
    except UserError as error:
        raise UserError(f"no calibration: {error}: {MAKE}") from None
    seen, unused = [], []
    for run in runs:
        own = observe(directory / run["run"], run)
        if isinstance(own, Observation) and own.component_cores:
            seen.append(own)
        else:
            why = "its components were not recorded" if isinstance(own, Observation) else own
            unused.append(f"{run['run']}: {why}")
    try:
        calibration = calibrate(seen)
    except ValueError as error:
        raise UserError(f"no calibration: {directory}: {error}: {MAKE}") from None
    recorded = [run["provenance"] for run in runs if run["provenance"].get("versions")]
    return Known(directory, calibration, recorded[-1], tuple(seen), tuple(unused))


def misfit(known: Known, provenance: Mapping[str, Any]) -> list[str]:
    """Why a calibration says nothing of a run: other machines, or other versions of anything.

    Versions of what both recorded count. Other code does not make it useless: see `other_code`.
    """
    found = [f"other hardware ({name})" for name in other_machines(known.provenance, provenance)]
    own, other = known.provenance.get("versions") or {}, provenance.get("versions") or {}
    found += [
        f"another version of {name} ({own[name]}, and {other[name]} in the run)"
        for name in sorted(own.keys() & other.keys())
        if own[name] != other[name]
    ]
    return found


def other_code(known: Known, provenance: Mapping[str, Any]) -> str:
    """The testbed's own code, where it is not the calibrated one; it may change what a part costs."""
    codes = [(own.get("hashes") or {}).get("code") for own in (known.provenance, provenance)]
    if not all(codes) or codes[0] == codes[1]:
        return ""
    return f"code {codes[1]} (calibrated: {codes[0]})"


def with_predictions(
    directory: Path, runs: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]
) -> dict[str, Any]:
    """The summary with `prediction` of each point, null with a reason where absent.

    The calibration is looked for beside the experiment's directory.
    """
    known: Known | str
    try:
        known = load_calibration(directory.resolve().parent / CALIBRATION)
    except UserError as error:
        known = str(error)
    points = []
    for point in summary["points"]:
        own = [run for run in runs if run["point"] == point["point"]]
        points.append(_with_prediction(directory, own, point, known))
    return {**summary, "points": points}


def _with_prediction(
    directory: Path, runs: Sequence[Mapping[str, Any]], point: Mapping[str, Any], known: Known | str
) -> dict[str, Any]:
    absent = dict(point["absent_because"])
    found = predicted(directory, runs, known)
    if isinstance(found, str):
        absent["prediction"] = found
    return {
        **point,
        "prediction": None if isinstance(found, str) else found,
        "absent_because": absent,
    }


def predicted(
    directory: Path, runs: Sequence[Mapping[str, Any]], known: Known | str
) -> dict[str, Any] | str:
    """`prediction` of a point from its runs' conditions, or why there is none.

    Speed and others' load are means over its valid runs, all else is the newest's.
    """
    if isinstance(known, str):
        return known
    valid = [run for run in runs if run["valid"]]
    if not valid:
        return "no valid run"
    newest = valid[-1]
    why = misfit(known, newest["provenance"])
    if why:
        return f"{known.directory} is of {'; '.join(why)}: {MAKE}"
    seen = [observe(directory / run["run"], run) for run in valid]
    usable = [own for own in seen if isinstance(own, Observation)]
    if not usable:
        return f"{newest['run']}: {next(own for own in seen if isinstance(own, str))}"
    return _document(known, usable, newest)


def _mean(seen: Sequence[Observation]) -> Observation:
    """The newest, under the mean conditions of all."""
    rates = [own.load.target_rate for own in seen if own.load.target_rate is not None]
    references = [own.reference_s for own in seen if own.reference_s is not None]
    newest = seen[-1]
    load = replace(newest.load, target_rate=float(np.mean(rates)) if rates else None)
    return replace(
        newest,
        load=load,
        images_per_s=float(np.mean([own.images_per_s for own in seen])),
        bare_images_per_s=float(np.mean([own.bare_images_per_s for own in seen])),
        foreign_cores=float(np.mean([own.foreign_cores for own in seen])),
        reference_s=float(np.mean(references)) if len(references) == len(seen) else None,
    )


def _document(
    known: Known, runs: Sequence[Observation], run: Mapping[str, Any]
) -> dict[str, Any] | str:
    calibration, own = known.calibration, _mean(runs)
    found = predict_run(calibration.parts, own, calibration.correction, calibration.way)
    rate, errors = found.images_per_s, calibration.log_errors
    held_out = own.name not in {one.name for one in known.observations}
    fitted = [math.log(one.images_per_s) - errors[one.name] for one in runs if one.name in errors]
    if fitted:
        # Runs of the calibration itself: what the others say of each.
        rate = math.exp(float(np.mean(fitted)))
    if rate <= 0:
        return f"by the model, {found.binding.resource} carries nothing"
    interval = calibration.interval(rate)
    seen = [Utilisation(**one) for one in run.get("utilisation") or ()] or utilisations(run)
    against = [*contradictions(found, seen), *lagging(found, largest_lag(run), own.load, rate)]
    code = other_code(known, run["provenance"])
    following = found.ceilings[1] if len(found.ceilings) > 1 else None
    return {
        "images_per_s": rate,
        "interval": [interval.low, interval.high],
        "measured_over_predicted": own.images_per_s / rate,
        "held_out": held_out,
        "binding": asdict(found.binding),
        "following": None if following is None else asdict(following),
        "distance": found.distance,
        "ceilings": [asdict(ceiling) for ceiling in found.ceilings],
        "cores": found.cores,
        "speed_factor": speed_of(
            own, calibration.parts.engines, calibration.parts.reference_s, calibration.way
        ),
        "speed_by": calibration.way,
        "foreign_cores": own.foreign_cores,
        "correction": calibration.correction,
        "extrapolated": [
            *calibration.extrapolated(own.load, own.layout),
            *([code] if code else []),
        ],
        "contradictions": against,
        "unchecked": unchecked(found, seen),
        "calibration": known.directory.name,
    }


def largest_lag(run: Mapping[str, Any]) -> float | None:
    """Records that a follower was behind at most; None where it was not recorded."""
    metrics = (run.get("node_metrics") or {}).values()
    lags = [own.get("largest_replica_lag_records") for own in metrics]
    known = [float(lag) for lag in lags if isinstance(lag, (int, float))]
    return max(known, default=None)
