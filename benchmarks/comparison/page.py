"""Table and figure in a Markdown page, between markers."""

from __future__ import annotations

import os
from pathlib import Path

from lifelog.errors import UserError

BEGIN, END = "<!-- peers -->", "<!-- /peers -->"


def fill(page: str, text: str) -> str:
    """The page with `text` in place of what stands between its markers.

    UserError where it does not have both, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"the page needs the lines {BEGIN} and {END}, in this order")
    return f"{before}{BEGIN}\n{text.strip()}\n{END}{after}"


def write_page(page: Path, text: str) -> None:
    """Fill the page's file, whole or not at all; UserError as `fill`."""
    filled = fill(page.read_text("utf-8"), text)
    temporary = page.with_name(f".{page.name}.{os.getpid()}")
    temporary.write_text(filled, encoding="utf-8")
    temporary.replace(page)
