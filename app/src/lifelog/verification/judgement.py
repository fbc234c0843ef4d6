"""The verdict on one run: which rules make it invalid, and which only mark it."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifelog.verification import rules
from lifelog.verification.rules import Evidence, rule_of

# acks under which a broker may lose, or the client repeat, what it had reported as delivered.
LOSSY_ACKS = ("0", "1")


@dataclass(slots=True)
class Judgement:
    """Reasons why the run is invalid, and marks that leave it valid."""

    invalid: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


def judge(e: Evidence) -> Judgement:
    """Apply every rule."""
    judgement = Judgement()
    for failure in e.data.failures:
        judgement.invalid.append(f"failed: {failure}")
    if e.data.consumer.error:
        judgement.invalid.append(f"failed: consumer: {e.data.consumer.error}")
    judgement.invalid += [f"V13: {fault}" for fault in e.data.faults]
    for rule in (
        rules.v1,
        rules.v2,
        rules.v3,
        rules.v4_conservation,
        rules.v4_twice,
        rules.v4_silent_loss,
        rules.v5,
        rules.v6,
        rules.v7_rate,
        rules.v10,
        rules.v13,
        rules.placement,
    ):
        judgement.invalid += rule(e)
    lossy = e.data.spec.settings["acks"] in LOSSY_ACKS
    for text in rules.v4_images(e):
        (judgement.marks if lossy else judgement.invalid).append(text)
    if lossy and judgement.marks:
        judgement.marks.append(f"V4: acks = {e.data.spec.settings['acks']} allows this")
    judgement.invalid += rules.v4_impossible(e)
    trial = (e.data.spec.search or {}).get("trial") is not None
    for text in (*rules.v7(e), *rules.v8(e)):
        if e.data.spec.short:
            judgement.marks.append(f"{text} (declared short)")
        elif trial and rule_of(text) == "V8":
            judgement.marks.append(f"{text} (of a trial, the lag's slope decides)")
        else:
            judgement.invalid.append(text)
    judgement.marks += rules.marks(e)
    return judgement
