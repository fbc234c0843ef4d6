"""What the paper does not say of its cluster: drawn at random, and judged by what it does say.

The costs of `parts.Parts` are drawn from ranges, many at a time, and the ceilings of `ceilings.System`
are evaluated for all of them at once. On the paper's cluster, where producers live beside brokers
and workers have machines of their own, each ceiling has a closed form. Rejection sampling: what is
kept are the draws by which every claim holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lifelog.capacity.layout import FRAME_SHARE
from lifelog.capacity.load import RECORD_BATCH_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES
from lifelog.experiment.claims import Claim
from lifelog.experiment.definition import Experiment
from lifelog.record import KEY_BYTES

Values = NDArray[np.float64]
# Ten nodes with two Xeon W5590 of four cores each, and one link of 1 Gbit/s.
CORES = 8
LINK_BYTES_PER_S = 125e6
PRODUCERS = 16
TRIGGER_S = 1.0
# What a client collects into a record batch before it sends, unless told otherwise: the default of
# Kafka's own client and of kafka-python.
DEFAULT_BATCH_BYTES = 16_384
US, MS, NS = 1e-6, 1e-3, 1e-9


@dataclass(frozen=True, slots=True)
class Unknown:
    """A number that the paper does not give, and its plausible range, each decade alike.

    `scale`: of `unit` in seconds (or bytes, or 1). `why`: what the ends stand for.
    """

    name: str
    words: str
    unit: str
    scale: float
    low: float
    high: float
    why: str


UNKNOWNS = (
    Unknown("image_bytes", "size of an image", "bytes", 1, 784, 16_000,
            "1 byte a pixel; float32 3,136; float64 6,272; numbers as text up to 20 bytes a pixel"),
    Unknown("engine", "engine, for an image", "us", US, 20, 3000,
            "a small network on one modern core; a convolutional one on a 2009 Xeon without AVX"),
    Unknown("worker_record", "worker, for a message", "us", US, 3, 500,
            "Arrow; a Python object and a call for each message, as PySpark's DStream had it"),
    Unknown("worker_byte", "worker, for a byte", "ns", NS, 0.2, 50,
            "copying; parsing numbers from text in Python"),
    Unknown("task", "worker, for a task", "ms", MS, 5, 500,
            "a reused Python worker; one that is forked and imports its modules"),
    Unknown("pause", "pause of a micro-batch", "ms", MS, 30, 600,
            "planning and logs of a quick driver; of a slow one"),
    Unknown("producer_record", "producer, for a message", "us", US, 3, 500,
            "a client in C; one in Python 2"),
    Unknown("producer_byte", "producer, for a byte", "ns", NS, 0.2, 200,
            "a checksum in C; checksum and text in Python"),
    Unknown("producer_batch", "producer, for a record batch", "us", US, 10, 500,
            "a request in C; one in Python"),
    Unknown("broker_record", "broker, for a message", "us", US, 0.1, 20,
            "batches passed on whole; each message unpacked and packed again"),
    Unknown("broker_byte", "broker, for a byte", "ns", NS, 0.5, 30,
            "page cache and sendfile; copies and checksums"),
    Unknown("broker_batch", "broker, for a record batch", "us", US, 10, 500,
            "an append; a request of its own"),
    Unknown("replica", "a further replica's cost, of the leader's", "", 1, 0.2, 1.5,
            "one fetch for many partitions; more than a producer's request"),
    Unknown("wait", "wait of a producer, for a record batch", "us", US, 1, 10_000,
            "many requests in flight; one at a time"),
    Unknown("wait_replica", "more wait for a further replica, of the first's", "", 1, 0.05, 3,
            "followers fetch at once; they are late"),
)  # fmt: skip
# What the paper does not say in words; each is as likely as the other.
CHOICES = {
    "meaning": ("images bundled in a message", "messages in a record batch"),
    "acks": ("the leader's", "all in-sync replicas'"),
    "fig4_partitions": ("16", "32"),
}
# Each broker, and each worker, is like the others.
KINDS = (
    "producers", "producers' wait", "processor of a broker", "link into a broker",
    "link out of a broker", "link into a worker", "slots", "driver",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draws:
    """n clusters.

    `values`: float64 (n,) by UNKNOWNS' names, in seconds, bytes or 1. `chosen`: which of the two of
    each of CHOICES, int64 (n,).
    """

    values: Mapping[str, Values]
    chosen: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def only(self, kept: NDArray[np.bool_]) -> Draws:
        """Those of them where `kept`, bool (n,), is true."""
        return Draws(
            {name: own[kept] for name, own in self.values.items()},
            {name: own[kept] for name, own in self.chosen.items()},
        )


def draw(count: int, random: np.random.Generator) -> Draws:
    """So many clusters from the ranges of UNKNOWNS and from CHOICES."""
    values = {
        own.name: own.scale * np.exp(random.uniform(np.log(own.low), np.log(own.high), count))
        for own in UNKNOWNS
    }
    return Draws(values, {name: random.integers(0, 2, count) for name in CHOICES})


def joined(parts: Sequence[Draws]) -> Draws:
    """All of them, in order."""
    return Draws(
        {own.name: np.concatenate([part.values[own.name] for part in parts]) for own in UNKNOWNS},
        {name: np.concatenate([part.chosen[name] for part in parts]) for name in CHOICES},
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """A point of one of the paper's figures.

    `partitions` None: as drawn (Fig. 4 does not say). `kafka_batch` None: one image a message, in
    record batches as the client makes them by itself (Figs. 2 and 3).
    """

    brokers: int
    workers: int
    partitions: int | None
    replication: int
    kafka_batch: int | None


@dataclass(frozen=True, slots=True)
class Rates:
    """Of n clusters at a cell: images/s, float64 (n,), and which of KINDS binds, int64 (n,)."""

    images_per_s: Values
    binding: NDArray[np.int64]


def rates(draws: Draws, cell: Cell) -> Rates:
    """What each cluster carries at a cell, and what binds it (Denning and Buzen, see `ceilings`)."""
    v, chosen = draws.values, draws.chosen
    brokers, workers, copies = cell.brokers, cell.workers, cell.replication - 1
    partitions = (
        np.where(chosen["fig4_partitions"] == 1, 32, 16)
        if cell.partitions is None
        else np.full(len(draws), cell.partitions)
    )
    # One reading bundles images into a message, the other messages into a record batch.
    bundled = chosen["meaning"] == 0
    per_record = np.where(bundled, cell.kafka_batch or 1, 1)
    record_bytes = per_record * v["image_bytes"] + KEY_BYTES + RECORD_OVERHEAD_BYTES
    default = np.maximum(1, DEFAULT_BATCH_BYTES // record_bytes)
    per_batch = np.where(bundled, default, cell.kafka_batch or default)
    records, batches = 1 / per_record, 1 / (per_record * per_batch)
    size = (record_bytes + RECORD_BATCH_OVERHEAD_BYTES / per_batch) / per_record / FRAME_SHARE

    def cost(part: str) -> Values:
        batch, record, byte = (v[f"{part}_{name}"] for name in ("batch", "record", "byte"))
        return np.asarray(batch * batches + record * records + byte * v["image_bytes"])

    produce, broke = cost("producer"), cost("broker")
    # Waiting for all in-sync replicas takes the longer the more there are.
    acks_all = chosen["acks"] == 1
    wait = v["wait"] * batches * (1 + acks_all * copies * v["wait_replica"])
    broker_cores = (produce + broke * (1 + copies * v["replica"])) / brokers
    # What producers beside the leader write is on no link.
    written = size * (1 - 1 / brokers + copies) / brokers
    slots = CORES * workers
    # A micro-batch holds what the bare engine does in one interval: the paper's DStream took one
    # interval's worth.
    cap = per_record * np.maximum(
        partitions, np.floor(TRIGGER_S * np.minimum(slots, partitions) / v["engine"] / per_record)
    )
    each = v["engine"] + v["worker_record"] * records + v["worker_byte"] * v["image_bytes"]
    waves = np.ceil(partitions / slots)
    busy = v["pause"] + waves * (v["task"] + cap / partitions * each)
    producers = PRODUCERS / (produce + wait)
    ceilings = (
        np.where(wait <= produce, producers, np.inf),
        np.where(wait > produce, producers, np.inf),
        CORES / broker_cores,
        np.divide(LINK_BYTES_PER_S, written, out=np.full(len(draws), np.inf), where=written > 0),
        LINK_BYTES_PER_S / (written + size / brokers),
        LINK_BYTES_PER_S / (size / workers),
        cap / busy,
        cap / v["pause"],
    )
    table = np.stack(ceilings)
    binding = table.argmin(axis=0)
    return Rates(table[binding, np.arange(len(draws))], binding)


def bounds(low: float | None, high: float | None, visible: float) -> tuple[float, float]:
    """Where a claim's ratio must lie. A bound of 1, "more" or "less", asks for a visible share."""
    least = 0.0 if low is None else low * (1 + visible if low == 1 else 1)
    most = np.inf if high is None else high / (1 + visible if high == 1 else 1)
    return least, float(most)


