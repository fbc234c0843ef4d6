"""Measured tables and figures in a Markdown page, between marks."""

from __future__ import annotations

import os
from pathlib import Path

from lifelog.errors import UserError


def fill(page: str, name: str, text: str) -> str:
    """The page with `text` in place of what stands between the marks of `name`.

    UserError where it does not have both, in this order.
    """
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise UserError(f"the page needs the lines {first} and {last}, in this order")
    return f"{before}{first}\n{text.strip()}\n{last}{after}"


def check_marks(page: Path | None, name: str) -> None:
    """UserError where `write_page` could not fill these marks; to be known before a long measurement."""
    if page is not None:
        try:
            fill(page.read_text("utf-8"), name, "")
        except OSError as error:
            raise UserError(f"{page} cannot be read: {error.strerror}") from None


def write_page(page: Path, name: str, text: str) -> None:
    """Fill the page's file, whole or not at all; UserError as `fill`, or where it cannot be read."""
    try:
        filled = fill(page.read_text("utf-8"), name, text)
    except OSError as error:
        raise UserError(f"{page} cannot be read: {error.strerror}") from None
    temporary = page.with_name(f".{page.name}.{os.getpid()}")
    temporary.write_text(filled, encoding="utf-8")
    temporary.replace(page)
