"""A simulated micro-batch system of known capacity under paced load, with faults to put in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lifelog.stats.sustainable import Outcome, Search, TrialJudgement, judge_trial

CAPACITY = 20_000.0
DRAIN_S = 20.0


@dataclass(frozen=True)
class Queue:
    """Takes what waits, every second or when the last batch is done, a batch of at most `cap_s` seconds' worth at a time.

    The time per image is 1 / CAPACITY on average, its noise AR(1); the first `warm_up` batches are
    slower. `leak`: share of the images that are never taken. `stall_s`: the length of one stop in
    the middle. `stuck`: what is left at the end stays.
    """

    noise: float = 0.02
    correlation: float = 0.5
    warm_up: int = 8
    cap_s: float = 3.0
    leak: float = 0.0
    stall_s: float = 0.0
    stuck: bool = False

    def trial(
        self, random: np.random.Generator, rate: float, seconds: float, limit_ms: float | None
    ) -> TrialJudgement:
        """One paced load, fresh."""
        now, tick, taken, deviation, batch = 0.0, 0.0, 0.0, 0.0, 0
        lag: list[tuple[float, float]] = []
        completed: list[tuple[float, float]] = []
        ages_ms: list[float] = []
        stalled = not self.stall_s
        while True:
            # A batch that overran is followed at once, as Spark does it.
            now = max(now, tick)
            tick = math.floor(now) + 1.0
            waiting = min(rate * now * (1 - self.leak) - taken, self.cap_s * CAPACITY)
            deviation = self.correlation * deviation + math.sqrt(1 - self.correlation**2) * float(
                random.standard_normal()
            )
            slow = 1 + max(0.0, 1 - batch / self.warm_up)
            oldest = taken / (rate * (1 - self.leak))
            now += max(waiting, 0) / CAPACITY * slow * max(1 + self.noise * deviation, 0.1)
            if not stalled and now > seconds / 2:
                now, stalled = now + self.stall_s, True
            if now > seconds:
                break
            taken += max(waiting, 0)
            batch += 1
            if waiting > 0:
                lag.append((now, rate * now - taken))
                completed.append((now, taken))
                ages_ms.append((now - oldest) * 1000)
        first, last = completed[len(completed) // 4], completed[-1]
        left = rate * seconds - taken
        drained = not self.stuck and left / CAPACITY <= DRAIN_S
        return judge_trial(
            lag,
            seconds,
            rate,
            last[1] - first[1],
            rate * (last[0] - first[0]),
            float(np.percentile(ages_ms[len(ages_ms) // 4 :], 99)),
            limit_ms,
            drained,
        )

    def search(
        self,
        seed: int,
        seconds: float = 120.0,
        limit_ms: float | None = None,
        seed_share: float = 1.0,
    ) -> Search:
        """A whole search, from a seed rate that is a share of the capacity."""
        random = np.random.default_rng(seed)
        search = Search(CAPACITY * seed_share)
        while (trial := search.next_trial()) is not None:
            time_s = seconds * trial.duration_factor
            outcome: Outcome = self.trial(random, trial.rate, time_s, limit_ms).outcome
            search.record(outcome)
        return search
