# SPDX-License-Identifier: MIT
"""Layers over pixels in an order of more loops than the engine has: the network's words, by copies before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Tensor, calibrate, layers, quantize
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin

RNG = np.random.default_rng(3)
WINDOWS = (  # as a shifted-window transformer makes of an image of 4 x 6 pixels: 6 windows of 2 x 2
    layers.Reshape((2, 2, 3, 2, 4)),
    layers.Transpose((0, 1, 3, 2, 4, 5)),
    layers.Reshape((6, 4, 4)),
)


def number(value: float) -> Tensor:
    return Tensor(np.float32(value))


def floats(*shape: int) -> Tensor:
    return Tensor(RNG.standard_normal(shape).astype(np.float32))


LAYERS: dict[str, tuple[Any, ...]] = {
    "clip": (layers.Clip(number(-0.5), number(0.75)),),
    "absolute": (layers.Abs(),),
    "dense": (layers.Dense(floats(4, 5), floats(5)),),
    "softmax": (layers.Softmax(),),
    "maximum over pixels": (layers.Transpose((0, 2, 1, 3)), layers.Largest((2,))),
}


def check(*parts: Any, shape: tuple[int, ...]) -> None:
    net: Any = layers.Sequential(*parts)
    x = RNG.standard_normal((4, *shape)).astype(np.float32)
    fixed: Any = quantize(net, calibrate(net, x, word=8))
    engine = lower(fixed.net, shape, fixed.input.format, lanes=4)
    sample = FixedArray.from_float(x[:1], fixed.input)
    twin = Twin(engine.config, engine.images, engine.input, sample.ints.reshape(-1).astype(np.int64))
    twin.run()
    words = np.concatenate([twin.read(address) for address in engine.output.addresses().tolist()])
    assert np.array_equal(words, fixed(sample).ints.reshape(-1))


@pytest.mark.parametrize("name", LAYERS)
def test_the_engine_computes_the_networks_words(name: str) -> None:
    check(*WINDOWS, *LAYERS[name], shape=(4, 6, 4))


def test_a_pixel_shuffle_before_a_clip_fits() -> None:
    shuffle = layers.Reshape((3, 4, 2, 2, 3)), layers.Transpose((0, 1, 3, 2, 4, 5)), layers.Reshape((6, 8, 3))
    clip = layers.Clip(number(0), number(1))
    check(layers.Dense(floats(4, 12), floats(12)), *shuffle, clip, shape=(3, 4, 4))
