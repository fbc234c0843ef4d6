"""A Chainer network as an ONNX graph, found by following one forward pass.

Weights stay outside: the graph names them, and an engine hands them over. So a bundle holds them
once, and both engines compute with the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelog import chainer_shims  # noqa: F401  (before chainer)
from lifelog.errors import UserError

# Old enough for every onnxruntime in the locks.
OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "images", "scores"
# Any number above 1: it stands for the number of images of a call.
_TRACED = 2


def _convolution(f: Any, _shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "pads": [f.ph, f.pw, f.ph, f.pw],
        "strides": [f.sy, f.sx],
        "dilations": [f.dy, f.dx],
        "group": f.groups,
    }


def _pooling(f: Any, _shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "kernel_shape": list(f.ksize),
        "pads": [*f.pad, *f.pad],
        "strides": list(f.stride),
        "ceil_mode": int(f.cover_all),
    }


def _nothing(_f: Any, _shape: tuple[int, ...]) -> dict[str, Any]:
    return {}


# Chainer's function -> ONNX's operator, and its attributes.
OPERATORS: dict[str, tuple[str, Callable[[Any, tuple[int, ...]], dict[str, Any]]]] = {
    "LinearFunction": ("Gemm", lambda _f, _shape: {"transB": 1}),
    "Convolution2DFunction": ("Conv", _convolution),
    "MaxPoolingND": ("MaxPool", _pooling),
    "ReLU": ("Relu", _nothing),
    "Sigmoid": ("Sigmoid", _nothing),
    "Tanh": ("Tanh", _nothing),
    "Add": ("Add", _nothing),
    "Transpose": ("Transpose", lambda f, _shape: {"perm": list(f.axes)}),
    # The number of images is left open.
    "Reshape": ("Reshape", lambda _f, shape: {"shape": [-1, *shape[1:]]}),
}


def to_onnx(network: Any, shape: tuple[int, ...]) -> tuple[bytes, list[str]]:
    """The graph of a network for images of `shape` (h, w, c), and the weights that it uses.

    The graph takes float32 (n, h*w*c) and gives scores; weights are called as Chainer does.

    UserError where the network uses a function that is not in OPERATORS.
    """
    import chainer
    from onnx import TensorProto, helper

    images = chainer.Variable(np.zeros((_TRACED, math.prod(shape)), np.float32))
    with chainer.using_config("train", False), chainer.using_config("enable_backprop", True):
        scores = network(images)
    names = {id(parameter.node): path for path, parameter in network.namedparams()}
    parameters = dict(network.namedparams())
    used: dict[str, NDArray[np.float32]] = {}
    names[id(images.node)] = INPUT
    nodes, constants = [], []
    for number, function in enumerate(_in_order(scores, names)):
        kind = type(function).__name__
        if kind not in OPERATORS:
            raise UserError(
                f"Chainer's {kind} has no counterpart here: use engine chainer, or a network of "
                f"{', '.join(OPERATORS)}"
            )
        operator, attributes_of = OPERATORS[kind]
        output = function.outputs[0]()
        attributes = attributes_of(function, output.shape)
        inputs = []
        for node in function.inputs:
            if id(node) not in names:
                raise UserError("the network computes with an array that is not a parameter of it")
            inputs.append(name := names[id(node)])
            if name in parameters:
                used[name] = parameters[name].array
        if operator == "Reshape":
            target = np.array(attributes.pop("shape"), np.int64)
            constants.append(
                helper.make_tensor(
                    f"shape{number}", TensorProto.INT64, target.shape, target.tolist()
                )
            )
            inputs.append(f"shape{number}")
        last = output is scores.node
        names[id(output)] = OUTPUT if last else f"{operator.lower()}{number}"
        nodes.append(helper.make_node(operator, inputs, [names[id(output)]], **attributes))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", math.prod(shape)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", *scores.shape[1:]])],
        [_elsewhere(name, array) for name, array in used.items()] + constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    return model.SerializeToString(), list(used)


def _in_order(scores: Any, known: dict[int, str]) -> list[Any]:
    """Functions from the images to the scores, each after those that it needs."""
    order: list[Any] = []
    seen: set[int] = set()

    def visit(node: Any) -> None:
        function = node.creator_node
        if id(node) in known or function is None or id(function) in seen:
            return
        seen.add(id(function))
        for needed in function.inputs:
            visit(needed)
        order.append(function)

    visit(scores.node)
    return order


def _elsewhere(name: str, array: NDArray[np.float32]) -> Any:
    """A weight by name and shape, whose values the engine gets from the bundle."""
    from onnx import TensorProto

    tensor = TensorProto(
        name=name,
        data_type=TensorProto.FLOAT,
        dims=array.shape,
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (("location", "bundle"), ("offset", "0"), ("length", str(array.nbytes))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor
