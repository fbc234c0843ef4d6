"""Fills the control node's cache: one step a call, each complete or not there at all.

Runs with the control node's Python alone, then with the environment made by ``tools``; standard library only. A step
works in a directory of its own and renames it at the end, so a broken download leaves nothing that looks finished.
Two playbooks may fill one cache: whoever comes second waits, and finds the step done.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path

# Newest first is not needed: pip takes the best tag that a file has.
MANYLINUX = ("2_28", "2_27", "2_24", "2_17", "2014", "2_12", "2010", "2_5", "1")


def run(*words: str | Path, cwd: Path | None = None, **environment: str) -> None:
    """Runs a command; ends this program with its status when it fails."""
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)


def pip(*words: str | Path) -> None:
    """Runs the pip of the environment that runs this program."""
    run(sys.executable, "-m", "pip", *words, "--quiet", "--disable-pip-version-check", "--no-input")


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if sys.version_info >= (3, 11)
            else _sha256(file)
        )


def _sha256(file) -> str:  # type: ignore[no-untyped-def]
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def atomically(target: Path, fill: Callable[[Path], None]) -> None:
    """Fills ``target`` by way of a directory beside it; does nothing where the target is there."""
    if target.exists():
        return
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # Temporary files below it too: its size is the progress, and its file system is known to have room.
    temporary = partial / "tmp"
    temporary.mkdir(parents=True)
    os.environ["TMPDIR"] = str(temporary)
    fill(partial)
    shutil.rmtree(temporary, ignore_errors=True)
    partial.rename(target)


def make_tools(target: Path, lock: Path) -> None:
    """The environment that builds and installs everything else: uv, setuptools, wheel, pbr."""
    if (target / ".complete").exists():
        return
    shutil.rmtree(target, ignore_errors=True)
    venv.create(target, with_pip=True, symlinks=True)
    python = target / "bin" / "python"
    run(
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
        "--require-hashes", "--no-deps", "-r", lock,
    )  # fmt: skip
    (target / ".complete").touch()


def fetch_sdists(target: Path, lock: Path) -> None:
    """What is published as source only, and Apache Ivy out of PySpark's archive."""

    def fill(folder: Path) -> None:
        pip(
            "download",
            "--require-hashes",
            "--no-deps",
            "--no-build-isolation",
            "-r",
            lock,
            "-d",
            folder,
        )
        (archive,) = folder.glob("pyspark-*.tar.gz")
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if name.startswith("ivy-") and name.endswith(".jar"):
                    source = tar.extractfile(member)
                    assert source is not None
                    with source, (folder / "ivy.jar").open("wb") as out:
                        shutil.copyfileobj(source, out)
                    return
        sys.exit("PySpark's archive has no Apache Ivy")

    atomically(target, fill)


def fetch_wheelhouse(target: Path, lock: Path, minor: str, architecture: str) -> None:
    """Every wheel of the lock for one Python minor version, verified by its hash."""
    tag = "cp" + minor.replace(".", "")
    platforms = [
        f"--platform=manylinux{version if '_' not in version else '_' + version}_{architecture}"
        for version in MANYLINUX
    ]

    def fill(folder: Path) -> None:
        pip(
            "download", "--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version", minor, "--implementation", "cp",
            *platforms, f"--platform=linux_{architecture}", "--abi", tag, "--abi", "abi3", "--abi", "none", "-r", lock, "-d", folder,
        )  # fmt: skip

    atomically(target, fill)


def build_wheels(target: Path, sdists: Path) -> None:
    """Wheels of the sources, the same for every Python 3, with a manifest of their hashes."""

    def fill(folder: Path) -> None:
        archives = sorted(sdists.glob("*.tar.gz"))
        pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, *archives)
        wheels = sorted(folder.glob("*.whl"))
        impure = [
            wheel.name
            for wheel in wheels
            if not wheel.name.endswith(("-py3-none-any.whl", ".py3-none-any.whl"))
        ]
        if impure or len(wheels) != len(archives):
            sys.exit(
                f"not one pure wheel for each source archive: {impure or [wheel.name for wheel in wheels]}"
            )
        manifest = {wheel.name: sha256(wheel) for wheel in wheels}
        (folder / "manifest.json").write_text(
            json.dumps(manifest, indent=1) + "\n", encoding="utf-8"
        )

    atomically(target, fill)


def fetch_jars(target: Path, ivy: Path, java: str, jars: list[dict[str, str]]) -> None:
    """The listed jars, by Ivy and verified. The list is complete, so no description of a module is resolved."""
    lines = "".join(
        f'<dependency org="{jar["org"]}" name="{jar["name"]}" rev="{jar["rev"]}" transitive="false"/>'
        for jar in jars
    )
    resolver = (
        '<resolvers><ibiblio name="central" m2compatible="true" usepoms="false"/></resolvers>'
    )

    def fill(folder: Path) -> None:
        work = folder / "ivy"
        work.mkdir()
        settings, module = work / "settings.xml", work / "ivy.xml"
        settings.write_text(
            f'<ivysettings><settings defaultResolver="central"/>{resolver}</ivysettings>',
            encoding="utf-8",
        )
        module.write_text(
            f'<ivy-module version="2.0"><info organisation="lifelog" module="jars"/><dependencies>{lines}</dependencies></ivy-module>',
            encoding="utf-8",
        )
        run(
            java, "-jar", ivy, "-settings", settings, "-ivy", module, "-cache", work / "cache",
            "-retrieve", folder / "[artifact]-[revision].[ext]", cwd=work,
        )  # fmt: skip
        for jar in jars:
            path = folder / f"{jar['name']}-{jar['rev']}.jar"
            if not path.exists() or sha256(path) != jar["sha256"]:
                sys.exit(f"{path.name} is missing or is not the file that its SHA-256 names")
        shutil.rmtree(work)

    atomically(target, fill)


