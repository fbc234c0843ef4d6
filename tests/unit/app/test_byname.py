"""What a name stands for, and what is said where it stands for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelog.byname import file_label, find, make, source_sha256
from lifelog.errors import UserError

KNOWN = {"dumps": "json:dumps"}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the user's, of a name of this test's own."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "good.py").write_text("number = 1\n\ndef load(source):\n    return source\n")
    (package / "broken.py").write_text("import no_such_library\n")
    (package / "failing.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    return package


def test_a_name_and_an_import_path_are_found(own: Path) -> None:
    import json

    assert find("model", "dumps", KNOWN) is json.dumps
    assert find("model", f"{own.name}.good:load", KNOWN)(3) == 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dump", "there is no model 'dump': did you mean dumps"),
        ("{own}.good", "there is no model"),
        ("{own}.good:", "there is no model"),
        ("{own}.good:load()", "there is no model"),
        ("no_such_package.x:y", "there is no module no_such_package.x: put it into extensions/"),
        ("{own}.goo:load", r"there is no module \w+.goo: put it into extensions/"),
        ("{own}.good:laod", r"has no callable 'laod': did you mean load; docs/extend\.md"),
        ("{own}.good:__name__", "has no callable"),
        ("{own}.good:number", r"has no callable 'number'; docs/extend\.md"),
        ("{own}.broken:x", r"importing \w+\.broken failed \(ModuleNotFoundError: No module named"),
        ("{own}.failing:x", r"importing \w+\.failing failed \(ZeroDivisionError: division by zero"),
    ],
)
def test_each_fault_of_a_name_is_one_sentence(own: Path, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        find("model", name.format(own=own.name), KNOWN)
    assert "\n" not in str(caught.value)


def test_the_hash_of_a_module_follows_its_source_without_importing_it(own: Path) -> None:
    name = f"{own.name}.failing:x"
    first = source_sha256("model", name, KNOWN)
    assert source_sha256("model", name, KNOWN) == first
    (own / "failing.py").write_text("2 / 0\n")
    assert source_sha256("model", name, KNOWN) != first
    for missing in ("no_such_package.x:y", f"{own.name}.nothing:y"):
        with pytest.raises(UserError, match="there is no module"):
            source_sha256("model", missing, KNOWN)


def test_a_name_becomes_part_of_a_file_name() -> None:
    assert file_label("mylab.linear:make") == "mylab-linear-make"
    assert file_label("mnist-t10k") == "mnist-t10k"


def test_a_callable_of_ones_own_that_fails_is_named_with_its_traceback(own: Path) -> None:
    (own / "raising.py").write_text("def load(source):\n    return source['absent']\n")
    with pytest.raises(UserError) as caught:
        make("dataset", f"{own.name}.raising:load", KNOWN, {})
    text = str(caught.value)
    assert f"dataset {own.name}.raising:load: it failed (KeyError: 'absent'): mend it" in text
    assert "raising.py" in Path(text.rpartition(" ")[2]).read_text("utf-8")
    with pytest.raises(TypeError):
        make("model", "dumps", KNOWN)
