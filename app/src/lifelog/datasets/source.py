"""Where a dataset's files come from: a directory, or a URL whose files are fetched once and kept."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lifelog.errors import UserError

TIMEOUT_S = 30.0
SHOW_EVERY_S = 2.0
_BLOCK_BYTES = 1 << 20
_ABSENT = (404, 410)


def _quiet(_line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Source:
    """`location`: a directory, a file:, http: or https: URL of one, or none.

    `sha256`: of the whole dataset, where the user names it. `cache`: directory that keeps what is
    fetched. `show` takes lines of progress.
    """

    location: str | None = None
    sha256: str | None = None
    cache: Path | None = None
    show: Callable[[str], None] = _quiet

    @property
    def is_url(self) -> bool:
        """Whether files are fetched."""
        return (self.location or "").lower().startswith(("http://", "https://"))

    def directory(self) -> Path:
        """The directory itself; UserError where there is none."""
        if not self.location:
            raise UserError("dataset_source: name the directory of the dataset")
        if self.is_url:
            raise UserError(
                f"dataset_source: {self.location}: this dataset is read from a directory: fetch it "
                "and give its directory"
            )
        location = self.location
        if location.lower().startswith("file:"):
            location = urllib.request.url2pathname(urllib.parse.urlsplit(location).path)
        path = Path(location).expanduser()
        if not path.is_dir():
            raise UserError(f"dataset_source: {path} is not a directory: name the dataset's own")
        return path

    def file(self, name: str, sha256: str | None = None) -> Path | None:
        """The path of one of its files, fetched where need be; None where the source lacks it.

        `sha256`: what a fetched file must hash to, unless the user named the dataset's own hash. A
        file in a directory is the user's and taken as it is. UserError where it cannot be had.
        """
        if not self.is_url:
            path = self.directory() / name
            return path if path.exists() else None
        base = (self.location or "").rstrip("/")
        url = f"{base}/{urllib.parse.quote(name)}"
        cache = self.cache or Path(tempfile.mkdtemp(prefix="lifelog-"))
        folder = cache / hashlib.sha256(base.encode()).hexdigest()[:16]
        path, expected = folder / name, None if self.sha256 else sha256
        if path.exists() and expected in (None, _hash(path)):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{name}.{os.getpid()}"
        try:
            if not self._fetch(url, partial):
                return None
            if expected not in (None, found := _hash(partial)):
                raise UserError(
                    f"dataset_source: {url} has the sha256 {found}, and the known one is "
                    f"{expected}: use another source, or set dataset_sha256 to accept other data"
                )
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def _fetch(self, url: str, target: Path) -> bool:
        """Write what the URL holds; False where the server has no such file."""
        try:
            with (
                urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer,
                target.open("wb") as out,
            ):
                total = int(answer.headers.get("Content-Length") or 0)
                shown = time.monotonic()
                while block := answer.read(_BLOCK_BYTES):
                    out.write(block)
                    if time.monotonic() - shown > SHOW_EVERY_S:
                        shown = time.monotonic()
                        of = f" of {total / 1e6:.0f}" if total else ""
                        self.show(f"fetching {url}: {out.tell() / 1e6:.0f}{of} MB")
                if total and out.tell() != total:
                    raise OSError(f"it ended after {out.tell()} of {total} bytes")
        except urllib.error.HTTPError as error:
            if error.code in _ABSENT:
                return False
            raise _unreachable(url, f"HTTP status {error.code}") from None
        except urllib.error.URLError as error:
            raise _unreachable(url, str(error.reason)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _unreachable(url, str(error) or type(error).__name__) from None
        return True


def _unreachable(url: str, reason: str) -> UserError:
    return UserError(
        f"dataset_source: {url} cannot be fetched ({reason}): check the address and the network, "
        "or fetch the files by hand and give their directory"
    )


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
