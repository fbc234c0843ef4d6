"""The error that is the user's to mend, and what is kept of others."""

from __future__ import annotations

import tempfile
import traceback


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
