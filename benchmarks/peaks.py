# SPDX-License-Identifier: MIT
"""What this processor can do on one thread: large matrix products, and moving memory. The roofs of the roofline."""

from __future__ import annotations

import numpy as np

from benchmarks.timing import Comparison, Engine, compare
from fixedpoint_nn.numerics.native.library import Epilogue, Source, chosen

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
    kernels = chosen().kernels
    if kernels is not None:
        for name, bits, low, high in ((BYTES, 8, 0, 256), (WORDS, 16, -4096, 4096)):
            rows = rng.integers(low, high, (SIDE, SIDE)).astype(np.float32)
            packed = kernels.pack(rng.integers(-128, 128, (SIDE, SIDE)), bits)
            source = Source(rows, SIDE, SIDE)

            def multiply(bits: int = bits, packed: np.ndarray = packed, source: Source = source) -> None:
                kernels.product(source, packed, SIDE, bits, 0, None, None, Epilogue(), out)

            engines.append(Engine(name, multiply, SIDE**3))
    from_here, to_there = np.ones(MEMORY, np.uint8), np.empty(MEMORY, np.uint8)
    engines.append(Engine(COPY, lambda: np.copyto(to_there, from_here), 2 * MEMORY))
    return [compare("The processor's limits, one thread", engines, "operations", rounds, clock)]
