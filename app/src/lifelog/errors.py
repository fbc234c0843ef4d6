"""The error that is the user's to mend, and what is kept of others."""

from __future__ import annotations

import difflib
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any


class UserError(Exception):
    """A fault in what the user gave; the message is one sentence that says what to change."""


def brief(error: Exception) -> str:
    """Kind of an error and the first line of its message."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0].strip()}"


def keep_traceback(error: Exception) -> str:
    """Write the traceback to a file of its own; returns its name."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="lifelog-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write("".join(traceback.format_exception(error)))
    return log.name


def nearest(name: Any, known: Sequence[str]) -> str:
    """The tail of an error text: what was probably meant, and what there is."""
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f": did you mean {close[0]}" if close else ""
    return f"{hint}; there is {', '.join(known)}" if known else hint