def judge(
    claims: Sequence[Claim], found: Mapping[str, Rates], visible: float
) -> dict[str, NDArray[np.bool_]]:
    """Whether each claim holds, bool (n,) by its id.

    `found`: by the name of the point. `visible`: what share two rates must differ by to be told apart.
    """
    held = {}
    for claim in claims:
        all_hold = np.ones(len(next(iter(found.values())).binding), dtype=bool)
        for one in claim.comparisons:
            ratio = found[one.of].images_per_s / found[one.over].images_per_s
            least, most = bounds(one.at_least, one.at_most, visible)
            all_hold &= (ratio >= least) & (ratio <= most)
        held[claim.id] = all_hold
    return held


@dataclass(frozen=True, slots=True)
class Region:
    """What is left of `drawn` clusters: `kept`, by which all claims hold, and their `rates` by "experiment/point".

    `alone`: by how many each claim holds. `together`: each two of them. `others`: all but this one.
    """

    drawn: int
    visible: float
    kept: Draws
    rates: Mapping[str, Rates]
    alone: Mapping[str, int]
    together: Mapping[tuple[str, str], int]
    others: Mapping[str, int]

    def pull(self, first: str, second: str) -> float:
        """How much more often two claims hold together than if neither cared for the other."""
        one, other = self.alone[first], self.alone[second]
        both = self.together[first, second]
        return both * self.drawn / (one * other) if one and other else float("nan")


