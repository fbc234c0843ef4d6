"""YAML files that people write: plain values, and the line of each for the error text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lifelog.errors import UserError, nearest


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping read from a file: `plain` values, and where each of them stands."""

    path: Path
    plain: dict[str, Any]
    _marked: Any

    def line(self, place: tuple[Any, ...]) -> int:
        """Line (from 1) of a key or item; of the nearest thing around it where it is not there."""
        node, line = self._marked, 0
        for step in place:
            try:
                if isinstance(node, CommentedMap):
                    line = node.lc.key(step)[0]
                elif isinstance(node, CommentedSeq):
                    line = node.lc.item(step)[0]
                else:
                    break
                node = node[step]
            except (KeyError, IndexError, TypeError):
                break
        return int(line) + 1

    def fault(self, place: tuple[Any, ...], text: str, key: str | None = None) -> UserError:
        """The error `file:line: key: text`; the key is the last step of the place by default."""
        names = [str(step) for step in place if isinstance(step, str)]
        name = key or (names[-1] if names else None)
        return UserError(f"{self.path}:{self.line(place)}: {f'{name}: ' if name else ''}{text}")


def load_document(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping; UserError with its line where it is not."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        others = sorted(other.stem for other in path.parent.glob("*.yml"))
        raise UserError(f"{path}: there is no such file{nearest(path.stem, others)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    try:
        marked = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = str(error.problem).partition(" with value")[0]
        raise UserError(f"{path}:{line}: {problem}: keep one of them") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(marked, CommentedMap):
        raise UserError(f"{path}:1: write keys and values (title: ..., question: ..., ...)")
    document = Document(path, {}, marked)
    return Document(path, _plain(document, marked, ()), marked)


def _plain(document: Document, node: Any, place: tuple[Any, ...]) -> Any:
    if isinstance(node, CommentedMap):
        for key in node:
            if not isinstance(key, str):
                raise document.fault((*place, key), f"{key}: a key must be text")
        return {key: _plain(document, value, (*place, key)) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(document, value, (*place, at)) for at, value in enumerate(node)]
    return _scalar(node)


def _scalar(value: Any) -> Any:
    # ruamel's scalars remember how they were written; plain ones print and compare as expected.
    for kind in (str, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value


def parse_scalar(text: str) -> Any:
    """A scalar as YAML reads it: 4, 0.5, true, null, some text."""
    try:
        value = YAML(typ="rt").load(text)
    except YAMLError:
        return text
    return text if isinstance(value, (CommentedMap, CommentedSeq)) else _scalar(value)
