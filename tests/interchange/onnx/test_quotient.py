# SPDX-License-Identifier: MIT
"""Quotients of two dequantised values, and layer normalisations that are written out around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from fixedpoint_nn import from_onnx
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.reader import imported_integers
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import model, node, reference
from tests.interchange.onnx.test_runtime_domain import TYPES, file_of

CODES = np.arange(-128, 128).astype(np.int8)
NEAR = 2.0**-9  # of a code: where floats and integers may round to different sides


def test_a_quotient_of_two_codes_is_the_runtimes_for_all_pairs() -> None:
    constants = {"s": np.float32(0.03), "z": np.int8(-5), "t": np.float32(0.07), "u": np.int8(9)}
    constants |= {"v": np.float32(0.05), "w": np.int8(1)}
    nodes = [
        node("DequantizeLinear", "x s z", "a"), node("DequantizeLinear", "d t u", "b"),
        node("Div", "a b", "c"), node("QuantizeLinear", "c v w", "y"),
    ]  # fmt: skip
    blob = file_of(nodes, {"x": [1], "d": [1]}, constants, TYPES["int8"][1])
    x, d = (codes.reshape(-1, 1) for codes in np.meshgrid(CODES, CODES[CODES != 9]))
    (theirs,) = reference(blob, {"x": x, "d": d})
    network: Any = from_onnx(blob)
    assert np.array_equal(network(x, d).ints, theirs)


def normalisation(n: int, scale: float) -> tuple[bytes, dict[str, Any]]:
    """x - mean over the square root of the rounded variance, as a quantiser of ONNX Runtime leaves it."""
    constants: dict[str, Any] = {
        "s": np.float32(scale), "z": np.int8(3), "two": np.float32(2), "eps": np.float32(1e-3),
        "sv": np.float32(scale**2 * 20), "zv": np.uint8(0), "sy": np.float32(0.02), "zy": np.int8(-7),
    }  # fmt: skip
    nodes = [
        node("DequantizeLinear", "x s z", "a"), node("ReduceMean", "a", "mean", axes=[-1]),
        node("Sub", "a mean", "d"), node("Pow", "d two", "squares"),
        node("ReduceMean", "squares", "var", axes=[-1]),
        node("QuantizeLinear", "var sv zv", "vq"), node("DequantizeLinear", "vq sv zv", "v"),
        node("Add", "v eps", "ve"), node("Sqrt", "ve", "deviation"), node("Div", "d deviation", "q"),
        node("QuantizeLinear", "q sy zy", "y"),
    ]  # fmt: skip
    kinds = {"x": TensorProto.INT8, "y": TensorProto.INT8, "vq": TensorProto.UINT8}
    return model(nodes, {"x": ["N", 3, n]}, ["y", "vq"], constants, kinds=kinds), constants


@pytest.mark.parametrize(("n", "scale"), [(5, 0.05), (12, 1 / 32), (96, 0.02)])
def test_a_written_out_normalisation_has_the_runtimes_codes(n: int, scale: float) -> None:
    blob, about = normalisation(n, scale)
    rng = np.random.default_rng(n)
    x = np.clip(
        np.rint(rng.normal(0, 1, (200, 3, n)) * rng.choice([1, 4, 25], (200, 1, 1))), -128, 127
    ).astype(np.int8)
    found = imported_integers(read(blob))
    theirs = reference(blob, {"x": x})
    ours = [door.filed_values(y.ints) for door, y in zip(found.outputs, found.net(x), strict=True)]
    real = (x.astype(np.longdouble) - 3) * about["s"]
    real -= real.mean(-1, keepdims=True)
    codes = theirs[1].astype(np.longdouble)
    steps = (real**2).mean(-1, keepdims=True) / about["sv"]
    clear = np.abs(steps - np.floor(steps) - 0.5) > NEAR
    assert np.array_equal(ours[1][clear], theirs[1][clear])
    steps = real / np.sqrt(codes * about["sv"] + about["eps"]) / about["sy"]
    clear = (np.abs(steps - np.floor(steps) - 0.5) > NEAR) & (ours[1] == theirs[1])
    assert np.array_equal(ours[0][clear], theirs[0][clear])
    assert clear.mean() > 0.9


def test_a_divisor_that_is_not_rounded_is_refused() -> None:
    constants = {"s": np.float32(0.03), "z": np.int8(0), "axes": np.array([1])}
    nodes = [
        node("DequantizeLinear", "x s z", "a"), node("ReduceSum", "a axes", "total"), node("Mul", "total total", "b"),
        node("Div", "a b", "c", name="share"), node("QuantizeLinear", "c s z", "y"),
    ]  # fmt: skip
    with pytest.raises(UnsupportedModel, match=r"'share' .*: it divides by values of more than 16 bits"):
        from_onnx(file_of(nodes, {"x": [40]}, constants, TYPES["int8"][1]))
