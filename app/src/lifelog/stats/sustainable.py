"""The sustainable rate: the largest paced load that a system carries.

`judge_trial` says of one trial whether the load was carried, `Search` which load to try next. A
search is nothing but its seed and the outcomes so far, so it can be written down and taken up again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifelog.stats.rate import batch_means_interval
from lifelog.stats.steady import STALL_GAPS, final_stall

Outcome = Literal["pass", "fail", "undecided"]
OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "undecided")
FORMAT = 1
# Our own choices, all of these.
RESOLUTION = 0.03
CONFIRMATIONS = 3
SLOPE_SHARE = 0.01
LEAST_COMPLETED = 0.99
# Ours: a load this far from the seed in either direction ends the bracketing.
_STEP = 1.25
_REACH = 20.0
_MOST_TRIALS = 60
# Ours: this share of the samples is warm-up, and fewer than so many say nothing about a slope.
WARM_UP_SHARE = 0.25
LEAST_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth of the lag in images/s, with its 95 % interval."""

    images_per_s: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TrialJudgement:
    """Whether a load was carried, and why not; `slope` is None where the samples give none."""

    outcome: Outcome
    reasons: tuple[str, ...]
    slope: Slope | None


def lag_slope(seconds: NDArray[np.float64], images: NDArray[np.float64]) -> Slope | None:
    """Growth of the lag over time, float64 (n,) each, ascending in time; None where n is too small.

    The lag of a loaded queue is close to a random walk, and a straight line through one has no
    honest interval. Its increments are closer to independent: their rate has the interval of any
    rate, by the method of batch means. A queue that is at rest pulls its lag back, which makes the
    interval wider than it need be, never narrower.
    """
    if len(seconds) < LEAST_SAMPLES or (np.diff(seconds) <= 0).any():
        return None
    increments, time = np.diff(images), np.diff(seconds)
    low, high = batch_means_interval(increments, time)
    return Slope(float(increments.sum() / time.sum()), low, high)


def judge_trial(
    lag: Sequence[tuple[float, float]],
    end_s: float,
    rate: float,
    completed: float,
    offered: float,
    p99_ms: float | None,
    limit_ms: float | None,
    drained: bool,
) -> TrialJudgement:
    """Whether a paced load of `rate` images/s was carried.

    `lag`: (seconds, images waiting) at micro-batch completions while the load lasted, which ended at
    `end_s` of the same clock. `completed` and `offered`: images over one and the same time, between
    two completions. `p99_ms`: None where it is not supported; `limit_ms`: None where no latency is
    asked for. `drained`: the lag was gone in time after the producers stopped. ValueError where
    nothing was offered.
    """
    if rate <= 0 or offered <= 0:
        raise ValueError(f"a trial offers something, not {offered:g} images at {rate:g} images/s")
    against: list[str] = []
    open_: list[str] = []
    counted = np.array(lag[int(len(lag) * WARM_UP_SHARE) :], float).reshape(-1, 2)
    slope = lag_slope(counted[:, 0], counted[:, 1])
    limit = SLOPE_SHARE * rate
    if slope is None:
        open_.append(
            f"{len(counted)} micro-batches after warm-up, and {LEAST_SAMPLES} at instants of their "
            "own are needed for the slope of the lag"
        )
    elif slope.low > limit:
        against.append(
            f"the lag grows by {slope.images_per_s:.0f} images/s "
            f"[{slope.low:.0f}, {slope.high:.0f}], {limit:.0f} are allowed"
        )
    elif slope.high >= limit:
        open_.append(
            f"the lag grows by {slope.low:.0f} to {slope.high:.0f} images/s, and {limit:.0f} are "
            "allowed"
        )
    # The lag that a stall leaves may be gone before the next block of the slope begins.
    gaps = np.diff(counted[:, 0])
    if len(gaps) and gaps.max() > STALL_GAPS * np.median(gaps):
        open_.append(f"a stall: no micro-batch completed for {gaps.max():.1f} s")
    stall_s = final_stall(counted[:, 0], end_s)
    if stall_s is not None:
        open_.append(f"a stall: no micro-batch completed in the last {stall_s:.1f} s of the load")
    if completed / offered < LEAST_COMPLETED:
        against.append(
            f"{completed / offered:.1%} of the load were completed, {LEAST_COMPLETED:.0%} are asked"
        )
    if limit_ms is not None and p99_ms is None:
        open_.append("the 99th percentile of latency is not supported")
    elif limit_ms is not None and p99_ms is not None and p99_ms > limit_ms:
        against.append(f"p99 is {p99_ms:.0f} ms, {limit_ms:.0f} ms are allowed")
    if not drained:
        against.append("the lag did not drain after the producers stopped")
    outcome: Outcome = "fail" if against else "undecided" if open_ else "pass"
    return TrialJudgement(outcome, tuple(against or open_), slope)


@dataclass(frozen=True, slots=True)
class Trial:
    """A load to try, images/s, for the planned time or a multiple of it."""

    rate: float
    duration_factor: int
    purpose: Literal["bracket", "bisect", "confirm"]


