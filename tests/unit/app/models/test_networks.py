"""Networks, and the same network in ONNX Runtime."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lifelog import chainer_shims  # noqa: F401  (before chainer)  # isort: skip
import chainer
import chainer.functions as F
import chainer.links as L

from lifelog.bundle import save_npz
from lifelog.engines import make_engine
from lifelog.errors import UserError
from lifelog.models import MODELS, make_network, network_sha256
from lifelog.models.onnx_graph import to_onnx

SHAPES = [(28, 28, 1), (32, 40, 3), (13, 9, 2), (4, 5, 1)]


def bundle(folder: Path, name: str, network: chainer.Chain, shape: tuple[int, ...]) -> Path:
    """A model bundle of an untrained network, its ONNX graph or the reason why it has none."""
    meta = {"name": name, "sha256": "0", "shape": shape, "classes": 10, "offline_accuracy": 0.0}
    arrays = {f"weight:{path}": p.array for path, p in network.namedparams()}
    try:
        graph, meta["onnx_weights"] = to_onnx(network, shape)
        arrays["onnx"] = np.frombuffer(graph, np.uint8)
    except UserError as error:
        meta["onnx_absent_because"] = str(error)
    empty = {"predictions": np.zeros(1, np.int64), "margins": np.zeros(1, np.float32)}
    save_npz(folder / "model.npz", meta, arrays | empty)
    return folder / "model.npz"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_both_engines_give_the_same_scores(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    np.random.seed(1)  # noqa: NPY002  Chainer's initialisers draw from it
    file = bundle(tmp_path, name, make_network(name, shape, 10), shape)
    images = np.random.default_rng(2).random((7, math.prod(shape)), np.float32)
    scores = make_engine("chainer", file, {}).scores(images)
    assert scores.shape == (7, 10)
    engine = make_engine("onnxruntime", file, {})
    np.testing.assert_allclose(engine.scores(images), scores, atol=1e-5)
    assert engine.infer(images[:1]).dtype == np.int64
    # Calls differ in their number of images.
    np.testing.assert_allclose(engine.scores(images[:3]), scores[:3], atol=1e-5)


def test_a_record_is_read_row_by_row_with_its_channels_together() -> None:
    network = make_network("cnn", (8, 8, 2), 3)
    image = np.random.default_rng(3).random((1, 8, 8, 2), np.float32)
    seen = []
    first = network.convolutions[0]
    first.forward = lambda x: (seen.append(x.array), L.Convolution2D.forward(first, x))[1]
    network(image.reshape(1, -1))
    assert np.array_equal(seen[0][0, 1], image[0, :, :, 1])


class Odd(chainer.Chain):
    """Parameters that are not used, and a function that is or is not translated."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        with self.init_scope():
            self.used = L.Linear(6, 10)
            self.idle = L.Linear(3, 3)

    def __call__(self, x):
        return self.function(self.used(x))


def test_the_functions_a_user_may_need_are_translated(tmp_path: Path) -> None:
    network = Odd(lambda x: F.tanh(F.sigmoid(x) + x) + F.reshape(F.reshape(x, (-1, 5, 2)), x.shape))
    file = bundle(tmp_path, "lifelog.models.mlp:make", network, (2, 3, 1))
    images = np.random.default_rng(4).random((5, 6), np.float32)
    scores = make_engine("onnxruntime", file, {}).scores(images)
    np.testing.assert_allclose(scores, network(images).array, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (F.softplus, "Chainer's Softplus has no counterpart here: use engine chainer"),
        (lambda x: x + np.ones((1, 10), np.float32), "an array that is not a parameter"),
    ],
)
def test_what_cannot_be_translated_is_said_when_the_engine_is_asked_for(
    tmp_path: Path, function, sentence: str
) -> None:
    file = bundle(tmp_path, "odd", Odd(function), (2, 3, 1))
    with pytest.raises(UserError, match=f"odd cannot be run by onnxruntime: .*{sentence}"):
        make_engine("onnxruntime", file, {})


def test_a_network_has_the_hash_of_its_own_source() -> None:
    assert network_sha256("mlp") != network_sha256("cnn")
    assert network_sha256("mlp") == network_sha256("lifelog.models.mlp:make")