def own_extensions(extensions: Path, app: Path) -> list[Path]:
    """The user's own packages and modules; ends this program where one would hide another's."""
    found = [
        path
        for path in sorted(extensions.glob("[!._]*"))
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    ]
    locked = {
        line.partition("==")[0].lower().replace("-", "_")
        for lock in (app / "locks").glob("*.txt")
        for line in lock.read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    taken = {"lifelog"} | set(sys.stdlib_module_names) | locked
    for path in found:
        if not path.stem.isidentifier() or path.stem.lower() in taken:
            sys.exit(
                f"{path}: {path.stem} is the name of another package, or none that Python can import: choose another"
            )
        if path.is_dir() and not (path / "__init__.py").is_file():
            sys.exit(f"{path}: a package needs an __init__.py, if only an empty one: add it")
    return found


def build_app(target: Path, app: Path, extensions: Path | None) -> None:
    """Our own wheel with the user's extensions, built from a copy: the checkout stays as it is."""
    own = own_extensions(extensions, app) if extensions else []

    def fill(folder: Path) -> None:
        copy = folder / "source"
        shutil.copytree(
            app / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
        shutil.copy(app / "pyproject.toml", copy)
        for path in own:
            if path.is_dir():
                shutil.copytree(
                    path, copy / "src" / path.name, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(path, copy / "src")
        modules = [path.stem for path in own if path.is_file()]
        with (copy / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(f"\n[tool.setuptools]\npy-modules = {json.dumps(modules)}\n")
        pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, copy)
        shutil.rmtree(copy)

    atomically(target, fill)


def make_control(target: Path, cache: Path, app: Path, wheels: list[Path], key: str) -> None:
    """The control node's own environment: the app's dependencies with the extras report and train."""
    uv = Path(sys.executable).with_name("uv")
    if not (target / f".complete-{key}").exists():
        shutil.rmtree(target, ignore_errors=True)
        run(uv, "venv", "--quiet", "--offline", "--python", sys.executable, target)
        links = [f"--find-links={folder}" for folder in wheels]
        run(
            uv, "pip", "install", "--quiet", "--offline", "--no-index", *links, "--python", target / "bin" / "python",
            "-r", app / "pyproject.toml", "--extra=report", "--extra=train", UV_CACHE_DIR=str(cache / "uv"),
        )  # fmt: skip
        (target / f".complete-{key}").touch()


def install_app(target: Path, wheel: Path, key: str) -> None:
    """Our own wheel into an environment, in place of an earlier one."""
    for marker in target.glob(".app-*"):
        marker.unlink()
    (file,) = wheel.glob("*.whl")
    uv = Path(sys.executable).with_name("uv")
    run(
        uv, "pip", "install", "--quiet", "--offline", "--no-index", "--no-deps", "--reinstall", "--no-cache",
        "--python", target / "bin" / "python", file,
    )  # fmt: skip
    (target / f".app-{key}").touch()


def main() -> int:
    """Does the step named on the command line."""
    # Whatever a step started ends with it.
    signal.signal(
        signal.SIGTERM,
        lambda *_: os.killpg(0, signal.SIGKILL) if os.getpid() == os.getpgrp() else sys.exit(1),
    )
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step")
    parser.add_argument("target", type=Path)
    for name in ("lock", "sdists", "ivy", "app", "extensions", "cache", "wheel"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--wheels", type=Path, action="append")
    for name in ("minor", "architecture", "java", "jars", "key"):
        parser.add_argument(f"--{name}")
    args = parser.parse_args()
    own: dict[str, Callable[[], None]] = {
        "control": lambda: make_control(args.target, args.cache, args.app, args.wheels, args.key),
        "install-app": lambda: install_app(args.target, args.wheel, args.key),
    }
    if args.step in own:
        own[args.step]()
        return 0
    shared: dict[str, Callable[[], None]] = {
        "tools": lambda: make_tools(args.target, args.lock),
        "sdists": lambda: fetch_sdists(args.target, args.lock),
        "wheelhouse": lambda: fetch_wheelhouse(
            args.target, args.lock, args.minor, args.architecture
        ),
        "wheels": lambda: build_wheels(args.target, args.sdists),
        "jars": lambda: fetch_jars(args.target, args.ivy, args.java, json.loads(args.jars)),
        "app": lambda: build_app(args.target, args.app, args.extensions),
    }
    args.target.parent.mkdir(parents=True, exist_ok=True)
    with args.target.with_name(f".{args.target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shared[args.step]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
