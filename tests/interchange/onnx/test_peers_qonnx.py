# SPDX-License-Identifier: MIT
"""QONNX files against the executor of the package `qonnx`, and Brevitas' own networks against Brevitas."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("qonnx", reason="QONNX is in the `peers` extra")

from fixedpoint_nn import Q, Quantizer, from_qonnx
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.reader import imported_integers
from tests.interchange.onnx.models import node

pytestmark = pytest.mark.peers
DOMAIN = "qonnx.custom_op.general"
MODES = ("ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
seeds = st.integers(0, 1 << 30)


class RandomQONNX:
    """A chain of products, batch normalisations and quantisers of every kind."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        images = self.rng.random() < 0.6
        self.input = (int(self.rng.integers(1, 4)), 5, 4) if images else (int(self.rng.integers(2, 8)),)
        shape: tuple[int, ...] = self.input
        value = self.quant("x", 1, self.scale(-3), 8, 1, 0, "ROUND", even=True)
        for _ in range(3):
            outputs = int(self.rng.integers(2, 5))
            value = self.product(value, shape, outputs)
            shape = (
                (outputs, shape[1] - 1, shape[2] - 1)
                if len(shape) == 3 and min(shape[1:]) > 2
                else (outputs, *shape[1:])
            )
            if self.rng.random() < 0.6:
                value = self.normalised(value, outputs)
            if self.rng.random() < 0.5:
                value = self.add("Relu", value)
            value = self.rounded(value, outputs, len(shape))
        self.output = value

    def scale(self, power: int) -> Any:
        """A power of two, so that the executor's sums are exact."""
        return np.float32(2.0**power)

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = np.asarray(value, np.float32)
        return name

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        made = node(op, " ".join(inputs), name, **attributes)
        made.domain = domain
        self.nodes.append(made)
        return name

    def quant(
        self,
        x: str,
        sign: int,
        scale: Any,
        bits: int,
        signed: int,
        narrow: int,
        mode: str,
        even: bool = False,
    ) -> str:
        zero = 0 if signed or even else int(self.rng.integers(0, 3))
        operands = (self.constant(sign * scale), self.constant(zero), self.constant(bits))
        about = {"signed": signed, "narrow": narrow, "rounding_mode": mode}
        return self.add("Quant", x, *operands, domain=DOMAIN, **about)

    def product(self, x: str, shape: tuple[int, ...], outputs: int) -> str:
        images = len(shape) == 3
        kernel = (2, 2) if images and min(shape[1:]) > 2 else (1, 1)
        sizes = (outputs, shape[0], *kernel) if images else (shape[0], outputs)
        raw = self.constant(self.rng.normal(0, 1, sizes))
        each = [-1 if images and axis else 1 for axis in range(len(sizes))]
        each = (outputs, *([1] * (len(sizes) - 1))) if images else (1, outputs)
        signs = self.rng.choice([-1, 1], each)
        if self.rng.random() < 0.3:
            weight = self.add("BipolarQuant", raw, self.constant(self.scale(-1)), domain=DOMAIN)
        else:
            scales = np.exp2(self.rng.integers(-4, -1, each)) * signs
            weight = self.quant(raw, 1, scales, 4, 1, int(self.rng.integers(2)), "ROUND", even=True)
        if not images:
            return self.add(
                "Add",
                self.add("MatMul", x, weight),
                self.constant(np.round(self.rng.normal(0, 9, outputs)) / 8),
            )
        return self.add("Conv", x, weight, self.constant(np.round(self.rng.normal(0, 9, outputs)) / 8))

    def normalised(self, x: str, channels: int) -> str:
        gain = np.exp2(self.rng.integers(-2, 2, channels)) * self.rng.choice([-1, 1], channels)
        shift, mean = (np.round(self.rng.normal(0, 8, channels)) / 4 for _ in range(2))
        operands = map(self.constant, (gain, shift, mean, np.ones(channels)))
        return self.add("BatchNormalization", x, *operands, epsilon=0.0)

    def rounded(self, x: str, channels: int, rank: int) -> str:
        kind = self.rng.integers(5)
        if kind == 0:
            return self.add("BipolarQuant", x, self.constant(self.scale(-1)), domain=DOMAIN)
        if kind == 1:
            rows = channels if self.rng.random() < 0.7 else 1
            thresholds = np.sort(np.round(self.rng.normal(0, 12, (rows, 7)) * 8) / 8, axis=1)
            about = {"out_dtype": "INT4", "out_scale": 0.5, "out_bias": float(self.rng.choice([0.0, -2.0]))}
            return self.add("MultiThreshold", x, self.constant(thresholds), domain=DOMAIN, **about)
        scale = self.scale(int(self.rng.integers(-3, 1)))
        signed, narrow = (int(n) for n in self.rng.integers(2, size=2))
        sign = -1 if self.rng.random() < 0.2 else 1
        mode = MODES[int(self.rng.integers(len(MODES)))]
        made = self.quant(x, sign, scale, int(self.rng.integers(2, 9)), signed, narrow, mode)
        if kind == 2 and sign > 0:
            bits = (self.constant(8), self.constant(8 - int(self.rng.integers(1, 4))))
            wide = self.quant(x, 1, scale, 8, 1, 0, "ROUND", even=True)
            way = ("FLOOR", "CEIL", "ROUND")[int(self.rng.integers(3))]
            return self.add(
                "Trunc", wide, self.constant(scale), self.constant(0), *bits, domain=DOMAIN, rounding_mode=way
            )
        return made

    def proto(self) -> Any:
        kept, needed = [], {self.output}
        for made in reversed(self.nodes):
            if needed.intersection(made.output):
                needed.update(made.input)
                kept.append(made)
        graph = helper.make_graph(
            kept[::-1],
            "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, *self.input])],
            [helper.make_tensor_value_info(self.output, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def executed(proto: Any, x: Any) -> Any:
    """What the package's own executor computes."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = ModelWrapper(proto).transform(InferShapes())
        (result,) = execute_onnx(wrapped, {"x": x}).values()
    return result


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_random_files_of_every_quantiser(seed: int) -> None:
    random = RandomQONNX(seed)
    proto = random.proto()
    x = np.random.default_rng(seed + 1).normal(0, 6, (4, *random.input)).astype(np.float32)
    found = imported_integers(read(proto.SerializeToString()))
    (door,), (outlet,) = found.inputs, found.outputs
    got = outlet.filed_values(found.net(door.inward(x)).ints)
    assert np.array_equal(got, executed(proto, x))


def test_an_input_that_is_not_quantised_needs_a_quantizer() -> None:
    random = RandomQONNX(5)
    random.nodes = [made for made in random.nodes if "x" not in made.input]
    first = next(made for made in random.nodes if "v0" in made.input)
    first.input[0] = "x"
    proto = random.proto()
    with pytest.raises(ValueError, match=r"input=Quantizer\(Q\(2, 14\)\)"):
        from_qonnx(proto.SerializeToString())
    x = np.round(np.random.default_rng(1).normal(0, 6, (4, *random.input)) * 16).astype(np.float32) / 16
    quantizer = Quantizer(Q(7, 4))
    found = imported_integers(read(proto.SerializeToString()), quantizers=quantizer)
    (door,), (outlet,) = found.inputs, found.outputs
    got = outlet.filed_values(found.net(door.inward(x)).ints)
    assert np.array_equal(got, executed(proto, x))
    assert from_qonnx(proto.SerializeToString(), input=quantizer).input == quantizer


def brevitas_network(convolutions: bool) -> tuple[Any, tuple[int, ...]]:
    """A network of 4-bit weights and activations, with batch normalisation in it, as its users write them."""
    torch = pytest.importorskip("torch", reason="PyTorch is in the `peers` extra")
    nn = pytest.importorskip("brevitas.nn", reason="Brevitas is in the `peers` extra")
    torch.manual_seed(0)
    four = {"weight_bit_width": 4, "bias": False}
    if convolutions:
        parts = [
            nn.QuantIdentity(bit_width=8), nn.QuantConv2d(1, 6, 3, padding=1, **four), torch.nn.BatchNorm2d(6),
            nn.QuantReLU(bit_width=4), torch.nn.MaxPool2d(2), nn.QuantConv2d(6, 8, 3, **four),
            nn.QuantReLU(bit_width=4), torch.nn.Flatten(), nn.QuantLinear(128, 10, **four),
            nn.QuantIdentity(bit_width=8),
        ]  # fmt: skip
        shape: tuple[int, ...] = (1, 12, 12)
    else:
        parts = [
            nn.QuantIdentity(bit_width=8), nn.QuantLinear(20, 32, **four), torch.nn.BatchNorm1d(32),
            nn.QuantReLU(bit_width=4), nn.QuantLinear(32, 16, **four), nn.QuantReLU(bit_width=4),
            nn.QuantLinear(16, 5, **four), nn.QuantIdentity(bit_width=8),
        ]  # fmt: skip
        shape = (20,)
    net = torch.nn.Sequential(*parts)
    for _ in range(20):  # statistics of the batches and of the ranges
        net(torch.randn(64, *shape))
    return net.eval(), shape


@pytest.mark.parametrize("convolutions", [False, True])
def test_brevitas_networks_of_four_bits(convolutions: bool, tmp_path: Path) -> None:
    import torch

    net, shape = brevitas_network(convolutions)
    from brevitas.export import export_qonnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(net, torch.randn(1, *shape), str(tmp_path / "net.onnx"))
    found = imported_integers(read(tmp_path / "net.onnx"))
    x = torch.randn(500, *shape)
    with torch.no_grad():
        theirs = net(x)
    theirs = theirs.value if hasattr(theirs, "value") else theirs
    (door,), (outlet,) = found.inputs, found.outputs
    integers = found.net(door.inward(x.numpy())).ints
    scale = outlet.meaning.of.scale
    assert np.array_equal(integers, np.rint(theirs.numpy() / np.float32(scale)).astype(np.int64))
    assert len(np.unique(integers)) > 20
