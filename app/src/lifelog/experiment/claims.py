"""Claims of an experiment file: statements about its points that a machine can check.

A claim is declared by the values of settings and compiled, when the file is read, into comparisons
of two points each: `of` over `over` in images/s, with the bounds that the ratio must keep. What is
judged later (see `results.claims`) are the points' names and these bounds.

    claims:
      - id: Q1
        text: With 16 partitions, 4 workers give little over 2
        ratio: {of: {workers: 4}, over: {workers: 2}, at: {partitions: 16}, at_most: 1.15}
      - id: Q2
        text: The number of brokers makes almost no difference
        same: {factor: brokers, within: 0.1}
      - id: Q5
        text: Unreplicated, throughput rises with the images in a record
        rises: {factor: images_per_record, at: {replication: 1}}

A level may be a list of levels. A comparison is made for every combination of the other factors
that is left free, and the claim holds where all its comparisons do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any, Literal, Protocol

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from lifelog.errors import UserError, nearest
from lifelog.experiment.settings import Settings, Strict
from lifelog.experiment.yamlfile import Document

KINDS = ("ratio", "same", "rises", "falls")
Levels = dict[str, Any]


class RatioClaim(Strict):
    """Points `of` over points `over`, which differ in nothing else, at least or at most so much."""

    of: Levels = Field(min_length=1)
    over: Levels = Field(min_length=1)
    at: Levels = Field(default_factory=dict)
    at_least: float | None = Field(None, gt=0)
    at_most: float | None = Field(None, gt=0)


class SameClaim(Strict):
    """No two levels of the factor differ by more than a share: ratios in 1/(1 + x) to 1 + x."""

    factor: str
    at: Levels = Field(default_factory=dict)
    within: float = Field(gt=0)


class TrendClaim(Strict):
    """From each level of the factor to the next (or from first to last), by more than a share."""

    factor: str
    at: Levels = Field(default_factory=dict)
    beyond: float = Field(0.0, ge=0)
    steps: Literal["each", "ends"] = "each"


class DeclaredClaim(Strict):
    """A claim as it stands in the file: exactly one of the four kinds."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")
    text: str = Field(min_length=1)
    ratio: RatioClaim | None = None
    same: SameClaim | None = None
    rises: TrendClaim | None = None
    falls: TrendClaim | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """images/s of point `of` over those of point `over`, and where the ratio must lie.

    `differ`: the settings that the two points differ in; their runs may differ in no others.
    """

    what: str
    of: str
    over: str
    at_least: float | None
    at_most: float | None
    differ: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim in terms of points."""

    id: str
    text: str
    comparisons: tuple[Comparison, ...]

    def plain(self) -> dict[str, Any]:
        """As spec.json carries it."""
        comparisons = [{**asdict(one), "differ": list(one.differ)} for one in self.comparisons]
        return {"id": self.id, "text": self.text, "comparisons": comparisons}

    def among(self, points: Iterable[str]) -> Claim:
        """The claim about those of its points that are left, where some were taken out."""
        left = set(points)
        kept = [one for one in self.comparisons if {one.of, one.over} <= left]
        return Claim(self.id, self.text, tuple(kept))


class _Point(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def factors(self) -> dict[str, Any]: ...


def compile_claims(
    document: Document, declared: list[Any], points: Sequence[_Point], overridden: Iterable[str]
) -> tuple[Claim, ...]:
    """The claims of a file about its points.

    UserError `file:line: key: what is wrong and what is allowed`, also for a level that no point
    has: unless its setting was `overridden` (by `set=` or a smaller inventory), which leaves the
    claim without comparisons, also where other levels that it names are there.
    """
    claims: list[Claim] = []
    for number, content in enumerate(declared):
        where = ("claims", number)
        try:
            own = DeclaredClaim.model_validate(content)
        except ValidationError as error:
            raise _fault(document, where, error.errors()[0]) from None
        if own.id in [claim.id for claim in claims]:
            raise document.fault((*where, "id"), f"{own.id} is taken by an earlier claim")
        kinds = [kind for kind in KINDS if getattr(own, kind) is not None]
        if len(kinds) != 1:
            raise document.fault(where, f"give exactly one of {', '.join(KINDS)}", own.id)
        place = (*where, kinds[0])
        compiler = _Compiler(document, place, points, frozenset(overridden))
        comparisons = tuple(compiler.compile(getattr(own, kinds[0]), kinds[0]))
        claims.append(Claim(own.id, own.text, comparisons))
    return tuple(claims)


@dataclass(frozen=True, slots=True)
class _Compiler:
    document: Document
    place: tuple[Any, ...]
    points: Sequence[_Point]
    overridden: frozenset[str]

    def compile(
        self, declared: RatioClaim | SameClaim | TrendClaim, kind: str
    ) -> Iterator[Comparison]:
        """The comparisons; UserError where there are none."""
        chosen = self._chosen(self.points, declared.at, "at")
        if not chosen and self.overridden:
            return
        if isinstance(declared, RatioClaim):
            pairs, keys = self._ratio_pairs(declared, chosen)
            low, high = declared.at_least, declared.at_most
        else:
            keys = [declared.factor]
            rows = self._levels(declared.factor, chosen, ordered=kind != "same")
            if isinstance(declared, SameClaim):
                pairs = [(b, a) for row in rows for a, b in combinations(row, 2)]
                low, high = 1 / (1 + declared.within), 1 + declared.within
            else:
                if declared.steps == "ends":
                    rows = [[row[0], row[-1]] for row in rows if len(row) > 1]
                pairs = [(b, a) for row in rows for a, b in pairwise(row)]
                low = 1 + declared.beyond if kind == "rises" else None
                high = 1 / (1 + declared.beyond) if kind == "falls" else None
        if not pairs and not self.overridden:
            raise self._fault(f"no two of the chosen points differ in {', '.join(keys)} only")
        for of, over in pairs:
            if "mode" in self.overridden:
                continue
            if of.settings.mode != over.settings.mode or of.settings.mode == "paced":
                raise self._fault(
                    f"{of.name} and {over.name} cannot be compared by their images per second: "
                    "choose points of one mode, and none that is paced"
                )
            differ = tuple(key for key, value in of.settings if value != _value(over, key))
            yield Comparison(_words(of, over, keys), of.name, over.name, low, high, differ)

    def _ratio_pairs(
        self, declared: RatioClaim, chosen: Sequence[_Point]
    ) -> tuple[list[tuple[_Point, _Point]], list[str]]:
        low, high = declared.at_least, declared.at_most
        if low is None and high is None:
            raise self._fault("give at_least, at_most or both")
        if low is not None and high is not None and low >= high:
            raise self._fault(f"at_least {low:g} must be below at_most {high:g}", "at_least")
        keys = list(dict.fromkeys([*declared.of, *declared.over]))
        first = self._chosen(chosen, declared.of, "of")
        second = self._chosen(chosen, declared.over, "over")
        pairs = [
            (of, over)
            for of in first
            for over in second
            if of.name != over.name and _others(of, keys) == _others(over, keys)
        ]
        return pairs, keys

    def _chosen(self, points: Sequence[_Point], levels: Levels, key: str) -> list[_Point]:
        for name, wanted in levels.items():
            self._known(name, (key, name))
            present = [_value(point, name) for point in points]
            for level in _listed(wanted):
                if any(_equal(value, level) for value in present):
                    continue
                if name in self.overridden:
                    # What is left of the levels is not what the claim says.
                    return []
                there = ", ".join(dict.fromkeys(str(value) for value in present))
                raise self._fault(f"no point has {name} {level!r}; there is {there}", key, name)
        return [
            point
            for point in points
            if all(
                any(_equal(_value(point, name), level) for level in _listed(wanted))
                for name, wanted in levels.items()
            )
        ]

    def _levels(self, factor: str, chosen: Sequence[_Point], ordered: bool) -> list[list[_Point]]:
        """The points that differ in the factor only, a row for each combination of the others."""
        self._known(factor, ("factor",))
        rows: list[tuple[Any, list[_Point]]] = []
        for point in chosen:
            value = _value(point, factor)
            if ordered and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise self._fault(
                    f"{factor} is {value!r} at {point.name}, and only numbers rise or fall",
                    "factor",
                )
            row = next((row for key, row in rows if key == _others(point, [factor])), None)
            if row is None:
                rows.append((_others(point, [factor]), [point]))
            else:
                row.append(point)
        if ordered:
            for _, row in rows:
                row.sort(key=lambda point: float(_value(point, factor)))
        return [row for _, row in rows]

    def _known(self, name: str, at: tuple[str, ...]) -> None:
        known = list(Settings.model_fields)
        if name not in known:
            raise self.document.fault(
                (*self.place, *at), f"{name}: there is no such setting{nearest(name, known)}", at[0]
            )

    def _fault(self, text: str, *at: str) -> UserError:
        return self.document.fault((*self.place, *at), text, at[-1] if at else None)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _value(point: _Point, name: str) -> Any:
    return getattr(point.settings, name)


def _equal(value: Any, level: Any) -> bool:
    # `acks: 1` is a number to YAML.
    return bool(value == level) or (isinstance(value, str) and value == str(level))


def _others(point: _Point, keys: Iterable[str]) -> Mapping[str, Any]:
    """The point's factors but for some."""
    without = set(keys)
    return {name: value for name, value in point.factors.items() if name not in without}


