"""Bring what a run left on a node to the control node: pack it there, unpack it here."""

from __future__ import annotations

import tarfile
from pathlib import Path

from lifelog.errors import UserError
from lifelog.node.sampler import METRICS_FILE, end_sampling

TAIL_BYTES = 512 * 1024
# Spark's copy of what it has processed: large, and of no use once the run is over.
_LEFT_OUT = ("checkpoint",)


def pack(output: Path, host: str, run: Path | None, logs: list[tuple[str, Path]]) -> None:
    """Write `output` (tar, gzip) with the run directory's files and the last part of each log.

    The run's sampler, if there is one, is ended first: a run that is packed is over. `logs`: (name,
    path of a file or of a directory of logs); a path that is not there is left out.
    """
    if run is not None and run.is_dir():
        end_sampling(run)
    with tarfile.open(output, "w:gz", compresslevel=1) as archive:
        if run is not None and run.is_dir():
            for file in sorted(run.rglob("*")):
                relative = file.relative_to(run)
                if file.is_file() and relative.parts[0] not in _LEFT_OUT and file != output:
                    archive.add(file, _place(relative, host))
        for name, path in logs:
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in files:
                if file.is_file() and file.suffix not in (".jar", ".tgz"):
                    label = name if file == path else f"{name}/{file.relative_to(path)}"
                    _add_tail(archive, file, f"logs/{host}/{label}")


def _place(relative: Path, host: str) -> str:
    """Where a file of the run directory goes: results by kind, all else under its host's name."""
    if relative.parts[0] == "consumer":
        return str(relative)
    if relative.name.startswith("producer-") and relative.suffix == ".json":
        return f"producers/{relative.name}"
    if str(relative) == METRICS_FILE:
        return f"metrics/{host}.jsonl"
    return f"logs/{host}/{relative}"


def _add_tail(archive: tarfile.TarFile, file: Path, name: str) -> None:
    import io

    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - TAIL_BYTES))
        content = log.read()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mtime = int(file.stat().st_mtime)
    archive.addfile(entry, io.BytesIO(content))


def unpack(directory: Path) -> None:
    """Unpack every `*.tgz` in `directory` there, and remove it."""
    for archive in sorted(directory.glob("*.tgz")):
        try:
            with tarfile.open(archive) as content:
                content.extractall(directory, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UserError(
                f"{archive.name}: the results of this node did not arrive whole ({error}): "
                "look for a full disk on the control node and run the experiment again"
            ) from error
        archive.unlink()
