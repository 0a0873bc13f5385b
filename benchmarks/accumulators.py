# SPDX-License-Identifier: MIT
"""A 24-bit accumulator that saturates at every step: 256 x 784 x 128."""

from __future__ import annotations

import numpy as np

from benchmarks.timing import Comparison, Engine, Target, compare
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Overflow

TITLE = "24-bit per-step saturating accumulator, 256 x 784 x 128"
ROWS, TERMS, OUTPUTS = 256, 784, 128
SOME_ROWS, SOME_OUTPUTS = 1, 2
TARGETS = (Target("fixedpoint_nn", "fxpmath's loop", 2500),)


def run(rounds: int, clock: str) -> list[Comparison]:
    rng = np.random.default_rng(0)
    a, w = rng.integers(-2048, 2048, (ROWS, TERMS)), rng.integers(-2048, 2048, (TERMS, OUTPUTS))
    x, weight = FixedArray.from_ints(a, Q(12, 0)), FixedArray.from_ints(w, Q(12, 0))
    accumulator = Accumulator(Q(24, 0), Overflow.SATURATE)
    small, small_weight = FixedArray.from_ints(a // 16, Q(12, 0)), FixedArray.from_ints(w // 16, Q(12, 0))

    def in_integers() -> np.ndarray:
        total = np.zeros((ROWS, OUTPUTS), np.int64)
        for k in range(TERMS):
            total = np.clip(total + a[:, k, None] * w[k], -(2**23), 2**23 - 1)
        return total

    assert np.array_equal(x.dot(weight, accumulator).ints, in_integers()), "not the loop's integers"
    steps = ROWS * TERMS * OUTPUTS
    engines = [
        Engine("NumPy int64, step by step", in_integers, steps),
        Engine("fixedpoint_nn", lambda: x.dot(weight, accumulator), steps),
        Engine("fixedpoint_nn, proven safe by a bound", lambda: small.dot(small_weight, accumulator), steps),
    ]
    try:
        from fxpmath import Fxp

        def with_fxpmath() -> None:
            """A 24-bit register that is assigned to, step by step."""
            register = {"signed": True, "n_word": 24, "n_frac": 0, "overflow": "saturate"}
            for i in range(SOME_ROWS):
                row = x[i].to_fxp()
                for j in range(SOME_OUTPUTS):
                    column = weight[:, j].to_fxp()
                    total = Fxp(0, **register)
                    for k in range(TERMS):
                        total = Fxp(total + row[k] * column[k], **register)

        engines.append(Engine("fxpmath's loop", with_fxpmath, SOME_ROWS * TERMS * SOME_OUTPUTS))
    except ImportError:
        pass
    return [compare(TITLE, engines, "steps", rounds, clock, TARGETS)]
