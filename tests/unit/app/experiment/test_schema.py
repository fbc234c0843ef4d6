"""Experiment files: what they expand to, and one test for each way to get them wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifelog.errors import UserError
from lifelog.experiment.definition import Experiment
from lifelog.experiment.load import find_experiment, load_experiment
from lifelog.experiment.settings import Share

HEAD = "title: T\nquestion: Q\nshort: true\n"
POINT = "points:\n  - name: one\n"
GRID = "factors: {brokers: [1, 2], acks: [1, all]}\n"
FULL = HEAD + "full: {brokers: 4}\n"
LONG = f"title: T\nquestion: Q\n{POINT}"


def load(directory: Path, text: str, overrides: str = "") -> Experiment:
    path = directory / "e.yml"
    path.write_text(text)
    return load_experiment(path, overrides)


def fault(directory: Path, text: str, overrides: str = "") -> str:
    with pytest.raises(UserError) as caught:
        load(directory, text, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{directory}/", "")


def test_the_shipped_smoke_experiment() -> None:
    smoke = load_experiment(Path(__file__).parents[4] / "experiments/smoke.yml")
    assert smoke.short
    assert [point.settings.mode for point in smoke.points] == ["saturation", "paced"]
    assert smoke.points[1].settings.target_rate == Share(share=0.5, of="saturation")
    assert smoke.points[1].source == "saturation"
    assert {point.settings.producers for point in smoke.points} == {4}
    assert {point.settings.duration_s for point in smoke.points} == {30}


def test_point_settings_go_over_shared_ones_and_overrides_over_both(tmp_path: Path) -> None:
    text = f"{HEAD}settings: {{partitions: 8, acks: 1}}\n{POINT}    partitions: 16\n  - name: two\n"
    assert [p.settings.partitions for p in load(tmp_path, text).points] == [16, 8]
    assert load(tmp_path, text).points[0].settings.acks == "1"
    changed = load(tmp_path, text, "partitions=2, acks=all,repetitions=3,brokers=null")
    assert {p.settings.partitions for p in changed.points} == {2}
    assert changed.repetitions == 3


def test_factors_make_the_full_grid_and_name_what_varies(tmp_path: Path) -> None:
    text = f"{HEAD}factors:\n  brokers: [1, 2]\n  encoding: [uint8, text]\n"
    grid = load(tmp_path, text)
    assert [point.name for point in grid.points] == [
        "brokers-1_encoding-uint8",
        "brokers-1_encoding-text",
        "brokers-2_encoding-uint8",
        "brokers-2_encoding-text",
    ]
    assert grid.points[3].factors == {"brokers": 2, "encoding": "text"}
    fixed = load(tmp_path, text, "brokers=2")
    assert [point.factors for point in fixed.points] == [
        {"encoding": "uint8"},
        {"encoding": "text"},
    ]


def test_excluded_combinations_are_no_points(tmp_path: Path) -> None:
    exclude = "exclude: [{brokers: 1, replication: [2, 3]}, {acks: 0, replication: 3}]\n"
    factors = "factors: {brokers: [1, 3], replication: [1, 2, 3], acks: [0, all]}\n"
    points = load(tmp_path, HEAD + exclude + factors).points
    left = [(p.settings.brokers, p.settings.replication, p.settings.acks) for p in points]
    assert left == [
        *((1, 1, "0"), (1, 1, "all"), (3, 1, "0"), (3, 1, "all")),
        *((3, 2, "0"), (3, 2, "all"), (3, 3, "all")),
    ]


def test_the_figure_names_factors_of_the_grid_or_of_the_points(tmp_path: Path) -> None:
    grid = load(tmp_path, f"{HEAD}figure: {{x: brokers, series: acks}}\n{GRID}", "brokers=1")
    assert grid.figure is not None
    assert grid.figure.axes() == {"x": "brokers", "series": "acks"}
    listed = load(tmp_path, f"{HEAD}figure: {{x: acks}}\n{POINT}  - {{name: two, acks: 1}}\n")
    assert listed.figure is not None
    assert load(tmp_path, HEAD + POINT).figure is None


def test_settings_that_a_mode_has_no_use_for_are_left_out(tmp_path: Path) -> None:
    text = (
        f"{HEAD}settings: {{images_per_producer: 50, target_rate: 10}}\n{POINT}"
        "  - {name: two, mode: paced}\n  - {name: three, mode: drain}\n"
    )
    points = load(tmp_path, text, "target_rate=99").points
    assert [p.settings.target_rate for p in points] == [None, 99, None]
    assert [p.settings.images_per_producer for p in points] == [None, None, 50]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (f"{HEAD}{POINT}    partitons: 4\n", "e.yml:6: partitons: ", "did you mean partitions"),
        (f"{HEAD}setings: {{}}\n{POINT}", "e.yml:4: setings: ", "did you mean settings"),
        (f"{HEAD}settings:\n  workerz: 1\n{POINT}", "e.yml:5: workerz: ", "did you mean workers"),
        (f"{HEAD}{POINT}    encoding: float3\n", "e.yml:6: encoding: ", "did you mean float32"),
        (f"{HEAD}{POINT}    mode: fast\n", "e.yml:6: mode: ", "'saturation', 'paced'"),
        (f"{HEAD}{POINT}    images_per_call: 0\n", "e.yml:6: images_per_call: ", "or equal to 1"),
        (f"{HEAD}{POINT}    producers: 0\n", "e.yml:6: producers: ", "not 0"),
        (f"{HEAD}{POINT}    partitions: 0\n", "e.yml:6: partitions: ", "not 0"),
        (f"{HEAD}{POINT}    workers: 0\n", "e.yml:6: workers: ", "or equal to 1"),
        (f"{HEAD}{POINT}    partitions: many\n", "e.yml:6: partitions: ", "'many'"),
        (f"{HEAD}{POINT}    partitions:\n", "e.yml:6: partitions: ", "has no value"),
        (
            f"title: T\nquestion: Q\nshort: 1\n{POINT}",
            "e.yml:3: short: ",
            "must be true or false, not 1",
        ),
        (f"{HEAD}factors: {{brokers: 2}}\n", "e.yml:4: factors: ", "must be a list, [A, B, ...]"),
        (f"{HEAD}settings: 2\n{POINT}", "e.yml:4: settings: ", "must be keys and values"),
        (f"{HEAD}{POINT}    partitions: '4'\n", "e.yml:6: partitions: ", "integer"),
        (f"{HEAD}{POINT}    producers: true\n", "e.yml:6: producers: ", "integer"),
        (f"{HEAD}{POINT}    duration_s: .inf\n", "e.yml:6: duration_s: ", "finite"),
        (
            f"{HEAD}{POINT}    brokers: 2\n    replication: 3\n",
            "e.yml:7: replication: ",
            "choose 1 to 2",
        ),
        (
            f"{HEAD}{POINT}    compression: zstd\n",
            "e.yml:6: compression: ",
            "kafka-python allows none and gzip",
        ),
        (f"{HEAD}{POINT}    mode: paced\n", "e.yml:5: target_rate: ", "a paced point needs one"),
        (
            f"{HEAD}{POINT}    mode: paced\n    target_rate: {{share: 0.5}}\n",
            "e.yml:7: target_rate: ",
            "{share: ABOVE 0, of: POINT}",
        ),
        (
            f"{HEAD}{POINT}    mode: paced\n    target_rate: -1\n",
            "e.yml:7: target_rate: ",
            "above 0",
        ),
        (
            f"{HEAD}{POINT}  - name: two\n    mode: paced\n    target_rate: {{share: 1, of: on}}\n",
            "e.yml:8: target_rate: ",
            "not an earlier point: did you mean one",
        ),
        (
            f"{HEAD}{POINT}    mode: paced\n    target_rate: {{share: 1, of: one}}\n",
            "e.yml:7: target_rate: ",
            "none comes before",
        ),
        (f"{HEAD}{POINT}    target_rate: 5\n", "e.yml:6: target_rate: ", "mode paced only"),
        (
            f"{HEAD}{POINT}    images_per_producer: 5\n",
            "e.yml:6: images_per_producer: ",
            "fixed_size and drain only",
        ),
        (
            f"{HEAD}{POINT}    mode: drain\n    images_per_producer: 9\n    duration_s: 60\n",
            "e.yml:8: duration_s: ",
            "saturation and paced only",
        ),
        (
            f"{HEAD}{POINT}    source_options: {{startingoffsets: latest}}\n",
            "e.yml:6: source_options: ",
            "startingoffsets is set by the testbed",
        ),
        (
            f"{HEAD}{POINT}    spark_conf: {{spark.cores.max: 9}}\n",
            "e.yml:6: spark_conf: ",
            "spark.cores.max is set by the testbed",
        ),
        (f"{HEAD}{POINT}    mode: drain\n", "e.yml:5: images_per_producer: ", "needs one"),
        (f"{HEAD}{POINT}    mode: fixed_size\n", "e.yml:5: images_per_producer: ", "needs one"),
        (f"{HEAD}points: []\n", "e.yml:4: points: ", "at least one"),
        (f"{HEAD}points:\n  - mode: paced\n", "e.yml:5: name: ", "give each point a name"),
        (f"{HEAD}points:\n  - name: A B\n", "e.yml:5: name: ", "lower-case"),
        (f"{HEAD}{POINT}  - name: one\n", "e.yml:6: name: ", "taken by an earlier point"),
        (HEAD, "e.yml:1: ", "either points or factors"),
        (f"{HEAD}{POINT}factors: {{brokers: [1]}}\n", "e.yml:1: ", "take one of them away"),
        (f"{HEAD}{POINT}search: {{}}\n", "e.yml:4: points: ", "leave points out"),
        (f"{HEAD}repetitions: 2\nsearch: {{}}\n", "e.yml:4: repetitions: ", "its own runs"),
        (f"{HEAD}search: {{resolutoin: 1}}\n", "e.yml:4: resolutoin: ", "did you mean resolution"),
        (f"{HEAD}search: {{most_trials: 0}}\n", "e.yml:4: most_trials: ", "or equal to 1"),
        (f"{HEAD}search: 3\n", "e.yml:4: search: ", "3"),
        (f"{HEAD}search: {{}}\nsettings: {{mode: drain}}\n", "e.yml:5: mode: ", "are paced"),
        (
            f"{HEAD}search: {{}}\nsettings: {{target_rate: 9}}\n",
            "e.yml:5: target_rate: ",
            "decides",
        ),
        (f"{HEAD}search: {{}}\nsettings: {{acks: 7}}\n", "e.yml:5: acks: ", "'7' is not one of"),
        (f"{HEAD}factors: {{}}\n", "e.yml:4: factors: ", "at least one factor"),
        (f"{HEAD}factors:\n  brokrs: [1]\n", "e.yml:5: brokrs: ", "did you mean brokers"),
        (f"{HEAD}factors:\n  brokers: [1, 1]\n", "e.yml:5: brokers: ", "each of them once"),
        (f"{HEAD}factors:\n  brokers: []\n", "e.yml:5: brokers: ", "each of them once"),
        (f"{HEAD}factors:\n  brokers: [1, x]\n", "e.yml:5: brokers: ", "'x'"),
        (f"question: Q\n{POINT}", "e.yml:1: title: ", "missing"),
        (f"{HEAD}repetitions: 0\n{POINT}", "e.yml:4: repetitions: ", "or equal to 1"),
        (f"{HEAD}claims: x\n{POINT}", "e.yml:4: claims: ", "a list of claims"),
        (f"{HEAD}claims: [x]\n{POINT}", "e.yml:4: claims: ", "write id, text and one of"),
        (f"{HEAD}max_attempts: 0\n{POINT}", "e.yml:4: max_attempts: ", "or equal to 1"),
        (f"{HEAD}figure: {{x: brokrs}}\n{GRID}", "e.yml:4: x: ", "did you mean brokers"),
        (
            f"{HEAD}figure: {{x: brokers, y: acks}}\n{GRID}",
            "e.yml:4: y: ",
            "there is x, series, panel",
        ),
        (f"{HEAD}figure:\n  series: acks\n{GRID}", "e.yml:4: x: ", "is missing"),
        (f"{HEAD}figure: brokers\n{GRID}", "e.yml:4: figure: ", "'brokers'"),
        (f"{HEAD}figure: {{x: acks, series: acks}}\n{GRID}", "e.yml:4: figure: ", "once"),
        (f"{HEAD}figure: {{x: acks}}\n{POINT}", "e.yml:4: x: ", "there is none"),
        (f"{HEAD}exclude: [{{}}]\n{GRID}", "e.yml:4: exclude: ", "name factors"),
        (f"{HEAD}exclude: [{{ack: 1}}]\n{GRID}", "e.yml:4: ack: ", "did you mean acks"),
        (f"{HEAD}exclude:\n  - {{brokers: 3}}\n{GRID}", "e.yml:5: brokers: ", "there is 1, 2"),
        (
            f"{HEAD}exclude:\n  - {{brokers: [1, 2]}}\n{GRID}",
            "e.yml:4: exclude: ",
            "no combination",
        ),
        (f"{HEAD}exclude: [{{acks: all}}]\n{POINT}", "e.yml:4: exclude: ", "is for factors"),
        (f"{HEAD}full: {{broker: 4}}\n{GRID}", "e.yml:4: broker: ", "did you mean brokers"),
        (f"{HEAD}full: {{brokers: 0}}\n{GRID}", "e.yml:4: brokers: ", "or equal to 1"),
        (f"{HEAD}reduced: {{producers: 1}}\n{GRID}", "e.yml:4: reduced: ", "below full"),
        (f"{FULL}reduced: {{producer: 1}}\n{GRID}", "e.yml:5: producer: ", "mean producers"),
        (f"{FULL}reduced: {{acks: [1]}}\n{GRID}", "e.yml:5: acks: ", "at least two of its levels"),
        (f"{FULL}reduced: {{acks: 1}}\n{GRID}", "e.yml:5: acks: ", "at least two of its levels"),
        (
            f"{FULL}reduced: {{acks: 1}}\n{POINT}    acks: all\n",
            "e.yml:8: acks: ",
            "give it in settings",
        ),
        (
            f"{HEAD}factors: {{brokers: [1, 2], replication: [1, 2]}}\n",
            "e.yml:4: replication: ",
            "or leave the combination out with exclude",
        ),
        (f"{HEAD}title: again\n{POINT}", "e.yml:4: ", "duplicate key"),
        (f"{HEAD}4: x\n{POINT}", "e.yml:4: ", "a key must be text"),
        (f"{HEAD}points: [\n", "e.yml:5: ", "not valid YAML"),
        ("- a\n", "e.yml:1: ", "keys and values"),
        (f"title: T\nquestion: Q\n{POINT}", "e.yml:1: duration_s: ", "min_duration_s 60"),
        (f"{LONG}    duration_s: 74\n", "e.yml:1: duration_s: ", "1.25 times as long, 75 s"),
        (
            f"{LONG}    duration_s: 100\n    trigger_ms: 10000\n",
            "e.yml:1: duration_s: ",
            "min_batches 20 of 10000 ms or longer",
        ),
    ],
)
def test_every_fault_names_line_key_and_cure(
    tmp_path: Path, text: str, place: str, words: str
) -> None:
    message = fault(tmp_path, text)
    assert message.startswith(place)
    assert words in message


@pytest.mark.parametrize(
    ("overrides", "start", "words"),
    [
        ("brokrs=2", "set: brokrs: ", "did you mean brokers"),
        ("encoding=float3", "set: encoding: ", "did you mean float32"),
        ("images_per_call=0", "set: images_per_call: must be ", "or equal to 1"),
        ("engine=chianer", "set: engine: ", "did you mean chainer"),
        ("dataset=mnist-t1k", "set: dataset: ", "did you mean mnist-t10k"),
        ("dataset=mnist", "e.yml:5: dataset_source: ", "needs one: the directory"),
        ("dataset_sha256=abc", "set: dataset_sha256: ", "should match pattern"),
        ("model=mpl", "set: model: ", "did you mean mlp"),
        ("brokers=1,replication=2", "set: replication: ", "uses 1: choose 1"),
        ("brokers", "set: brokers: ", "KEY=VALUE"),
        ("brokers=", "set: brokers=: ", "KEY=VALUE"),
        ("brokers=1,brokers=2", "set: brokers: ", "twice"),
        ("spark_conf=x", "set: spark_conf: ", "in the experiment file"),
        ("target_rate=5", "set: target_rate: ", "no point of this experiment"),
        ("repetitions=none", "set: repetitions: ", "integer"),
        ("points=1", "set: points: ", "no such setting"),
        ("figure=1", "set: figure: ", "no such setting"),
        ("full=1", "set: full: ", "no such setting"),
        ("max_attempts=0", "set: max_attempts: ", "or equal to 1"),
        ("mode=drain", "e.yml:5: images_per_producer: ", "needs one"),
    ],
)
def test_every_fault_of_an_override_names_the_key(
    tmp_path: Path, overrides: str, start: str, words: str
) -> None:
    message = fault(tmp_path, HEAD + POINT, overrides)
    assert message.startswith(start)
    assert words in message


def test_a_run_has_room_for_what_is_not_counted(tmp_path: Path) -> None:
    assert load(tmp_path, f"{LONG}    duration_s: 75\n").points[0].settings.duration_s == 75
    sized = f"{LONG}    mode: drain\n    images_per_producer: 9\n"
    assert load(tmp_path, sized).points[0].settings.duration_s == 30


LIMIT = "title: T\nquestion: Q\nsearch: {latency_limit_ms: 1000}\nsettings: {duration_s: 120}\n"


def test_a_latency_limit_has_the_micro_batches_that_its_percentile_needs(tmp_path: Path) -> None:
    message = fault(tmp_path, LIMIT)
    assert message.startswith("e.yml:3: latency_limit_ms: ")
    assert "needs 299 micro-batches, and 120 s have room for 120 of 1000 ms" in message
    assert "set duration_s to 374 or more" in message
    # A short search could not tell either.
    assert "374" in fault(tmp_path, LIMIT + "short: true\n", "duration_s=373")
    for overrides in ("duration_s=374", "trigger_ms=250"):
        assert load(tmp_path, LIMIT, overrides).search is not None
    assert load(tmp_path, LIMIT.replace("latency_limit_ms: 1000", "")).search is not None


def test_a_mode_can_be_overridden(tmp_path: Path) -> None:
    text = f"{HEAD}{POINT}    mode: paced\n    target_rate: 5\n"
    assert load(tmp_path, text, "mode=saturation").points[0].settings.target_rate is None


def test_experiments_are_found_by_name_or_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no experiment files"):
        find_experiment("smoke", tmp_path)
    path = tmp_path / "smoke.yml"
    path.write_text("")
    assert find_experiment("smoke", tmp_path) == find_experiment(str(path), tmp_path) == path
    with pytest.raises(UserError, match="did you mean smoke"):
        find_experiment("smok", tmp_path)
    with pytest.raises(UserError, match="no such file"):
        find_experiment("a/b.yml", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("Bad Name.yml", b"", "lower-case"),
        ("absent.yml", None, "no such file"),
        ("binary.yml", b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: Any, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        load_experiment(tmp_path / name)
