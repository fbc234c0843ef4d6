"""Bundles: what is in them, when they are made anew, and which of them an experiment needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sample_experiment import cluster

from lifelog import cli
from lifelog.bundle import load_dataset_bundle, load_model_bundle
from lifelog.datasets import load_dataset
from lifelog.engines import make_engine
from lifelog.errors import UserError
from lifelog.experiment.load import load_experiment
from lifelog.experiment.plan import image_values
from lifelog.experiment.settings import Settings
from lifelog.experiment.spec import build_spec, choose_bundle
from lifelog.models import train
from lifelog.prepare import Wanted, prepare, wanted_by

# The real images to stream, with few to train on.
DATASET = """
from dataclasses import replace
from lifelog.datasets import load_dataset

def load(source):
    whole = load_dataset("mnist-t10k")
    few = whole.train_images[:1000], whole.train_labels[:1000]
    return replace(whole, train_images=few[0], train_labels=few[1])
"""
MODEL = """
import chainer.links as L
def make(shape, classes):
    return L.Linear({values}, classes)
"""


def quiet(_line: str) -> None:
    pass


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package of the user's with a quickly trained dataset and model."""
    name = f"prep_{tmp_path.name}".replace("-", "_")
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "few.py").write_text(DATASET)
    (tmp_path / name / "net.py").write_text(MODEL.format(values=784))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(train.RECIPE, "epochs", 1)
    return name


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_onnxruntime_predicts_what_chainer_did_offline(
    tmp_path: Path, own: str, model: str
) -> None:
    made = prepare(Wanted(f"{own}.few:load", model), tmp_path / "bundles", quiet)
    file = tmp_path / "bundles" / made["model_file"]
    bundle = load_model_bundle(file)
    images = load_dataset_bundle(tmp_path / "bundles" / made["dataset_file"]).images
    assert len(images) == 2000
    assert bundle.offline_accuracy > 0.6
    pixels = images.reshape(2000, -1) * np.float32(1 / 255)
    engine = make_engine("onnxruntime", file, {})
    found = np.concatenate([engine.infer(pixels[at : at + 100]) for at in range(0, 2000, 100)])
    assert not np.any((found != bundle.predictions) & (bundle.margins >= 1e-4))


@pytest.mark.ci
def test_the_cnn_learns_the_digits(tmp_path: Path) -> None:
    made = prepare(Wanted("mnist-t10k", "cnn"), tmp_path, quiet)
    assert made["model"]["offline_accuracy"] >= 0.97


def test_nothing_is_trained_twice_and_an_edited_network_is_trained_anew(
    tmp_path: Path, own: str
) -> None:
    wanted = Wanted(f"{own}.few:load", f"{own}.net:make")
    lines: list[str] = []
    first = prepare(wanted, tmp_path / "bundles", lines.append)
    assert first["trained"]
    assert any(line.startswith(f"training {own}.net:make: epoch 1 of 1") for line in lines)
    assert not prepare(wanted, tmp_path / "bundles", quiet)["trained"]
    (tmp_path / own / "net.py").write_text(MODEL.format(values=784) + "# edited\n")
    edited = prepare(wanted, tmp_path / "bundles", quiet)
    assert edited["trained"]
    assert edited["model_file"] != first["model_file"]
    assert edited["dataset"] == first["dataset"]


