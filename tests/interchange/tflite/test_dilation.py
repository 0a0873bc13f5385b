# SPDX-License-Identifier: MIT
"""Batches of every n-th pixel: read as dilated convolutions, compared, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.tflite import from_tflite
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.support.tflite_models import ModelBuilder, options


def model(between: str = "", stride: int = 1, dtype: str = "int8", end: bool = True) -> bytes:
    """A 3 x 3 convolution of every second pixel, and perhaps one more operator."""
    made = ModelBuilder()
    about: dict[str, Any] = {} if dtype == "float32" else {"scale": 0.05, "zero": 3}
    about["dtype"] = dtype
    rng = np.random.default_rng(0)
    x = made.input((1, 6, 8, 2), **about)
    block, edges = np.array([2, 2], np.int32), np.array([[2, 2], [2, 2]], np.int32)
    takes = [x, made.constant(block), made.constant(edges)]
    y = made.operator("SPACE_TO_BATCH_ND", takes, (4, 5, 6, 2), options("SpaceToBatchND"), **about)
    if dtype == "float32":
        weight = made.constant(rng.standard_normal((3, 3, 3, 2)).astype(np.float32))
        bias = made.constant(rng.standard_normal(3).astype(np.float32))
    else:
        weight = made.constant(rng.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8), scale=0.02)
        bias = made.constant(rng.integers(-99, 99, 3).astype(np.int32), scale=0.001)
    window = options("Conv2D", padding=1, strideH=stride, strideW=stride)
    sizes = (3, 4) if stride == 1 else (2, 2)
    y = made.operator("CONV_2D", [y, weight, bias], (4, *sizes, 3), window, **about)
    if between == "MEAN":
        axes = made.constant(np.array([1, 2], np.int32))
        y = made.operator("MEAN", [y, axes], (4, 1, 1, 3), options("Reducer", keepDims=True), **about)
    if end:
        crops = made.constant(np.zeros((2, 2), np.int32))
        shape = (1, 2 * sizes[0], 2 * sizes[1], 3)
        y = made.operator(
            "BATCH_TO_SPACE_ND", [y, takes[1], crops], shape, options("BatchToSpaceND"), **about
        )
    return made.finish([y])


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_such_files_are_compared_tensor_by_tensor(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "dilated.tflite"
    path.write_bytes(model(dtype=dtype))
    x = np.random.default_rng(1).integers(-128, 128, (3, 6, 8, 2))
    found = compare(path, x.astype(dtype))
    assert (found.equal, found.exact) == (True, dtype == "int8")


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        (
            {"between": "MEAN"},
            "has a MEAN .* where convolutions with a stride of 1 and operators on each pixel",
        ),
        ({"stride": 2}, r"has a CONV_2D .* with a stride, on every \[2, 2\] pixels"),
        ({"end": False}, "ends between a SPACE_TO_BATCH_ND and its BATCH_TO_SPACE_ND"),
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_what_does_not_keep_the_pixels_apart_is_refused(
    about: dict[str, Any], reason: str, dtype: str
) -> None:
    with pytest.raises(UnsupportedModel, match=reason):
        from_tflite(model(dtype=dtype, **about))
