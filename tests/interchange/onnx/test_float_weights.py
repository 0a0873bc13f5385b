# SPDX-License-Identifier: MIT
"""Weights that a quantised file keeps as floats: rounded finer than the float sums of the runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.reader import imported_integers
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import reference
from tests.interchange.onnx.test_normalizing import between, samples, scaled

IMAGE = (4, 5, 6)
PRODUCTS: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "Conv": ("Conv", IMAGE, (6, 2, 3, 3), {"group": 2, "pads": [1, 0, 1, 0]}),
    "ConvTranspose": ("ConvTranspose", IMAGE, (4, 3, 2, 2), {"group": 2, "strides": [2, 2]}),
    "MatMul": ("MatMul", (3, 7), (7, 5), {}),
    "MatMul of a vector": ("MatMul", (3, 7), (7,), {}),
    "Gemm": ("Gemm", (7,), (7, 5), {}),
    "Gemm, transposed": ("Gemm", (7,), (5, 7), {"transB": 1}),
}


def drawn(case: str, seed: int = 0) -> tuple[bytes, Any]:
    """A product between quantisers, whose outputs have weights of very different sizes, and codes for it."""
    op, shape, sizes, about = PRODUCTS[case]
    rng = np.random.default_rng(seed)
    by_output = [1] * len(sizes)
    axis = len(sizes) - 1 if case in ("MatMul", "Gemm") else 0
    by_output[axis] = sizes[axis]
    weights = rng.normal(size=sizes) * np.exp(rng.uniform(-4, 1, by_output))
    x, y = scaled("int8", rng, 0.04), scaled("int8", rng, 0.3, 0)
    return between(op, "int8", shape, x, y, {"w": weights.astype(np.float32)}, **about), samples(
        "int8", shape, rng
    )


@pytest.mark.parametrize("case", PRODUCTS)
def test_codes_are_the_runtimes(case: str) -> None:
    blob, codes = drawn(case)
    found = imported_integers(read(blob))
    (theirs,) = reference(blob, {"x": codes})
    ours = found.outputs[0].filed_values(found.net(found.inputs[0].inward(codes)).ints)
    assert len(np.unique(theirs)) > 10
    assert np.array_equal(ours, theirs)


def test_the_engine_computes_the_same_words() -> None:
    blob, codes = drawn("ConvTranspose")
    found = imported_integers(read(blob))
    x = found.inputs[0].inward(codes[:3])
    assert np.array_equal(RtlModel(found.net, lanes=4)(x).ints, found.net(x).ints)


def test_infinite_weights_are_refused() -> None:
    x = scaled("int8", np.random.default_rng(0), 0.04)
    weights = np.array([[np.inf, 1], [1, 1]], np.float32)
    with pytest.raises(UnsupportedModel, match="its weights hold infinity or nan"):
        imported_integers(read(between("MatMul", "int8", (3, 2), x, x, {"w": weights})))
