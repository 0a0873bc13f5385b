# SPDX-License-Identifier: MIT
"""Memory of inference: the network and the highest level of its first call, beside the float32 network's.

`resnet50` for images of 32 x 32 pixels, eight at a time. The float network's memory is its parameters and a pass
without a tape; the quantised network's is its integers, what the first call makes of them and keeps, and the pass.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.networks import ALONE, in_numpy
from benchmarks.timing import Comparison, Target
from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native import library

NAME, SHAPE, SAMPLES = "resnet50", (8, 32, 32, 1), 4
FLOAT = "float32 network"
MOST = 1.5  # times the float network's memory
GIGABYTE = 1 << 30


def highest(make: Callable[[], Any], use: Callable[[Any], Any]) -> int:
    """The bytes of what `make` returns, and of a first use of it, at the highest level during the use."""
    tracemalloc.start()
    thing = make()
    gc.collect()
    tracemalloc.reset_peak()
    use(thing)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def float_network() -> Any:
    return zoo.build(NAME, seed=0)


def quantized(x: Array, word: int) -> Any:
    net = float_network()
    return quantize(net, calibrate(net, x[:SAMPLES], word=word))


def run(rounds: int, clock: str) -> list[Comparison]:
    """One comparison; the figures do not depend on a clock, and are the same in every round."""
    x = np.random.default_rng(0).random(SHAPE).astype(np.float32)

    def pass_of_floats(net: Any) -> None:
        with no_gradient():
            net(as_input(x))

    def pass_of_integers(fixed: Any) -> None:
        fixed(x)

    bytes_of = {FLOAT: highest(float_network, pass_of_floats)}
    if library.chosen().kernels is not None:
        for word in (8, 16):
            bytes_of[f"{word} bits"] = highest(lambda word=word: quantized(x, word), pass_of_integers)  # type: ignore[misc]
    alone = f"8 bits, {ALONE}"
    in_numpy(lambda: bytes_of.update({alone: highest(lambda: quantized(x, 8), pass_of_integers)}))()
    rates = {name: [GIGABYTE / size] for name, size in bytes_of.items()}
    targets = [Target(name, FLOAT, 1 / MOST) for name in ("8 bits", alone)]
    batch, height, width, _ = SHAPE
    title = f"Memory of {NAME}, {height} x {width} pixels, batch {batch}, first call"
    return [Comparison(title, "networks", rates, targets, per="gigabyte")]
