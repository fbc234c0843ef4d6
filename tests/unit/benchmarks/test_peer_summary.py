"""Medians, ratios, table, page and command line of the comparison, from results made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peers
import pytest

from comparison.environments import PEERS_DIRECTORY, cache, without_paths
from comparison.figure import shares
from comparison.registry import OURS, PEERS, add_variants
from comparison.summary import missing, ratios, rotated, summarise, table
from lifelog.errors import UserError
from lifelog.report.marked import fill


def result(rate: float, p50: float | None = None) -> dict[str, Any]:
    figures = ("images_per_s", "images_per_worker_cpu_s", "images_per_cpu_s")
    saturated = dict.fromkeys(figures, rate) | {"accuracy": 0.95, "peak_pss_mb": 300.0}
    paced = None if p50 is None else {"latency_ms": {"p50": p50, "p95": p50, "p99": p50}}
    return {"saturated": saturated, "paced": paced, "attempts": []}


FAILED = {
    "saturated": None,
    "paced": None,
    "attempts": [{"command": "python quix.py", "error": "no module"}] * 2,
}
NAMES = ["bare", "ours", "quix"]
# The machine was twice as fast in the second round.
ROUNDS = [
    {"bare": result(100), "ours": result(80, 500.0), "quix": FAILED},
    {"bare": result(200), "ours": result(180, 700.0), "quix": FAILED},
    {"bare": result(100), "ours": FAILED, "quix": FAILED},
]


def test_ratios_are_of_one_round_and_skip_rounds_without_either() -> None:
    assert ratios(ROUNDS, "ours", "bare", "images_per_s") == pytest.approx([0.8, 0.9])
    assert ratios(ROUNDS, "quix", "bare", "images_per_s") == []


def test_summary_has_medians_and_none_where_nothing_was_measured() -> None:
    found = summarise(ROUNDS, NAMES)
    assert found["ours"]["images_per_s"] == {"median": 130, "least": 80, "most": 180}
    assert found["ours"]["of_bare"]["images_per_s"]["median"] == pytest.approx(0.85)
    assert found["ours"]["latency_ms"]["p50"]["median"] == 600
    assert found["ours"]["rounds"] == 2
    assert found["bare"]["latency_ms"]["p50"] is None
    assert found["quix"]["images_per_s"] is None


def test_table_has_a_row_for_each_peer_and_dashes_for_what_is_absent() -> None:
    lines = table(summarise(ROUNDS, NAMES)).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].startswith("| this testbed | 130 | 0.85 |")
    assert lines[4].count("| - ") == 10


def test_a_missing_peer_is_told_in_one_sentence_with_both_attempts() -> None:
    (sentence,) = missing(ROUNDS, NAMES)
    assert sentence.count("`python quix.py`: no module") == 2
    assert missing(ROUNDS[:1], ["bare", "ours"]) == []


def test_every_peer_has_each_place_in_turn() -> None:
    orders = [rotated(NAMES, number) for number in range(3)]
    assert [order[0] for order in orders] == NAMES
    assert all(sorted(order) == sorted(NAMES) for order in orders)
    assert rotated(NAMES, 3) == NAMES


def test_figure_shows_each_peer_but_bare() -> None:
    drawing = shares(ROUNDS, NAMES)
    assert "this testbed" in drawing.wide
    assert [row[0] for row in drawing.rows].count("ours") == 4


def test_page_keeps_what_is_outside_the_markers() -> None:
    page = "before\n<!-- peers -->\nold\n<!-- /peers -->\nafter\n"
    filled = fill(page, "peers", "new\n")
    assert filled == "before\n<!-- peers -->\nnew\n<!-- /peers -->\nafter\n"
    assert fill(filled, "peers", "new") == filled
    with pytest.raises(UserError, match="needs the lines"):
        fill("<!-- /peers --> <!-- peers -->", "peers", "new")


def test_every_peer_has_its_script_and_environment() -> None:
    for peer in PEERS.values():
        assert (PEERS_DIRECTORY / peer.script).is_file()
        if peer.environment != "testbed":
            assert (PEERS_DIRECTORY / f"requirements-{peer.environment}.txt").is_file()


def test_what_is_kept_of_a_failure_names_no_directory_of_this_machine(tmp_path: Path) -> None:
    told = f"{cache()}/peers/python {PEERS_DIRECTORY}/quix.py {tmp_path}/task.json"
    kept = without_paths(told, tmp_path)
    assert kept == "CACHE/peers/python ./benchmarks/peers/quix.py RUN/task.json"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--servers"),
        (["--rounds", "0"], "--rounds must be above 0"),
        (["--rounds", "five"], "five"),
        (["--images", "10"], "at least"),
        (["--peers", "bare,flnk"], "flnk"),
        (["--json", "/nowhere/at/all.json"], "no directory"),
        (["--page", "/nowhere.md"], "no such file"),
    ],
)
def test_a_bad_option_is_one_sentence_and_status_2(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = ["--servers", "127.0.0.1:1", "--json", str(tmp_path / "a.json")] if options else []
    with pytest.raises(SystemExit) as ended:
        peers.parse([*good, *options])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_variant_is_the_testbed_with_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comparison.registry.PEERS", known := dict(PEERS))
    options = ["c1:spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1", "c1:a=b", "x:c=d=e"]
    assert add_variants(options) == ["c1", "x"]
    assert known["c1"].settings == {
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "a": "b",
    }
    assert known["x"].settings == {"c": "d=e"}
    assert known["x"].script == PEERS[OURS].script
    for bad in ("c1", "c2:a", ":a=b", "bare:a=b", "c2:=b"):
        with pytest.raises(UserError, match=r"give NAME:KEY=VALUE"):
            add_variants([bad])
