# SPDX-License-Identifier: MIT
"""What this processor can do on one thread: large matrix products, and moving memory. The roofs of the roofline."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.timing import Comparison, Engine, compare
from fixedpoint_nn import UQ, FixedArray, Q, Quantizer
from fixedpoint_nn.layers import Dense, Sequential
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.native.library import chosen

SIDE = 1024  # of the square matrices: large enough that nothing but the multipliers counts
MEMORY = 1 << 26  # bytes, far more than the caches hold
BLAS, BYTES, WORDS, COPY = (
    "float32, BLAS",
    "8 bits, compiled kernel",
    "16 bits, compiled kernel",
    "bytes copied in memory",
)


def run(rounds: int, clock: str) -> list[Comparison]:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((SIDE, SIDE)).astype(np.float32) for _ in range(2))
    out = np.empty_like(a)
    engines = [Engine(BLAS, lambda: np.matmul(a, b, out=out), SIDE**3)]
    if chosen().kernels is not None:
        for name, word in ((BYTES, 8), (WORDS, 16)):
            top = 1 << (word - 1)
            weight = FixedArray.from_ints(rng.integers(-top // 8, top // 8, (SIDE, SIDE)), Q(1, word - 1))
            layer = Sequential(dense=Dense(weight, None, Quantizer(Q(6, word - 6))))
            fixed = Quantized(layer, Quantizer(UQ(0, word)))
            rows = FixedArray.from_float(rng.random((SIDE, SIDE)), fixed.input)
            engines.append(Engine(name, partial(fixed, rows), SIDE**3))
    from_here, to_there = np.ones(MEMORY, np.uint8), np.empty(MEMORY, np.uint8)
    engines.append(Engine(COPY, lambda: np.copyto(to_there, from_here), 2 * MEMORY))
    return [compare("The processor's limits, one thread", engines, "operations", rounds, clock)]
