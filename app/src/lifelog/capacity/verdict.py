"""What bound a run by its own measurements, and whether the model says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelog.capacity.ceilings import Prediction
from lifelog.capacity.load import Load

# Our own choices. A resource counts as the bottleneck from this share of its capacity on, and two
# ceilings nearer to each other than this are not told apart.
BUSY_SHARE = 0.9
NEAR = 0.15
MOST_LAG_S = 2.0
NOT_BUSY = "no resource was busy for {:.0%} of its capacity: the busiest was {} with {:.0%}"


@dataclass(frozen=True, slots=True)
class Utilisation:
    """What share of a resource a run used, 0 to 1; `resource` and `kind` as in Ceiling.

    None where it was not measured, and `detail` says why; else `detail` is what used most of it.
    """

    resource: str
    kind: str
    share: float | None
    detail: str = ""


def bottleneck(seen: Sequence[Utilisation]) -> tuple[Utilisation | None, str]:
    """The busiest resource of a run if it was as good as full; else None, and why."""
    known = sorted((u for u in seen if u.share is not None), key=lambda u: -(u.share or 0))
    if not known:
        reasons = dict.fromkeys(own.detail for own in seen if own.detail)
        return None, "; ".join(reasons) or "no utilisation was measured"
    first = known[0]
    share = first.share or 0.0
    if share < BUSY_SHARE:
        return None, NOT_BUSY.format(BUSY_SHARE, first.resource, share)
    return first, ""


def contradictions(found: Prediction, seen: Sequence[Utilisation]) -> list[str]:
    """Where the measured utilisations speak against the resource that the model says binds.

    Two ways: what is to bind was not busy; or something else was full that, by the model, has room.
    """
    binding, texts = found.binding, []
    by_name = {own.resource: own for own in seen}
    own = by_name.get(binding.resource)
    if own is not None and own.share is not None and own.share < BUSY_SHARE:
        texts.append(
            f"the model says that {binding.resource} binds, and it was used to {own.share:.0%} only"
        )
    full, _ = bottleneck(seen)
    if full is None or full.resource == binding.resource:
        return texts
    ceilings = {ceiling.resource: ceiling for ceiling in found.ceilings}
    other = ceilings.get(full.resource)
    if other is not None and other.images_per_s <= (1 + NEAR) * binding.images_per_s:
        return texts
    room = "does not know it" if other is None else f"gives it {other.images_per_s:,.0f} images/s"
    texts.append(
        f"{full.resource} was used to {full.share:.0%}, and the model {room}: it says that "
        f"{binding.resource} binds"
    )
    return texts


def unchecked(found: Prediction, seen: Sequence[Utilisation]) -> str:
    """Why measurement can say nothing of the binding resource; empty where it can, or where none binds."""
    if found.binding.kind == "load":
        return ""
    own = next((u for u in seen if u.resource == found.binding.resource), None)
    if own is None:
        return f"{found.binding.resource}: its utilisation is not measured"
    return "" if own.share is not None else f"{own.resource}: {own.detail}"


def lagging(
    found: Prediction, lag_records: float | None, load: Load, images_per_s: float
) -> list[str]:
    """Followers that fell behind speak against any resource but brokers' processors and links.

    `lag_records`: the most that one was behind; as much as MOST_LAG_S of the load is harmless.
    """
    if lag_records is None or load.replication == 1:
        return []
    seconds = lag_records * load.images_per_record / images_per_s
    if seconds <= MOST_LAG_S or found.binding.kind in ("processor", "link into", "link out of"):
        return []
    return [
        f"a follower was {lag_records:,.0f} records behind, {seconds:.1f} s of the load, and the model "
        f"says that {found.binding.resource} binds, not a broker's processor or link"
    ]
