"""Student's t, the one thing that the intervals take from SciPy."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def t_quantile(degrees_of_freedom: float, level: float = 0.95) -> float:
    """Half-width factor of a two-sided interval of that level (2.26 for 9 degrees, 95 %)."""
    # Imported late: it takes a second, and not every command needs it.
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, degrees_of_freedom))
