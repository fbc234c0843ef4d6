"""What bound a run by its measurements, and the model contradicted."""

from __future__ import annotations

from lifelog.capacity.ceilings import Ceiling, Prediction
from lifelog.capacity.verdict import Utilisation, bottleneck, contradictions, unchecked

CPU, LINK, SLOTS = "processor of w", "link into w", "8 task slots"


def prediction(**rates: float) -> Prediction:
    names = {"cpu": (CPU, "processor"), "link": (LINK, "link into"), "slots": (SLOTS, "slots")}
    ceilings = [Ceiling(*names[key], rate) for key, rate in rates.items()]
    ceilings.sort(key=lambda own: own.images_per_s)
    return Prediction(ceilings[0].images_per_s, tuple(ceilings), {}, 1.0)


def used(cpu: float | None, link: float | None, slots: float | None = 0.5) -> list[Utilisation]:
    return [
        Utilisation(CPU, "processor", cpu, "the sampler was ended" if cpu is None else "executor"),
        Utilisation(LINK, "link into", link, "loopback has no link" if link is None else ""),
        Utilisation(SLOTS, "slots", slots),
    ]


def test_the_busiest_resource_is_the_bottleneck_if_it_is_full() -> None:
    found, reason = bottleneck(used(0.97, 0.3))
    assert (found and found.resource, reason) == (CPU, "")
    found, reason = bottleneck(used(0.6, 0.3))
    assert found is None
    assert (
        reason
        == "no resource was busy for 90% of its capacity: the busiest was processor of w with 60%"
    )
    found, reason = bottleneck(used(None, None, None)[:2])
    assert (found, reason) == (None, "the sampler was ended; loopback has no link")
    assert bottleneck([]) == (None, "no utilisation was measured")


def test_agreement_says_nothing() -> None:
    assert contradictions(prediction(cpu=100, link=200), used(0.97, 0.4)) == []
    # Both are full, and their ceilings are too near to tell them apart.
    assert contradictions(prediction(cpu=100, link=110), used(0.95, 0.97)) == []


def test_a_binding_resource_that_was_idle_is_a_contradiction() -> None:
    (text,) = contradictions(prediction(cpu=100, link=200), used(0.5, 0.4))
    assert text == "the model says that processor of w binds, and it was used to 50% only"


def test_another_resource_that_was_full_is_a_contradiction() -> None:
    texts = contradictions(prediction(cpu=100, link=200), used(0.5, 0.97))
    assert len(texts) == 2
    assert "link into w was used to 97%, and the model gives it 200 images/s" in texts[1]
    (_, text) = contradictions(prediction(cpu=100), used(0.5, 0.97))
    assert "the model does not know it" in text


def test_what_cannot_be_checked_says_so() -> None:
    assert unchecked(prediction(link=100), used(0.5, None)) == "link into w: loopback has no link"
    assert unchecked(prediction(cpu=100), used(0.5, None)) == ""
    assert "is not measured" in unchecked(prediction(cpu=100), [])
