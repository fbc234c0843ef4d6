"""What experiments name: one of ours by its name, or a user's own as "package.module:name"."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifelog.errors import UserError, brief, keep_traceback, nearest

HOW_TO_ADD = "docs/extend.md says how to add your own"


def find(kind: str, name: str, known: Mapping[str, str]) -> Any:
    """The callable that a dataset, model or engine `name` stands for.

    `known`: import paths by name. UserError where there is none, or its module cannot be imported.
    """
    path, attribute = _split(kind, name, known)
    try:
        module = importlib.import_module(path)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, path):
            raise _missing(kind, name, path) from None
        raise UserError(
            f"{kind} {name}: importing {path} failed ({brief(error)}): mend that module, or what it "
            "needs"
        ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        there = [
            other
            for other, value in vars(module).items()
            if callable(value) and not other.startswith("_")
        ]
        hint = nearest(attribute, there).partition(";")[0]
        raise UserError(f"{kind} {name}: {path} has no callable {attribute!r}{hint}; {HOW_TO_ADD}")
    return found


def make(kind: str, name: str, known: Mapping[str, str], *arguments: Any) -> Any:
    """What the callable that `name` stands for returns.

    UserError as of `find`, and where a callable of the user's own fails; the traceback is in the
    file that it names.
    """
    function = find(kind, name, known)
    try:
        return function(*arguments)
    except Exception as error:
        if name in known or isinstance(error, UserError):
            raise
        raise UserError(
            f"{kind} {name}: it failed ({brief(error)}): mend it; the traceback is in "
            f"{keep_traceback(error)}"
        ) from error


def source_sha256(kind: str, name: str, known: Mapping[str, str]) -> str:
    """Hash of the source of the module that `name` stands for, which is not imported for it.

    UserError where there is none.
    """
    path, _ = _split(kind, name, known)
    try:
        spec = importlib.util.find_spec(path)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.origin:
        raise _missing(kind, name, path)
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def file_label(name: str) -> str:
    """The name as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)


def _split(kind: str, name: str, known: Mapping[str, str]) -> tuple[str, str]:
    """Module and attribute."""
    path, _, attribute = known.get(name, name).partition(":")
    if not all(part.isidentifier() for part in [*path.split("."), attribute]):
        raise UserError(
            f"there is no {kind} {name!r}{nearest(name, list(known))}, "
            'or your own as "package.module:name"'
        )
    return path, attribute


def _is_part(name: str | None, path: str) -> bool:
    return bool(name) and f"{path}.".startswith(f"{name}.")


def _missing(kind: str, name: str, path: str) -> UserError:
    return UserError(
        f"{kind} {name}: there is no module {path}: put it into extensions/ and run "
        f"playbooks/app.yml; {HOW_TO_ADD}"
    )
