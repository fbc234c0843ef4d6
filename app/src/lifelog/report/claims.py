"""Claims of a summary, as page and table show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifelog.report import table

_VERDICTS = {
    "reproduced": ("✓", "good"),
    "not reproduced": ("✗", "bad"),
    "undecided": ("?", "soft"),
}
_HOLDS = {True: "holds", False: "does not hold"}


def claim_rows(claims: Any) -> list[dict[str, Any]]:
    """Claims of a summary as the page shows them; what is no claim is left out."""
    rows = []
    for claim in claims if isinstance(claims, list) else []:
        if not isinstance(claim, Mapping):
            continue
        verdict = str(claim.get("verdict", "undecided"))
        mark, tone = _VERDICTS.get(verdict, ("", "soft"))
        compared = claim.get("comparisons")
        rows.append(
            {
                **{key: str(claim.get(key) or "") for key in ("id", "text", "why")},
                **{"verdict": verdict, "mark": mark, "tone": tone},
                "comparisons": [
                    _comparison(own)
                    for own in (compared if isinstance(compared, list) else [])
                    if isinstance(own, Mapping)
                ],
            }
        )
    return rows


def _comparison(own: Mapping[str, Any]) -> dict[str, str]:
    """One comparison in words: `of` over `over`, what is claimed of the ratio, what was found."""
    found = _HOLDS.get(own.get("holds"), "undecided")  # type: ignore[arg-type]
    why = own.get("why")
    return {
        "label": str(own.get("what") or f"{own.get('of', '?')} / {own.get('over', '?')}"),
        "claimed": _claimed(own.get("at_least"), own.get("at_most")),
        "ratio": table.ratio_text(own.get("ratio"), own.get("ci95")),
        "n": " and ".join(str(n) for n in own.get("n") or []),
        "found": f"{found}: {why}" if why else found,
    }


def _claimed(at_least: Any, at_most: Any) -> str:
    bounds = (("at least", at_least), ("at most", at_most))
    told = [f"{word} {bound:g}" for word, bound in bounds if isinstance(bound, (int, float))]
    return ", ".join(told) or "-"


def claims_card(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The card that counts the verdicts; none where nothing is claimed."""
    if not rows:
        return []
    counts = [sum(row["verdict"] == verdict for row in rows) for verdict in _VERDICTS]
    shown = f"{counts[0]} of {len(rows)}"
    return [("claims reproduced", shown, f"{counts[1]} not reproduced, {counts[2]} undecided")]
