"""Claims of an experiment file: what they compare, and one test for each way to get them wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sample_experiment import BUNDLE, cluster

from lifelog.errors import UserError
from lifelog.experiment.claims import Claim
from lifelog.experiment.definition import Experiment
from lifelog.experiment.load import load_experiment
from lifelog.experiment.spec import build_spec

HEAD = "title: T\nquestion: Q\nshort: true\n"
FIG2 = f"{HEAD}settings: {{partitions: 16}}\nfactors: {{brokers: [1, 2, 4], workers: [1, 2, 4]}}\n"
FIG4 = f"{HEAD}factors: {{images_per_record: [10, 1, 20], replication: [1, 2]}}\n"


def load(directory: Path, text: str, overrides: str = "") -> Experiment:
    path = directory / "e.yml"
    path.write_text(text)
    return load_experiment(path, overrides)


def claim(directory: Path, text: str, statement: str, overrides: str = "") -> Claim:
    full = f"{text}claims:\n  - id: Q1\n    text: Something\n    {statement}\n"
    (found,) = load(directory, full, overrides).claims
    return found


def pairs(found: Claim) -> list[tuple[str, str]]:
    return [(one.of, one.over) for one in found.comparisons]


def test_a_ratio_is_compared_at_every_level_of_the_others(tmp_path: Path) -> None:
    found = claim(tmp_path, FIG2, "ratio: {of: {workers: 4}, over: {workers: 2}, at_most: 1.15}")
    assert pairs(found) == [(f"brokers-{b}_workers-4", f"brokers-{b}_workers-2") for b in (1, 2, 4)]
    first = found.comparisons[0]
    assert (first.at_least, first.at_most) == (None, 1.15)
    assert first.what == "workers 4 over 2, brokers 1"
    fixed = "ratio: {of: {workers: [2, 4]}, over: {workers: 1}, at: {brokers: 4, partitions: 16}, at_least: 1}"
    assert pairs(claim(tmp_path, FIG2, fixed)) == [
        ("brokers-4_workers-2", "brokers-4_workers-1"),
        ("brokers-4_workers-4", "brokers-4_workers-1"),
    ]


def test_a_ratio_of_points_that_differ_in_two_factors(tmp_path: Path) -> None:
    both = "ratio: {of: {brokers: 4, workers: 4}, over: {brokers: 1, workers: 1}, at_least: 2}"
    found = claim(tmp_path, FIG2, both)
    assert pairs(found) == [("brokers-4_workers-4", "brokers-1_workers-1")]
    assert found.comparisons[0].differ == ("brokers", "workers")


def test_no_difference_compares_all_levels(tmp_path: Path) -> None:
    found = claim(tmp_path, FIG2, "same: {factor: brokers, at: {workers: 4}, within: 0.1}")
    assert pairs(found) == [
        (f"brokers-{a}_workers-4", f"brokers-{b}_workers-4") for a, b in ((2, 1), (4, 1), (4, 2))
    ]
    assert found.comparisons[0].at_most == 1.1
    assert found.comparisons[0].at_least == pytest.approx(1 / 1.1)


def test_trends_go_by_value_not_by_place(tmp_path: Path) -> None:
    rising = claim(tmp_path, FIG4, "rises: {factor: images_per_record, at: {replication: 1}}")
    names = [f"images_per_record-{n}_replication-1" for n in (1, 10, 20)]
    assert pairs(rising) == [(names[1], names[0]), (names[2], names[1])]
    assert (rising.comparisons[0].at_least, rising.comparisons[0].at_most) == (1, None)
    ends = "falls: {factor: images_per_record, at: {replication: [1]}, steps: ends, beyond: 0.25}"
    falling = claim(tmp_path, FIG4, ends)
    assert pairs(falling) == [(names[2], names[0])]
    assert (falling.comparisons[0].at_least, falling.comparisons[0].at_most) == (None, 0.8)


def test_the_papers_statements_can_be_declared(tmp_path: Path) -> None:
    grid = "factors: {brokers: [1, 2, 4], workers: [1, 2, 4]}\nclaims:\n"
    fig2 = (
        f"{HEAD}settings: {{partitions: 16}}\n{grid}"
        "  - {id: Q1, text: t, ratio: {of: {workers: 4}, over: {workers: 2}, at_most: 1.15}}\n"
        "  - {id: Q2, text: t, same: {factor: brokers, within: 0.1}}\n"
    )
    fig3 = (
        f"{HEAD}settings: {{partitions: 32}}\n{grid}"
        "  - {id: Q3, text: t, ratio: {of: {workers: 4}, over: {workers: 2}, at_least: 1}}\n"
        "  - id: Q4\n    text: t\n    ratio: {of: {brokers: 4}, over: {brokers: 2}, "
        "at: {workers: 4}, at_least: 1}\n"
    )
    fig4 = FIG4.replace("[1, 2]", "[1, 2, 3]") + (
        "claims:\n"
        "  - {id: Q5, text: t, rises: {factor: images_per_record, at: {replication: 1}}}\n"
        "  - id: Q6\n    text: t\n    ratio: {of: {images_per_record: [10, 20]}, "
        "over: {images_per_record: 1}, at: {replication: [2, 3]}, at_most: 1.05}\n"
        "  - {id: Q7, text: t, falls: {factor: replication}}\n"
    )
    found = [one for text in (fig2, fig3, fig4) for one in load(tmp_path, text).claims]
    assert [(one.id, len(one.comparisons)) for one in found] == [
        ("Q1", 3),
        ("Q2", 9),
        ("Q3", 3),
        ("Q4", 1),
        ("Q5", 2),
        ("Q6", 4),
        ("Q7", 6),
    ]


def test_text_that_yaml_reads_as_a_number_is_a_level_too(tmp_path: Path) -> None:
    text = f'{HEAD}factors: {{acks: [all, "1"]}}\n'
    found = claim(tmp_path, text, "ratio: {of: {acks: 1}, over: {acks: all}, at_least: 1}")
    assert pairs(found) == [("acks-1", "acks-all")]


def test_points_that_an_inventory_leaves_out_leave_the_claim(tmp_path: Path) -> None:
    found = claim(tmp_path, FIG2, "same: {factor: brokers, at: {workers: 4}, within: 0.1}")
    left = found.among(["brokers-1_workers-4", "brokers-2_workers-4"])
    assert pairs(left) == [("brokers-2_workers-4", "brokers-1_workers-4")]
    assert (left.id, left.text) == (found.id, found.text)


def test_a_factor_that_set_fixes_leaves_nothing_to_compare(tmp_path: Path) -> None:
    ratio = "ratio: {of: {workers: 4}, over: {workers: 2}, at_most: 1.15}"
    assert claim(tmp_path, FIG2, ratio, "workers=1").comparisons == ()
    assert len(claim(tmp_path, FIG2, ratio, "brokers=2").comparisons) == 1
    assert claim(tmp_path, FIG2, ratio, "mode=drain,images_per_producer=9").comparisons == ()


@pytest.mark.parametrize(
    ("statement", "overrides", "count"),
    [
        ("ratio: {of: {workers: [2, 4]}, over: {workers: 1}, at_least: 1}", "", 0),
        ("ratio: {of: {workers: 2}, over: {workers: [1, 4]}, at_least: 1}", "", 0),
        ("same: {factor: workers, at: {brokers: [1, 4]}, within: 0.1}", "", 0),
        ("rises: {factor: workers, at: {brokers: [2, 4]}}", "brokers=2", 0),
        ("ratio: {of: {workers: 2}, over: {workers: 1}, at_least: 1}", "", 2),
        # It names no level, so it is judged from those that there are.
        ("same: {factor: workers, within: 0.1}", "", 2),
    ],
)
def test_a_claim_is_not_judged_without_a_level_that_it_names(
    tmp_path: Path, statement: str, overrides: str, count: int
) -> None:
    text = FIG2.replace(HEAD, f"{HEAD}full: {{brokers: 4, workers: 4}}\n")
    path = tmp_path / "e.yml"
    path.write_text(f"{text}claims:\n  - id: Q1\n    text: Something\n    {statement}\n")
    (whole,) = load_experiment(path, "", cluster(4, (1,) * 4)).claims
    assert len(whole.comparisons) > count
    (small,) = load_experiment(path, overrides, cluster(2)).claims
    assert len(small.comparisons) == count


def test_every_run_carries_the_claims(tmp_path: Path) -> None:
    text = f"{HEAD}factors: {{workers: [1, 2]}}\nclaims:\n  - {{id: Q, text: t, rises: {{factor: workers}}}}\n"
    spec = build_spec(load(tmp_path, text), "workers-1-r01-a01", cluster(), BUNDLE, None)
    assert (
        json.loads(json.dumps(spec))["claims"]
        == spec["claims"]
        == [
            {
                "id": "Q",
                "text": "t",
                "comparisons": [
                    {
                        "what": "workers 2 over 1",
                        "of": "workers-2",
                        "over": "workers-1",
                        "at_least": 1.0,
                        "at_most": None,
                        "differ": ["workers"],
                    }
                ],
            }
        ]
    )


PACED = (
    f"{HEAD}points:\n  - {{name: a, mode: paced, target_rate: 1, workers: 1}}\n"
    "  - {name: b, mode: paced, target_rate: 1, workers: 2}\n"
)
ACKS = f'{HEAD}factors: {{acks: [all, "1"]}}\n'
OVER = "over: {workers: 2}"


@pytest.mark.parametrize(
    ("text", "statement", "place", "words"),
    [
        (FIG2, "ratio: {of: {workers: 4}, over: {workers: 2}}", "9: ratio: ", "at_least, at_most"),
        (
            FIG2,
            f"ratio: {{of: {{workers: 4}}, {OVER}, at_least: 2, at_most: 1}}",
            "9: at_least: ",
            "below at_most 1",
        ),
        (
            FIG2,
            f"ratio: {{of: {{workers: 8}}, {OVER}, at_most: 2}}",
            "9: workers: ",
            "no point has workers 8; there is 1, 2, 4",
        ),
        (
            FIG2,
            f"ratio: {{of: {{worker: 4}}, {OVER}, at_most: 2}}",
            "9: of: ",
            "worker: there is no such setting: did you mean workers",
        ),
        (
            FIG2,
            f"ratio: {{of: {{workers: 4}}, {OVER}, at: {{partitions: 32}}, at_most: 2}}",
            "9: partitions: ",
            "there is 16",
        ),
        (
            FIG2,
            f"ratio: {{of: {{brokers: 4}}, {OVER}, at: {{workers: 4}}, at_most: 2}}",
            "9: workers: ",
            "no point has workers 2; there is 4",
        ),
        (
            FIG2,
            f"ratio: {{of: {{workers: 2}}, {OVER}, at_most: 2}}",
            "9: ratio: ",
            "no two of the chosen points",
        ),
        (FIG2, "ratio: {of: {}, over: {workers: 1}, at_most: 2}", "9: of: ", "at least 1"),
        (FIG2, f"ratio: {{of: {{workers: 4}}, {OVER}, at_most: 0}}", "9: at_most: ", "not 0"),
        (FIG2, f"ratio: {{of: {{workers: 4}}, {OVER}, most: 1}}", "9: most: ", "at_most"),
        (FIG2, "same: {factor: brokers}", "9: within: ", "is missing"),
        (FIG2, "same: {factor: acks, within: 0.1}", "9: same: ", "differ in acks only"),
        (FIG2, "rises: {factor: brokres}", "9: factor: ", "did you mean brokers"),
        (FIG2, "rises: {factor: brokers, steps: some}", "9: steps: ", "'each' or 'ends'"),
        (FIG2, "falls: {factor: brokers, beyond: -1}", "9: beyond: ", "not -1"),
        (ACKS, "rises: {factor: acks}", "8: factor: ", "only numbers rise or fall"),
        (PACED, "rises: {factor: workers}", "10: rises: ", "none that is paced"),
        (FIG2, "grows: {factor: brokers}", "9: grows: ", "there is id, text, ratio"),
        (FIG2, "{}", "7: Q1: ", ""),
    ],
)
def test_every_fault_names_line_key_and_cure(
    tmp_path: Path, text: str, statement: str, place: str, words: str
) -> None:
    if statement == "{}":
        full, words = f"{text}claims:\n  - {{id: Q1, text: t}}\n", "exactly one of ratio"
    else:
        full = f"{text}claims:\n  - id: Q1\n    text: t\n    {statement}\n"
    with pytest.raises(UserError) as caught:
        load(tmp_path, full)
    message = str(caught.value).replace(f"{tmp_path}/", "")
    assert "\n" not in message
    assert message.startswith(f"e.yml:{place}"), message
    assert words in message


def test_ids_are_short_and_taken_once(tmp_path: Path) -> None:
    one = "  - {id: %s, text: t, same: {factor: brokers, within: 0.1}}\n"
    with pytest.raises(UserError, match=r"e\.yml:8: id: Q1 is taken"):
        load(tmp_path, f"{FIG2}claims:\n{one % 'Q1'}{one % 'Q1'}")
    with pytest.raises(UserError, match=r"e\.yml:7: id: 'a b' is no id"):
        load(tmp_path, f"{FIG2}claims:\n{one % 'a b'}")
    with pytest.raises(UserError, match=r"e\.yml:7: text: is missing"):
        load(tmp_path, f"{FIG2}claims:\n  - {{id: Q1}}\n")
