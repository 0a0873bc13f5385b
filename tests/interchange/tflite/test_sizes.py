# SPDX-License-Identifier: MIT
"""Sizes that a file computes from shapes, as Keras writes a Flatten or a Reshape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn.interchange.tflite import from_tflite
from fixedpoint_nn.interchange.tflite.file import read
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.support.tflite_models import TYPES, ModelBuilder, options, run

RNG = np.random.default_rng(0)
IMAGE = (4, 3, 2)


class Sizes:
    """A model of one image, with whole numbers that are computed from its shape."""

    def __init__(self, dtype: str) -> None:
        self.model, self.dtype = ModelBuilder(), dtype
        self.about: dict[str, Any] = {} if dtype == "float32" else {"scale": 0.1, "zero": 3}
        self.x = self.model.input((1, *IMAGE), dtype, **self.about)
        self.shape = self.whole("SHAPE", [self.x], (4,), options("Shape", outType=TYPES["int32"]))

    def constant(self, *values: Any) -> int:
        return self.model.constant(np.array(values, np.int32))

    def whole(self, kind: str, inputs: list[int], shape: tuple[int, ...], made: Any = None) -> int:
        return self.model.operator(kind, inputs, shape, made, "int32")

    def size(self, axis: int) -> int:
        places = [self.constant(place) for place in (axis, axis + 1, 1)]
        made = options("StridedSlice", shrinkAxisMask=1)
        return self.whole("STRIDED_SLICE", [self.shape, *places], (), made)

    def check(self, kind: str, inputs: list[int], shape: tuple[int, ...], made: Any) -> None:
        y = self.model.operator(kind, inputs, shape, made, self.dtype, **self.about)
        blob = self.model.finish([y])
        x = RNG.integers(-100, 100, (5, *IMAGE)).astype(self.dtype)
        found = from_tflite(blob)(x)
        assert np.array_equal(found if self.dtype == "float32" else found.ints, run(blob, x))
        assert len(read(blob).operators) == 1


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_an_image_is_flattened_to_a_size_that_is_computed(dtype: str) -> None:
    sizes = Sizes(dtype)
    rows = sizes.whole("MUL", [sizes.size(1), sizes.size(2)], (), options("Mul"))
    made = options("Pack", valuesCount=3, axis=0)
    wanted = sizes.whole("PACK", [sizes.size(0), rows, sizes.size(3)], (3,), made)
    sizes.check("RESHAPE", [sizes.x, wanted], (1, 12, 2), options("Reshape", newShape=[]))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_an_image_is_enlarged_to_a_size_that_is_computed(dtype: str) -> None:
    sizes = Sizes(dtype)
    middle = sizes.whole("SLICE", [sizes.shape, sizes.constant(1), sizes.constant(2)], (2,), options("Slice"))
    double = sizes.whole("MUL", [middle, sizes.constant(2, 2)], (2,), options("Mul"))
    made = options("ResizeNearestNeighbor")
    sizes.check("RESIZE_NEAREST_NEIGHBOR", [sizes.x, double], (1, 8, 6, 2), made)


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MAXIMUM", "MINIMUM", "FLOOR_DIV", "DIV"])
def test_sizes_are_computed_as_the_interpreter_does(kind: str) -> None:
    sizes = Sizes("int8")
    names = {"FLOOR_DIV": "FloorDiv", "MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum"}
    made = options(names.get(kind, kind.capitalize()))
    one = sizes.whole(kind, [sizes.shape, sizes.constant(1, 2, 1, 1)], (4,), made)
    second = sizes.whole("GATHER", [one, sizes.constant(1)], (1,), options("Gather"))
    wanted = sizes.whole("CONCATENATION", [sizes.constant(1), second], (2,), options("Concatenation"))
    answer = {"ADD": 6, "SUB": 2, "MAXIMUM": 4, "MINIMUM": 2, "FLOOR_DIV": 2, "DIV": 2}[kind]
    data = {t.name: t.data for t in read(sizes.model.finish([sizes.x])).tensors}[f"t{wanted}"]
    assert data is not None and data.tolist() == [1, answer]


def test_sizes_of_nothing_known_are_refused() -> None:
    sizes = Sizes("int8")
    by_zero = sizes.whole("FLOOR_DIV", [sizes.size(1), sizes.constant(0)], (1,), options("FloorDiv"))
    y = sizes.model.operator(
        "RESHAPE", [sizes.x, by_zero], (1, 24), options("Reshape"), "int8", **sizes.about
    )
    with pytest.raises(UnsupportedModel, match=r"FLOOR_DIV 't\d+' is an operator that is not supported"):
        from_tflite(sizes.model.finish([y]))
