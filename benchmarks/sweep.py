# SPDX-License-Identifier: MIT
"""A sweep of 15 word lengths of fashion_mlp over 10,000 test images, beside plain float32 passes and fxpmath.

The sweep is the real one: calibration, plans, the quantised passes, the metric with its interval, the ledger, the
noise of each layer and the store. fxpmath computes a few images at one word length, and is extrapolated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.references import reference
from benchmarks.timing import Comparison, Engine, Target, check_baseline, compare
from fixedpoint_nn import zoo
from fixedpoint_nn.data import DataError
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision import sweep

TITLE = "Sweep of 15 word lengths of fashion_mlp, 10,000 images: passes (one word length of all images)"
WORDS = range(2, 17)
FEW = 50
PASSES = 25
TARGETS = (Target("fixedpoint_nn, the whole sweep", "NumPy float32", len(WORDS) / PASSES),)


def images() -> tuple[Array, Array, Array]:
    """The test images and labels, and images to calibrate on; random ones where the data set is missing."""
    entry = zoo.entry("fashion_mlp")
    try:
        (x, y), (other, _) = entry.examples("test"), entry.examples("train")
    except DataError:
        rng = np.random.default_rng(0)
        x = (rng.random((10_000, 28, 28, 1)) * (rng.random((10_000, 28, 28, 1)) < 0.5)).astype(np.float32)
        y, other = rng.integers(0, 10, 10_000), x
    return x, y, other[:500]


def with_fxpmath(x: Array, parameters: list[tuple[Array, Array]]) -> Array:
    from fxpmath import Fxp

    def fixed(v: Any) -> Any:
        return Fxp(v, signed=True, n_word=16, n_frac=10, rounding="around", overflow="saturate")

    value = fixed(x)
    for i, (w, b) in enumerate(parameters):
        value = fixed(value.dot(fixed(w)) + fixed(b))
        if i < 2:
            value = fixed(np.maximum(value.get_val(), 0))
    return np.asarray(value.get_val())


def run(rounds: int, clock: str) -> list[Comparison]:
    net = zoo.load("fashion_mlp")
    x, y, samples = images()
    rows = x.reshape(len(x), -1)
    parameters = [(net[name].weight.data, net[name].bias.data) for name in ("fc1", "fc2", "fc3")]

    plain = reference("fashion_mlp", net)

    def blocks() -> None:
        plain(rows)

    check_baseline("fashion_mlp", blocks, plain.bare_products(len(rows)), plain.multiple)

    def whole_sweep() -> None:
        sweep(net, (x, y), WORDS, samples=samples, store=":memory:", progress=False)

    engines = [
        Engine("NumPy float32", blocks, 1),
        Engine("fixedpoint_nn, the whole sweep", whole_sweep, len(WORDS)),
    ]
    try:
        import fxpmath  # noqa: F401
    except ImportError:
        pass
    else:
        few = Engine(
            "fxpmath, extrapolated", lambda: with_fxpmath(rows[:FEW], parameters), FEW / len(rows), True
        )
        engines.append(few)
    return [compare(TITLE, engines, "passes", max(rounds // 3, 1), clock, TARGETS)]
