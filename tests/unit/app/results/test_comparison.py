"""Two experiments side by side: right ratios, and no silence on what differs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import SyntheticResults, dump, edit

from lifelog.cli import main
from lifelog.errors import UserError
from lifelog.results.comparison import Comparison, compare, load_side
from lifelog.results.directory import read_results
from lifelog.results.summary import summarise
from lifelog.stats.runs import ratio_interval


def write(results: Path, name: str, rates: Callable[[dict[str, Any]], float], **own: Any) -> Path:
    factors = own.pop("factors", {"brokers": [1, 2], "workers": [1, 2]})
    return SyntheticResults(name, f"Title of {name}", factors, None, rates, **own).write(results)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a, and b: the same with one broker, half as fast again with two, and a point of its own."""
    results = tmp_path_factory.mktemp("results")
    write(results, "a", lambda own: 1000.0 * own["workers"], seed=1)
    shutil.rmtree(results / "origin")
    write(
        results, "b", lambda own: 1000.0 * own["workers"] * (1 + (own["brokers"] > 1) / 2),
        factors={"brokers": [1, 2, 4], "workers": [1, 2]}, seed=2,
    )  # fmt: skip
    shutil.rmtree(results / "origin")
    return results


@pytest.fixture
def copied(results: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(results, tmp_path / "results"))


def of(first: Path | str, second: Path | str) -> Comparison:
    return compare(load_side(str(first)), load_side(str(second)))


def change(directory: Path, apply: Callable[[dict[str, Any]], None]) -> None:
    for path in directory.glob("*/run.json"):
        run = json.loads(path.read_text("utf-8"))
        apply(run)
        dump(path, run)


def test_ratios_are_those_of_the_runs(results: Path) -> None:
    found = of(results / "a", results / "b")
    verdicts = {pair.point: pair.verdict for pair in found.pairs}
    assert verdicts["b2-w1"] == verdicts["b2-w2"] == "faster"
    assert verdicts["b1-w1"] == verdicts["b1-w2"] == "no difference shown"
    rates = {
        name: [
            run["throughput_images_per_s"]
            for run in read_results(results / name).runs
            if run["point"] == "b2-w1"
        ]
        for name in "ab"
    }
    pair = next(pair for pair in found.pairs if pair.point == "b2-w1")
    assert pair.ratio == ratio_interval(rates["a"], rates["b"])
    assert pair.ratio is not None
    assert pair.ratio.ratio == pytest.approx(1.5, rel=0.05)
    assert pair.runs == (5, 5)
    assert (found.only_first, found.only_second) == ((), ("b4-w1", "b4-w2"))
    assert found.differences == ()
    turned = of(results / "b", results / "a")
    assert {pair.verdict for pair in turned.pairs if "b2" in pair.point} == {"slower"}


def test_invalid_runs_are_in_no_ratio(copied: Path) -> None:
    edit(copied / "a/b2-w1-r01-a01", valid=False, throughput_images_per_s=9e9)
    pair = next(p for p in of(copied / "a", copied / "b").pairs if p.point == "b2-w1")
    assert pair.runs == (4, 5)
    assert max(pair.first) < 2000
    assert any("fewer than 5 runs" in text for text in of(copied / "a", copied / "b").remarks)


def test_a_point_without_valid_runs_has_no_ratio(copied: Path) -> None:
    for run in (copied / "a").glob("b2-w1-*"):
        edit(run, valid=False)
    pair = next(p for p in of(copied / "a", copied / "b").pairs if p.point == "b2-w1")
    assert (pair.ratio, pair.verdict) == (None, "no valid run")


def test_one_run_or_a_short_one_has_no_interval(copied: Path) -> None:
    for run in (copied / "a").glob("*-r0[2-5]-*"):
        shutil.rmtree(run)
    for pair in of(copied / "a", copied / "b").pairs:
        assert pair.ratio is not None
        assert (pair.ratio.ci95, pair.verdict) == (None, "one run: no interval")
    change(copied / "b", lambda run: run["labels"].append("short"))
    for pair in of(copied / "b", copied / "b").pairs:
        assert pair.ratio is not None
        assert (pair.ratio.ci95, pair.verdict) == (None, "short: no interval")


def test_what_differs_is_said(copied: Path) -> None:
    def other(run: dict[str, Any]) -> None:
        run["settings"]["partitions"] = 32
        run["labels"].append("reduced")
        record = run["provenance"]
        record["versions"]["pyspark"] = "5"
        record["hashes"]["model"] = "f" * 64
        for facts in record["hosts"].values():
            facts["cpu_model"] = "Z80"
            facts["machine_id"] = "the only one"

    change(copied / "b", other)
    assert of(copied / "a", copied / "b").differences == (
        "machines: 4 against 1",
        "processor: A against Z80",
        "version of pyspark: 4 against 5",
        "model (SHA-256): b against ffffffffffff...",
        "setting partitions: 4 against 32",
        "labels: none against reduced",
    )


def test_what_was_not_recorded_is_said(copied: Path) -> None:
    change(copied / "b", lambda run: run["provenance"].update(hosts={}, versions={}, hashes={}))
    assert of(copied / "a", copied / "b").differences == (
        "hardware: not recorded on both sides",
        "versions: not recorded on both sides",
        "hashes: not recorded on both sides",
    )


