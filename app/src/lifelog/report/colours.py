"""The colours of pages and figures, light and dark: the one place that names them.

The six of the series differ for normal, red-blind, green-blind and blue-blind eyes, and stand out
from the card in both themes (tested); markers and line styles tell them apart without colour.
"""

from __future__ import annotations

LIGHT = {
    "ink": "#1d2733", "soft": "#5b6875", "grid": "#dde2e8", "page": "#f4f6f8", "card": "#ffffff",
    "bad": "#b3261e", "badbg": "#fdecea", "good": "#13693f", "accent": "#0067a3",
    "c0": "#1f49d1", "c1": "#962f0a", "c2": "#2a9d7f", "c3": "#7a2a73", "c4": "#b08101",
    "c5": "#3e3d33",
}  # fmt: skip
DARK = {
    "ink": "#e4e8ec", "soft": "#a0abb6", "grid": "#364049", "page": "#12171c", "card": "#1b2229",
    "bad": "#ff8a80", "badbg": "#3a1f1f", "good": "#7fd6a4", "accent": "#56b4e9",
    "c0": "#5c99ff", "c1": "#d08a2a", "c2": "#46d9bb", "c3": "#a97fab", "c4": "#dfd282",
    "c5": "#c3cdf5",
}  # fmt: skip
SERIES = tuple(f"c{number}" for number in range(6))
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", ":", "-.")
_INKS = ("#ffffff", "#12171c")


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2.2)."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def theme(colours: dict[str, str]) -> dict[str, str]:
    """All variables of a theme: its colours, and for each series the ink to write on it."""
    on = {f"on-{name}": max(_INKS, key=lambda ink: contrast(ink, colours[name])) for name in SERIES}
    return colours | on


def css(colours: dict[str, str]) -> str:
    """The variables of a theme as CSS declarations."""
    return " ".join(f"--{name}: {value};" for name, value in theme(colours).items())
