"""Colours that everyone can tell apart and read, in both themes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from lifelog.report.colours import DARK, LIGHT, LINES, MARKERS, SERIES, contrast, css, theme
from lifelog.report.drawing import line, marker

# How eyes without one kind of cone see linear RGB (Machado et al. 2009, severity 1).
EYES = {
    "normal": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def seen(colour: str, eyes: str) -> NDArray[np.float64]:
    """CIE L*a*b* of a colour as such eyes see it."""
    shares = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    rgb = np.clip(np.asarray(EYES[eyes]) @ linear, 0, 1)
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ rgb / np.array([0.9505, 1.0, 1.089]), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours: list[str], eyes: str) -> float:
    """Smallest difference (CIE76; about 2 can just be seen) of two of the colours."""
    pairs = itertools.combinations([seen(colour, eyes) for colour in colours], 2)
    return min(float(np.linalg.norm(one - other)) for one, other in pairs)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_series_differ_for_all_eyes(colours: dict[str, str], eyes: str) -> None:
    assert nearest([colours[name] for name in SERIES], eyes) > 15
    # Two of the usual ones would not.
    assert nearest(["#c75000", "#8a6d00"], "no red") < 10


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_everything_stands_out(colours: dict[str, str]) -> None:
    for name in SERIES:
        assert contrast(colours[name], colours["card"]) >= 3
        assert contrast(theme(colours)[f"on-{name}"], colours[name]) >= 4.5
    for text in ("ink", "soft", "accent", "bad", "good"):
        for ground in ("card", "page"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for text in ("ink", "bad"):
        assert contrast(colours[text], colours["badbg"]) >= 4.5


def test_contrast_is_the_one_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_series_differ_without_colour() -> None:
    assert len({marker(number) for number in range(len(MARKERS))}) == len(SERIES)
    many = [line(number) for number in range(len(SERIES) * len(LINES))]
    assert len({(own["color"], own["linestyle"]) for own in many}) == len(many)


def test_both_themes_set_the_same_variables() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert css(LIGHT).count("--") == len(theme(DARK))