def test_a_factor_that_one_side_keeps_fixed_is_matched(copied: Path, tmp_path: Path) -> None:
    write(
        tmp_path, "p", lambda own: 1000.0,
        factors={"brokers": [1], "workers": [1], "partitions": [4, 32]}, repetitions=2,
    )  # fmt: skip
    found = of(copied / "a", tmp_path / "p")
    assert [pair.point for pair in found.pairs] == ["b1-w1 : b1-w1-p4"]
    assert found.only_second == ("b1-w1-p32",)


def test_points_can_be_named(results: Path) -> None:
    (pair,) = of(f"{results}/a:b1-w1", f"{results}/b:b2-w2").pairs
    assert pair.point == "b1-w1 : b2-w2"
    assert pair.ratio is not None
    assert pair.ratio.ratio == pytest.approx(3, rel=0.05)


def test_a_kept_summary_is_as_good_as_its_runs(results: Path, tmp_path: Path) -> None:
    dump(tmp_path / "summary.json", summarise(read_results(results / "a").runs))
    kept = of(tmp_path / "summary.json", results / "b")
    whole = of(results / "a", results / "b")
    assert (kept.pairs, kept.differences) == (whole.pairs, whole.differences)


def test_a_summary_that_lists_no_runs_gives_no_interval(results: Path, tmp_path: Path) -> None:
    summary = summarise(read_results(results / "a").runs)
    for point in summary["points"]:
        del point["valid_runs_images_per_s"], point["settings"]
    del summary["provenance"]
    dump(tmp_path / "summary.json", summary)
    found = of(tmp_path / "summary.json", results / "b")
    assert {pair.verdict for pair in found.pairs} == {"runs not listed: no interval"}
    assert {pair.runs for pair in found.pairs} == {(5, 5)}
    assert any("does not list its runs" in text for text in found.remarks)
    assert "settings: not recorded on both sides" in found.differences


def test_paced_points_say_what_their_rate_is(copied: Path) -> None:
    change(copied / "a", lambda run: run.update(mode="paced"))
    assert any("the schedule's" in text for text in of(copied / "a", copied / "a").remarks)
    with pytest.raises(UserError, match="have no point of the same factors"):
        of(copied / "a", copied / "b")


def test_bad_input_is_one_sentence(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = str(copied / "a")
    (tmp_path / "cut.json").write_text('{"format": 1,')
    dump(tmp_path / "other.json", {"format": 7})
    dump(tmp_path / "list.json", [])
    dump(tmp_path / "half.json", {"format": 1, "points": [{"point": "x"}]})
    for run in (copied / "b").iterdir():
        edit(run, valid=False)
    cases = (
        ("none", "does not exist: give results/NAME or its summary.json"),
        ("cut.json", "cannot be read as a summary"),
        ("other.json", "has format 7 and this version reads format 1"),
        ("list.json", "has format None and this version reads format 1"),
        ("half.json", "is no whole summary"),
        (str(copied / "b"), "has no valid run: there is nothing to compare"),
        (f"{a}:x", "has no point x: it has b1-w1, b1-w2, b2-w1, b2-w2"),
        (f"{a}:b1-w1", "give a point for both sides, as NAME:POINT, or for neither"),
    )
    for text, words in cases:
        assert main(["compare", a, str(tmp_path / text)]) == 2
        out, err = capsys.readouterr()
        assert words in err
        assert len(err.splitlines()) == 1
        assert not out
    assert main(["compare", a, a, "--html", str(tmp_path / "no/page.html")]) == 2
    assert "give --html a file that you may write" in capsys.readouterr().err


def test_a_run_that_cannot_be_read_is_named(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "b/b1-w1-r02-a01/run.json").write_text('{"format": 1,')
    page = tmp_path / "page.html"
    assert main(["compare", str(copied / "a"), str(copied / "b"), "--html", str(page)]) == 0
    words = "not in these figures, of B: b1-w1-r02-a01: run.json is cut off or cannot be read"
    assert words in " ".join(capsys.readouterr().out.split())
    assert words in page.read_text("utf-8")
    # report writes the same into summary.json.
    main(["report", str(copied / "b")])
    kept = of(copied / "a", copied / "b/summary.json")
    assert kept.second.left_out == of(copied / "a", copied / "b").second.left_out


def test_the_table_says_it_before_the_figures(
    copied: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    change(copied / "b", lambda run: run["settings"].update(acks="1"))
    page = tmp_path / "page.html"
    assert main(["compare", str(copied / "a"), str(copied / "b"), "--html", str(page)]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    figures = [line for line in lines if not line.startswith(("A: ", "B: ", "page: "))]
    assert max(map(len, figures)) <= 100
    warned = lines.index("NOT THE SAME: what differs besides the factors is compared as well:")
    assert lines[warned + 1] == "- setting acks: all against 1"
    (row,) = [line for line in lines if line.startswith("b1-w1 ")]
    assert lines.index(row) > warned
    assert row.endswith("no difference shown")
    assert row.count("(n=5)") == 2
    (faster,) = [line for line in lines if line.startswith("b2-w2 ")]
    assert faster.endswith("B is faster")
    assert "- only in B: b4-w1, b4-w2" in lines
    text = page.read_text("utf-8")
    for words in ("NOT THE SAME", "setting acks: all against 1", "no difference shown", "<svg"):
        assert words in text
    assert "<script" not in text
