"""The first words of the page: the fastest point, and what became of its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifelog.report import table

Run = dict[str, Any]
MODES = {
    "saturation": "producers send as fast as they can",
    "paced": "producers follow a fixed schedule",
    "fixed_size": "a fixed number of images",
    "drain": "a topic filled beforehand",
}
_ENGINES = {"chainer": "Chainer", "onnxruntime": "ONNX Runtime", "emulated": "an emulated engine"}


def main_run(chosen: Sequence[Run]) -> Run | None:
    """The run of the headline: the fastest valid one, and a paced one only where all are paced."""
    valid = [run for run in chosen if run["valid"] and run["throughput_images_per_s"] is not None]
    free = [run for run in valid if run["mode"] != "paced"]
    return max(free or valid, key=lambda run: run["throughput_images_per_s"], default=None)


def newest_valid(runs: Sequence[Run], means: Mapping[str, float | None]) -> list[Run]:
    """The newest valid run of each point, with the point's mean as its rate, for `main_run`."""
    newest = {run["point"]: run for run in runs if run["valid"]}
    return [run | {"throughput_images_per_s": means.get(p)} for p, run in newest.items()]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def headline(run: Run) -> str:
    """What the rate of the main run is the rate of."""
    placement = run["provenance"]["placement"]
    engine = run["settings"]["engine"]
    return (
        f"images per second from {_plural(len(set(placement['leaders'])), 'Kafka broker')} "
        f"through {_plural(len(placement['executors']), 'Spark worker')} "
        f"into {_ENGINES.get(engine, engine)}"
    )


def checked(run: Run) -> str:
    """What became of the main run's images, and whether its predictions are right."""
    count = f"{run['processed'] + run['backlog']:,} images"
    if not (run["lost"] or run["duplicated"] or run["damaged"]):
        fate = f"All {count} arrived exactly once and undamaged"
    else:
        fate = (
            f"Of {count}, {run['lost']:,} were lost, {run['duplicated']:,} repeated and "
            f"{run['damaged']:,} damaged"
        )
    if "emulated" in run["labels"]:
        return f"{fate}. The engine was emulated: it predicted nothing."
    if run["wrong"]:
        return f"{fate}. {run['wrong']:,} predictions were wrong."
    those = f"{run['processed']:,} of them were" if run["backlog"] else "each was"
    return f"{fate}, and {those} predicted as the same network does offline."


def rate_of(summary: dict[str, Any]) -> tuple[float, str]:
    """The main point's rate, and what it is the mean of, with its interval."""
    mean, interval = (summary["throughput_images_per_s"][key] for key in ("mean", "ci95"))
    valid = summary["runs"] - summary["invalid_runs"]
    if valid < 2:
        return mean, ""
    half = "" if interval is None else f" ± {(interval[1] - interval[0]) / 2:,.0f} (95 % interval)"
    return mean, f"Mean of this point's {valid} valid runs: {mean:,.0f}{half} images/s."


def cards(chosen: Sequence[Run], main: Run | None, valid_points: int) -> list[tuple[str, str, str]]:
    """Label, figure and explanation of each card."""
    found = []
    timely = [run for run in chosen if run["valid"] and run["latency_ms"]["p50"] is not None]
    for run in timely[:1]:
        rate = run["settings"].get("target_rate")
        at = f"at {rate:,.0f} images/s, " if isinstance(rate, (int, float)) else ""
        found.append(
            ("median latency", table.number(run["latency_ms"]["p50"], unit=" ms"),
             f"{at}from the scheduled send time to the prediction")
        )  # fmt: skip
    if main is not None:
        if main["accuracy"] is not None:
            offline = table.percent(main["offline_accuracy"])
            found.append(
                ("accuracy in the stream", table.percent(main["accuracy"]), f"offline: {offline}")
            )
        faults = [main["lost"], main["duplicated"], main["wrong"]]
        if None not in faults:
            images = f"{main['processed']:,} images"
            if main["backlog"]:
                images += f" that were inferred and {main['backlog']:,} that were not"
            found.append(
                ("lost, repeated, wrong", " · ".join(f"{count:,}" for count in faults),
                 f"of {images}, checked one by one")
            )  # fmt: skip
    points = len({run["point"] for run in chosen})
    words = "points, judged by the newest run of each repetition"
    found.append(("valid", f"{valid_points} of {points}", words))
    return found