def test_a_function_that_returns_no_dataset_is_named(
    tmp_path: Path, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_dataset("mnist-t10k")
    import importlib

    module = importlib.import_module(f"{own}.few")

    def refused(returned: object, sentence: str) -> None:
        monkeypatch.setattr(module, "load", lambda _source: returned)
        with pytest.raises(UserError, match=sentence):
            prepare(Wanted(f"{own}.few:load", "mlp"), tmp_path / "bundles", quiet)

    from dataclasses import replace

    refused(None, "returned NoneType, not a Dataset")
    refused(replace(whole, images=whole.images / 255), r"images is float64 .*make it uint8")
    refused(replace(whole, images=whole.images[:0]), "N at least 1")
    refused(replace(whole, labels=whole.labels[1:]), "give images one int64 label each")
    refused(replace(whole, train_labels=whole.train_labels - 1), "give train_images one int64")
    refused(replace(whole, images=whole.images[:, 1:]), "use one")


def test_a_point_brings_what_its_rate_derives_from(tmp_path: Path) -> None:
    (tmp_path / "e.yml").write_text(
        "title: T\nquestion: Q\nshort: true\npoints:\n  - {name: a, model: cnn}\n"
        "  - {name: b, mode: paced, target_rate: {share: 0.5, of: a}}\n"
        "  - {name: c, dataset: folder, dataset_source: /nowhere}\n"
    )
    experiment = load_experiment(tmp_path / "e.yml")
    assert wanted_by(experiment, ["b"]) == [
        Wanted("mnist-t10k", "cnn"),
        Wanted("mnist-t10k", "mlp"),
    ]


def write_experiment(folder: Path, own: str, source: Path) -> Path:
    path = folder / "own.yml"
    path.write_text(
        "title: T\nquestion: Q\nshort: true\nsettings: {dataset: '%s.few:load'}\npoints:\n"
        "  - {name: a, model: '%s.net:make', images_per_record: 2}\n"
        "  - {name: b, model: '%s.net:make'}\n"
        "  - {name: c, dataset: folder, dataset_source: %s, model: mlp}\n" % (own, own, own, source)
    )
    return path


def test_an_experiment_has_all_made_that_its_points_name(
    tmp_path: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for number in range(20):
        folder = tmp_path / "images" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (96, 90), (12 * number, 5, 200)).save(folder / f"{number}.png")
    path = write_experiment(tmp_path, own, tmp_path / "images")
    experiment = load_experiment(path)
    assert wanted_by(experiment) == [
        Wanted(f"{own}.few:load", f"{own}.net:make"),
        Wanted("folder", "mlp", str(tmp_path / "images")),
    ]
    assert wanted_by(experiment, ["b"]) == wanted_by(experiment)[:1]
    with pytest.raises(UserError, match="has no point 'd'"):
        wanted_by(experiment, ["d"])
    (tmp_path / "cluster.json").write_text(cluster().model_dump_json())
    options = ["--experiment", str(path), "--cluster", str(tmp_path / "cluster.json")]
    assert cli.main(["prepare", *options, "--bundles", str(tmp_path / "bundles")]) == 0
    bundles = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["dataset"]["shape"] for one in bundles] == [[28, 28, 1], [90, 96, 3]]
    assert image_values(bundles) == {f"{own}.few:load": 784, "folder": 25920}
    for point, bundle in zip("abc", [bundles[0], bundles[0], bundles[1]], strict=True):
        spec = build_spec(experiment, f"{point}-r01-a01", cluster(), bundles, None)
        assert spec["model_file"] == bundle["model_file"]
        assert (tmp_path / "bundles" / spec["model_file"]).exists()
        assert (tmp_path / "bundles" / spec["dataset_file"]).exists()
    plan = ["plan", str(path), *options[2:], "--results", str(tmp_path / "results")]
    rooms = []
    for bundle in ([], bundles):
        assert cli.main([*plan, "--bundle", json.dumps(bundle)]) == 0
        rooms.append(json.loads(capsys.readouterr().out)["disk_bytes_per_broker"])
    assert rooms[1] > rooms[0]


def test_an_experiment_that_cannot_run_trains_nothing(
    tmp_path: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_experiment(tmp_path, own, tmp_path)
    (tmp_path / "cluster.json").write_text(cluster(brokers=1).model_dump_json())
    options = ["--experiment", str(path), "--cluster", str(tmp_path / "cluster.json")]
    options += ["--set", "brokers=3", "--bundles", str(tmp_path / "bundles")]
    assert cli.main(["prepare", *options]) == 2
    assert "brokers" in capsys.readouterr().err
    assert not (tmp_path / "bundles").exists()


def test_bundles_of_other_data_are_not_taken_for_a_points_own() -> None:
    bundle = {
        "dataset_source": "one",
        "dataset": {"name": "folder"},
        "model": {"name": "mlp"},
    }
    assert choose_bundle([bundle], Settings(dataset="folder", dataset_source="one"))
    with pytest.raises(UserError, match="lifelog prepare --experiment"):
        choose_bundle([bundle], Settings(dataset="folder", dataset_source="other"))