def _words(of: _Point, over: _Point, keys: Sequence[str]) -> str:
    """`workers 4 over 2, brokers 1`."""
    pairs = [f"{key} {_value(of, key)} over {_value(over, key)}" for key in keys]
    others = [f"{key} {value}" for key, value in _others(of, keys).items()]
    return ", ".join([*pairs, *others])


def _fault(document: Document, where: tuple[Any, ...], details: ErrorDetails) -> UserError:
    """The first of pydantic's errors, in our words and with its place."""
    loc = tuple(details["loc"])
    if not loc:
        return document.fault(where, f"write id, text and one of {', '.join(KINDS)}", "claims")
    kind, given = details["type"], details.get("input")
    models: dict[str, type[Strict]] = {
        "ratio": RatioClaim,
        "same": SameClaim,
        "rises": TrendClaim,
        "falls": TrendClaim,
    }
    if kind == "missing":
        text = "is missing, and required"
    elif kind == "extra_forbidden":
        known = list((models[str(loc[0])] if len(loc) > 1 else DeclaredClaim).model_fields)
        text = f"a claim has no such key{nearest(loc[-1], known)}"
    elif loc[-1] == "id":
        text = f"{given!r} is no id: choose a few letters, digits, '-', '_' and '.'"
    else:
        message = details["msg"].replace("Input should", "must")
        text = f"{message[0].lower()}{message[1:]}, not {given!r}"
    return document.fault((*where, *loc), text, str(loc[-1]))