def cells(experiment: Experiment) -> dict[str, Cell]:
    """The points of one of the paper's figures; of Fig. 4 the partitions are not known."""
    fig4 = "replication" in experiment.points[0].factors
    found = {}
    for point in experiment.points:
        s = point.settings
        if s.brokers is None or s.workers is None:
            raise ValueError(f"{experiment.name}: {point.name} does not say how many nodes it has")
        partitions, batch = (None, s.images_per_record) if fig4 else (s.partitions, None)
        found[point.name] = Cell(s.brokers, s.workers, partitions, s.replication, batch)
    return found


def _compared(experiment: Experiment) -> dict[str, Cell]:
    """Those of its points that a claim is about."""
    comparisons = [one for claim in experiment.claims for one in claim.comparisons]
    named = {name for one in comparisons for name in (one.of, one.over)}
    return {name: own for name, own in cells(experiment).items() if name in named}


def region(
    experiments: Sequence[Experiment], count: int, seed: int, visible: float, chunk: int = 100_000
) -> Region:
    """Draw `count` clusters, and keep those by which every claim of the experiments holds.

    `visible`: see `judge`.
    """
    random = np.random.default_rng(seed)
    kept: list[Draws] = []
    alone: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    others: Counter[str] = Counter()
    ids = [claim.id for experiment in experiments for claim in experiment.claims]
    compared = [_compared(experiment) for experiment in experiments]
    for begin in range(0, count, chunk):
        draws = draw(min(chunk, count - begin), random)
        held: dict[str, NDArray[np.bool_]] = {}
        for experiment, points in zip(experiments, compared, strict=True):
            found = {name: rates(draws, own) for name, own in points.items()}
            held |= judge(experiment.claims, found, visible)
        table = np.stack([held[name] for name in ids])
        broken = (~table).sum(axis=0)
        for at, name in enumerate(ids):
            alone[name] += int(table[at].sum())
            others[name] += int((broken - ~table[at] == 0).sum())
        for one, other in combinations(range(len(ids)), 2):
            together[ids[one], ids[other]] += int((table[one] & table[other]).sum())
        kept.append(draws.only(broken == 0))
    left = joined(kept)
    of_points = {
        f"{experiment.name}/{name}": rates(left, own)
        for experiment in experiments
        for name, own in cells(experiment).items()
    }
    return Region(count, visible, left, of_points, alone, together, others)


def informed_bits(unknown: Unknown, values: Values, bins: int = 12) -> float:
    """How much a region tells of a number: Kullback-Leibler divergence from its range, in bits.

    0 where it is as wide open as before; 1 where the region halves the (logarithmic) range. `values`: float64 (n,).
    """
    edges = unknown.scale * np.geomspace(unknown.low, unknown.high, bins + 1)
    counts, _ = np.histogram(values, edges)
    shares = counts[counts > 0] / counts.sum()
    return float((shares * np.log2(shares * bins)).sum())


def typical(draws: Draws) -> int:
    """The cluster of a region nearest to its middle: of those with its commonest choices, in standard deviations of the logarithms."""
    right = np.ones(len(draws), dtype=bool)
    for own in draws.chosen.values():
        # One after the other: what is commonest together is there.
        right &= own == np.bincount(own[right]).argmax()
    logs = np.log(np.stack(list(draws.values.values())))
    spread = logs.std(axis=1, keepdims=True)
    middle = np.median(logs[:, right], axis=1, keepdims=True)
    distance = (((logs - middle) / np.where(spread > 0, spread, 1)) ** 2).sum(axis=0)
    return int(np.where(right, distance, np.inf).argmin())
