"""Which directories of a machine are the testbed's own: each that it makes holds a mark, or lies in one that does."""

from __future__ import annotations

import os

MARK = ".lifelog-testbed"
TEXT = "Made by the lifelog testbed; playbooks/reset.yml removes this directory.\n"


def marked(path: str) -> bool:
    """Whether the directory, or one that it lies in, has the mark."""
    path = os.path.abspath(path)
    while path != "/":
        if os.path.exists(os.path.join(path, MARK)):
            return True
        path = os.path.dirname(path)
    return False


def foreign_files(path: str) -> list[str]:
    """What a directory without the mark holds; a new file system holds lost+found."""
    if not os.path.isdir(path) or marked(path):
        return []
    try:
        return sorted(set(os.listdir(path)) - {"lost+found"})
    except PermissionError:
        return ["files of others"]
