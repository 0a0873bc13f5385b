# SPDX-License-Identifier: MIT
"""MLP 784-128-64-10: images per second, beside plain NumPy float32, fxpmath and apytypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.timing import Comparison, Engine, Target, compare
from benchmarks.uniform import uniform
from fixedpoint_nn.layers import ReLU, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import UQ, Q
from fixedpoint_nn.numerics.quantizer import Quantizer

TITLE = "MLP 784-128-64-10, 10,000 images"
IMAGES, FEW = 10_000, 100
SIXTEEN = Quantizer.parse("ap_fixed<16,6,AP_RND_CONV,AP_SAT>")
TARGETS = (
    Target("fixedpoint_nn, 16 bits", "NumPy float32", 0.45),
    Target("fixedpoint_nn, 8 bits", "NumPy float32", 0.8),
    Target("fixedpoint_nn, 16 bits", "fxpmath, 16 bits", 30),
    Target("fixedpoint_nn, 16 bits", "apytypes, 16 bits", 6),
)


def pictures() -> Array:
    """As sparse as written digits: a fifth of the pixels is not black."""
    rng = np.random.default_rng(0)
    return (rng.random((IMAGES, 784)) * (rng.random((IMAGES, 784)) < 0.2)).astype(np.float32)


def network() -> Sequential:
    make = Initialiser(0)
    return Sequential(
        fc1=make.dense(784, 128), relu1=ReLU(), fc2=make.dense(128, 64), relu2=ReLU(), fc3=make.dense(64, 10)
    )


def dense_layers(net: Sequential) -> list[tuple[Array, Array]]:
    return [(net[name].weight.data, net[name].bias.data) for name in ("fc1", "fc2", "fc3")]  # type: ignore


def plain(x: Array, parameters: list[tuple[Array, Array]]) -> Array:
    for i, (w, b) in enumerate(parameters):
        x = x @ w + b
        if i < 2:
            x = np.maximum(x, 0)
    return x


def integers(x: Array, parameters: list[tuple[Array, Array]]) -> Array:
    """The same network in NumPy's integers, written out: round half to even and saturate to 16 bits."""
    for i, (w, b) in enumerate(parameters):
        total = x @ w + (b << 10)
        low, rest = total >> 10, total & 1023
        total = np.clip(low + ((rest > 512) | ((rest == 512) & (low & 1 == 1))), -32768, 32767)
        x = np.maximum(total, 0) if i < 2 else total
    return x


def with_fxpmath(x: Array, parameters: list[tuple[Array, Array]]) -> Array:
    from fxpmath import Fxp

    def fixed(v: Any, raw: bool = False) -> Any:
        return Fxp(v, signed=True, n_word=16, n_frac=10, rounding="around", overflow="saturate", raw=raw)

    value = fixed(x)
    for i, (w, b) in enumerate(parameters):
        value = fixed(value.dot(fixed(w)) + fixed(b))
        if i < 2:
            value = fixed(np.maximum(value.val, 0), raw=True)
    return np.asarray(value.val)


def with_apytypes(x: Array, parameters: list[tuple[Array, Array]]) -> Array:
    from apytypes import APyFixedArray, OverflowMode, QuantizationMode

    def fixed(v: Any) -> Any:
        return v.cast(6, 10, QuantizationMode.RND_CONV, OverflowMode.SAT)

    def exact(v: Array) -> Any:
        # from_float itself knows no modes: convert with bits to spare, then round.
        return fixed(APyFixedArray.from_float(v, int_bits=16, frac_bits=40))

    value = exact(x)
    for i, (w, b) in enumerate(parameters):
        value = fixed(value @ exact(w) + exact(b))
        if i < 2:
            bits = value.to_bits(numpy=True).view(np.int16)
            value = APyFixedArray.from_array(np.maximum(bits, 0).astype(np.float32) / 1024, 6, 10)
    return np.asarray(value.to_bits(numpy=True)).view(np.int16)


def run(rounds: int, clock: str) -> list[Comparison]:
    net, x = network(), pictures()
    parameters = dense_layers(net)
    sixteen = uniform(net, SIXTEEN, SIXTEEN, SIXTEEN)
    eight = uniform(net, Quantizer(Q(1, 7)), Quantizer(Q(4, 4)), Quantizer(UQ(0, 8)))
    x16, x8 = FixedArray.from_float(x, sixteen.input), FixedArray.from_float(x, eight.input)

    as_ints = [(SIXTEEN.from_floats(w), SIXTEEN.from_floats(b)) for w, b in parameters]
    expected = integers(x16.ints[:FEW], as_ints)
    few = x[:FEW]
    assert np.array_equal(sixteen(x16).ints[:FEW], expected), "not bit-equal to integer NumPy"
    engines = [
        Engine("NumPy float32", lambda: plain(x, parameters), IMAGES),
        Engine("fixedpoint_nn, 16 bits", lambda: sixteen(x16), IMAGES),
        Engine("fixedpoint_nn, 16 bits, from floats", lambda: sixteen(x), IMAGES),
        Engine("fixedpoint_nn, 8 bits", lambda: eight(x8), IMAGES),
        Engine("fixedpoint_nn, 8 bits, from floats", lambda: eight(x), IMAGES),
        Engine("integer NumPy, 16 bits", lambda: integers(x16.ints[:FEW], as_ints), FEW),
    ]
    for name, peer in (("fxpmath", with_fxpmath), ("apytypes", with_apytypes)):
        try:
            same = np.array_equal(peer(few, parameters), expected)
        except ImportError:
            continue
        assert same, f"{name} gives other integers"
        engines.append(Engine(f"{name}, 16 bits", lambda peer=peer: peer(few, parameters), FEW))
    return [compare(TITLE, engines, "images", rounds, clock, TARGETS)]