@dataclass(frozen=True, slots=True)
class SustainableRate:
    """[highest pass, lowest fail] in images/s; what is not known is None, and `reason` says why.

    `high_undecided`: the upper end did not fail but stayed undecided in the longer trial too.
    """

    low: float | None
    high: float | None
    high_undecided: bool
    trials: int
    reason: str | None


class Search:
    """Bracket from a seed rate, bisect on log load, confirm: fresh trials, one after the other.

    `next_trial` gives the load to try (None: the search is over), `record` takes its outcome. An
    undecided trial is repeated twice as long, once; undecided again counts as not carried. A load
    that fails to be confirmed counts as failed, and the search goes on below it.
    """

    def __init__(
        self,
        seed_rate: float,
        resolution: float = RESOLUTION,
        confirmations: int = CONFIRMATIONS,
        most_trials: int = _MOST_TRIALS,
    ) -> None:
        """`seed_rate`: images/s of a saturation run. ValueError where a number makes no search."""
        if not (0 < seed_rate < math.inf and resolution > 0 and confirmations >= 0):
            raise ValueError(
                f"a search needs a seed rate and a resolution above 0, not {seed_rate:g} and "
                f"{resolution:g}"
            )
        self.seed_rate = seed_rate
        self.resolution = resolution
        self.confirmations = confirmations
        self.most_trials = most_trials
        self.history: list[tuple[Trial, Outcome]] = []

    def next_trial(self) -> Trial | None:
        """What to try now; None where the search is over."""
        if self.history:
            last, outcome = self.history[-1]
            if outcome == "undecided" and last.duration_factor == 1:
                return Trial(last.rate, 2, last.purpose)
        if len(self.history) >= self.most_trials:
            return None
        low, high = self._bounds()
        if low is None:
            rate = self.seed_rate if high is None else high / _STEP
            return Trial(rate, 1, "bracket") if rate * _REACH >= self.seed_rate else None
        if high is None:
            rate = low * _STEP
            return Trial(rate, 1, "bracket") if rate <= self.seed_rate * _REACH else None
        if high / low > 1 + self.resolution:
            return Trial(math.sqrt(low * high), 1, "bisect")
        return Trial(low, 1, "confirm") if self._confirmed(low) < self.confirmations else None

    def record(self, outcome: Outcome) -> None:
        """The outcome of the trial that next_trial gave; ValueError where there is none."""
        trial = self.next_trial()
        if trial is None or outcome not in OUTCOMES:
            raise ValueError(f"no trial awaits the outcome {outcome!r}")
        self.history.append((trial, outcome))

    def result(self) -> SustainableRate:
        """The answer; its reason says what is missing, also while the search is not over."""
        low, high = self._bounds()
        undecided = any(t.rate == high and o == "undecided" for t, o in self.history) and not any(
            t.rate == high and o == "fail" for t, o in self.history
        )
        return SustainableRate(low, high, undecided, len(self.history), self._missing(low, high))

    def _missing(self, low: float | None, high: float | None) -> str | None:
        if self.next_trial() is not None:
            return "the search is not over"
        if low is not None and high is not None:
            near = high / low <= 1 + self.resolution
            if near and self._confirmed(low) >= self.confirmations:
                return None
        if len(self.history) >= self.most_trials:
            return f"{self.most_trials} trials brought no confirmed answer"
        if low is None:
            return f"no load passed, down to {high or self.seed_rate:.0f} images/s"
        return f"no load failed, up to {low:.0f} images/s"

    def _bounds(self) -> tuple[float | None, float | None]:
        """The highest load that passed below the lowest that did not, and the latter."""
        failed = [
            trial.rate
            for trial, outcome in self.history
            if outcome == "fail" or (outcome == "undecided" and trial.duration_factor > 1)
        ]
        high = min(failed, default=None)
        passed = [trial.rate for trial, outcome in self.history if outcome == "pass"]
        low = max((rate for rate in passed if high is None or rate < high), default=None)
        return low, high

    def _confirmed(self, rate: float) -> int:
        return sum(
            trial.rate == rate and trial.purpose == "confirm" and outcome == "pass"
            for trial, outcome in self.history
        )

    def least_trials(self) -> int:
        """Trials of a search in which the seed passes, the next load fails and all is confirmed."""
        halvings = math.ceil(math.log2(max(math.log(_STEP) / math.log1p(self.resolution), 1)))
        return 2 + halvings + self.confirmations

    def to_json(self) -> dict[str, Any]:
        """All there is to it, for a file."""
        return {
            "format": FORMAT,
            "seed_rate": self.seed_rate,
            "resolution": self.resolution,
            "confirmations": self.confirmations,
            "most_trials": self.most_trials,
            "history": [{**asdict(trial), "outcome": outcome} for trial, outcome in self.history],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Search:
        """The search that `to_json` wrote; ValueError where the content is no such search."""
        try:
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}, and this version reads {FORMAT}")
            names = ("seed_rate", "resolution", "confirmations", "most_trials")
            search = cls(*(content[name] for name in names))
            for entry in content["history"]:
                expected = search.next_trial()
                search.record(entry["outcome"])
                if expected is None or asdict(expected) != {k: entry[k] for k in asdict(expected)}:
                    raise ValueError(f"trial {len(search.history)} is not one of this search")
        except (KeyError, TypeError) as error:
            raise ValueError(f"a search lacks {error}") from None
        return search
