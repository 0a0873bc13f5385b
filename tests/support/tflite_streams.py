# SPDX-License-Identifier: MIT
"""A model that keeps a variable between calls, as streaming wake words do."""

from __future__ import annotations

import numpy as np

from tests.support.tflite_models import ModelBuilder, options

SCALE = {"scale": 0.1, "zero": -3}
OUT = {"scale": 0.25, "zero": 5}
WINDOW, FEATURES = 4, 3


def streaming(zero: int = -3) -> tuple[bytes, np.ndarray]:
    """A convolution over the newest of four frames, of which a variable keeps the last three; and frames."""
    rng = np.random.default_rng(0)
    model = ModelBuilder()
    x = model.input((1, 1, 1, FEATURES), **SCALE)
    held = (1, WINDOW - 1, 1, FEATURES)
    model.variable("frames", np.full(held, zero, np.int8), **SCALE)
    before = model.read("frames", held, **SCALE)
    joined = model.operator(
        "CONCATENATION", [before, x], (1, WINDOW, 1, FEATURES), options("Concatenation", axis=1), **SCALE
    )
    places = [model.constant(np.array(place, np.int32)) for place in ([0, 1, 0, 0], [-1, -1, -1, -1])]
    after = model.operator("SLICE", [joined, *places], held, options("Slice"), **SCALE)
    model.assign("frames", after)
    weights = model.constant(rng.integers(-127, 128, (2, WINDOW, 1, FEATURES)).astype(np.int8), scale=0.02)
    bias = model.constant(rng.integers(-500, 500, 2).astype(np.int32), scale=0.002)
    made = options("Conv2D", padding=1, strideH=1, strideW=1)
    y = model.operator("CONV_2D", [joined, weights, bias], (1, 1, 1, 2), made, **OUT)
    frames = rng.integers(-128, 128, (30, 1, 1, FEATURES)).astype(np.int8)
    return model.finish([y]), frames
