"""A user's own packages in the app's wheel: what travels, what is refused, and docs/extend.md to the letter."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from artifact_keys import keys
from build import build_app, own_extensions

PROJECT = Path(__file__).resolve().parents[3]
APP = PROJECT / "app"
# A file that the page tells to write: its name ends the paragraph before the block.
BLOCK = re.compile(
    r"`((?:extensions|experiments)/[^`]+)`[^`]*?:\n\n```(?:python|yaml)\n(.*?)```", re.S
)


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_key_of_the_app_follows_the_extensions(tmp_path: Path) -> None:
    own = tmp_path / "extensions"
    first = keys(APP)["app"]
    assert keys(APP, own)["app"] == first
    write(own / "README.md", "for people")
    assert keys(APP, own)["app"] == first
    write(own / "mylab/__init__.py")
    second = keys(APP, own)["app"]
    write(own / "mylab/data.json", "1")
    third = keys(APP, own)["app"]
    write(own / "mylab/__pycache__/x.pyc", "1")
    assert len({first, second, third}) == 3
    assert keys(APP, own)["app"] == third


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lifelog/__init__.py", "the name of another package"),
        ("numpy/__init__.py", "the name of another package"),
        ("ruamel_yaml.py", "the name of another package"),
        ("json.py", "the name of another package"),
        ("my-lab/__init__.py", "none that Python can import"),
        ("mylab/stripes.py", r"a package needs an __init__\.py"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    write(tmp_path / name)
    with pytest.raises(SystemExit, match=sentence):
        own_extensions(tmp_path, APP)


def test_what_is_no_package_stays_behind(tmp_path: Path) -> None:
    for name in ("README.md", ".git/x.py", "_old/__init__.py", "notes/text.txt", "one.py"):
        write(tmp_path / name)
    write(tmp_path / "two/__init__.py")
    assert [path.name for path in own_extensions(tmp_path, APP)] == ["one.py", "two"]
    assert own_extensions(tmp_path / "nowhere", APP) == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of docs/extend.md and a module of its own, and the wheel unpacked as `site`."""
    folder = tmp_path_factory.mktemp("built")
    page = (PROJECT / "docs/extend.md").read_text(encoding="utf-8")
    for name, text in BLOCK.findall(page):
        write(folder / name, text)
    write(folder / "extensions/alone.py", "VALUE = 3\n")
    write(folder / "extensions/mylab/table.json", "{}")
    temporary = os.environ.get("TMPDIR")
    build_app(folder / "wheel", APP, folder / "extensions")
    # The builder points it into a directory that it removes.
    os.environ.pop("TMPDIR") if temporary is None else os.environ.update(TMPDIR=temporary)
    (wheel,) = (folder / "wheel").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder


def lifelog(built: Path, *words: str | Path, code: str | None = None) -> str:
    """Output of the installed package's command, or of Python code beside it."""
    what = ["-c", code] if code else ["-m", "lifelog"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *what, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=built,
        env={**os.environ, "PYTHONPATH": str(built / "site")},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_packages_modules_and_their_data_are_in_the_wheel(built: Path) -> None:
    site = {path.name for path in (built / "site").iterdir() if path.suffix != ".dist-info"}
    assert site == {"lifelog", "mylab", "alone.py"}
    assert (built / "site/mylab/table.json").exists()
    assert (built / "site/lifelog/datasets/data/mnist-t10k/t10k-images-idx3-ubyte.gz").exists()


def test_the_page_is_right_to_the_letter(built: Path) -> None:
    assert {path.name for path in (built / "extensions/mylab").glob("*.py")} == {
        "__init__.py",
        "stripes.py",
        "linear.py",
        "plain.py",
    }
    shown = lifelog(built, "experiments", "mylab")
    assert "engine=mylab.plain:PlainEngine" in shown
    printed = lifelog(built, "prepare", "--experiment", "mylab", "--bundles", built / "bundles")
    (bundle,) = json.loads(printed.splitlines()[-1])
    assert bundle["dataset"]["name"] == "mylab.stripes:load"
    assert bundle["model"]["offline_accuracy"] == 1
    # What a node does, with each engine that the experiment names.
    code = """
import json, sys
import numpy as np
from lifelog.consumer.worker import Work, Worker
from lifelog.record import KEY_DTYPE
dataset, model = sys.argv[1:]
for engine in ("chainer", "onnxruntime", "mylab.plain:PlainEngine"):
    worker = Worker(Work(dataset, model, "uint8", engine, 200, 5.0))
    raw = np.load(dataset)["images"].reshape(200, -1)
    keys = np.zeros(200, KEY_DTYPE)
    keys["index"] = np.arange(200)
    (row,) = worker.rows(raw, keys, 1, None, infer=True)
    print(worker.engine.name, row["correct"], row["wrong"], row["damaged"])
"""
    files = [built / "bundles" / bundle[key] for key in ("dataset_file", "model_file")]
    assert lifelog(built, *files, code=code).splitlines() == [
        "chainer 200 0 0",
        "onnxruntime 200 0 0",
        "plain 200 0 0",
    ]
