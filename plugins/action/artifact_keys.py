"""Names what is deployed by the hash of its content; sets the fact ``lifelog_keys``. Reads, writes nothing."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

from ansible.plugins.action import ActionBase


def content_hash(root: Path, files: list[Path]) -> str:
    """A hash over names and contents, whatever the order of the files."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(str(file.relative_to(root)).encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def source_files(folder: Path) -> list[Path]:
    """What is deployed of a folder."""
    return [
        file
        for file in folder.rglob("*")
        if file.is_file()
        and "__pycache__" not in file.parts
        and ".egg-info" not in str(file)
        # Caches of linters are hidden folders.
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def app_key(app: Path, extensions: Path | None) -> str:
    """The key of the app's sources with the user's extensions."""
    key = content_hash(app, [*source_files(app / "src"), app / "pyproject.toml"])
    if extensions is None:
        return key
    # Beside the packages there may be a text for people.
    own = [f for f in source_files(extensions) if f.parent != extensions or f.suffix == ".py"]
    if not own:
        return key
    return hashlib.sha256((key + content_hash(extensions, own)).encode()).hexdigest()[:16]


def keys(app: Path, extensions: Path | None = None) -> dict[str, object]:
    """The keys of the app's sources, of each lock, and the wheels that are built from sources."""
    locks = app / "locks"
    return {
        "app": app_key(app, extensions),
        "tools": content_hash(app, [locks / "bootstrap.txt"]),
        "sdists": content_hash(app, [locks / "sdists.txt"]),
        "locks": {
            f"{file.stem[2]}.{file.stem[3:]}": content_hash(app, [file, locks / "sdists.txt"])
            for file in locks.glob("py3*.txt")
        },
    }


def minor_of(python: str) -> str:
    """The minor version of an interpreter, such as "3.11"."""
    if python == sys.executable:
        return ".".join(platform.python_version_tuple()[:2])
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


class ActionModule(ActionBase):
    """``artifact_keys: {app: DIRECTORY, extensions: DIRECTORY, python: PATH}``"""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        found = keys(Path(self._task.args["app"]), Path(self._task.args["extensions"]))
        found["control"] = {
            "minor": minor_of(self._task.args["python"]),
            "architecture": platform.machine(),
        }
        return {"changed": False, "ansible_facts": {"lifelog_keys": found}}
