# SPDX-License-Identifier: MIT
"""1,000,000 floats to 16 bits, rounded half to even and saturated."""

from __future__ import annotations

import numpy as np

from benchmarks.timing import Comparison, Engine, Target, compare
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Quantizer

TITLE = "quantising 1,000,000 float64 values"
COUNT = 1_000_000
LEAST = 15
# Each with the results in its own form, and both with them in int64.
TARGETS = tuple(Target(f"fixedpoint_nn{form}", f"apytypes{form}", LEAST) for form in ("", ", to int64"))


def run(rounds: int, clock: str) -> list[Comparison]:
    x = np.random.default_rng(0).standard_normal(COUNT)
    quantizer = Quantizer(Q(6, 10))
    engines = [
        Engine("plain NumPy", lambda: np.clip(np.rint(x * 1024), -32768, 32767).astype(np.int16), COUNT),
        Engine("fixedpoint_nn", lambda: FixedArray.from_float(x, quantizer), COUNT),
        Engine("fixedpoint_nn, to int64", lambda: quantizer.from_floats(x), COUNT),
    ]
    try:
        from fxpmath import Fxp

        modes = {"rounding": "around", "overflow": "saturate"}
        engines.append(Engine("fxpmath", lambda: Fxp(x, signed=True, n_word=16, n_frac=10, **modes), COUNT))
    except ImportError:
        pass
    try:
        from apytypes import APyFixedArray, OverflowMode, QuantizationMode

        def with_apytypes() -> APyFixedArray:
            wide = APyFixedArray.from_float(x, int_bits=16, frac_bits=40)
            return wide.cast(6, 10, QuantizationMode.RND_CONV, OverflowMode.SAT)

        def to_int64() -> Ints:
            return with_apytypes().to_bits(numpy=True).view(np.int16).astype(np.int64)

        assert np.array_equal(to_int64(), quantizer.from_floats(x)), "apytypes gives other integers"
        engines.append(Engine("apytypes", with_apytypes, COUNT))
        engines.append(Engine("apytypes, to int64", to_int64, COUNT))
        engines.append(
            # Its own rounding, ties away from zero, and no saturation: another conversion.
            Engine("apytypes, from_float alone", lambda: APyFixedArray.from_float(x, 6, 10), COUNT)
        )
    except ImportError:
        pass
    return [compare(TITLE, engines, "values", rounds, clock, TARGETS)]
