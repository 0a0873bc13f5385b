# SPDX-License-Identifier: MIT
"""Sweeps of 15 word lengths over test images, beside plain float32 passes of the same images, and fxpmath.

The sweep is the real one: calibration, plans, the quantised passes, the metric with its interval, the ledger, the
noise of each layer and the store. fxpmath computes a few images at one word length, and is extrapolated.

What no sweep can save is measured too: with the compiled kernels the quantised passes alone, which round the images and
count what overflows, and for NumPy alone the bare matrix products, in float32 up to 11 bits and in float64 above, where
sums exceed 24 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.networks import ALONE, FLOAT, in_numpy
from benchmarks.references import Reference, reference
from benchmarks.timing import Comparison, Engine, Target, check_baseline, compare
from fixedpoint_nn import zoo
from fixedpoint_nn.data import DataError
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.numerics.overflow_stats import OverflowTotals
from fixedpoint_nn.precision import quantize, sweep
from fixedpoint_nn.precision.observe import observe
from fixedpoint_nn.precision.recipe import Recipe

WORDS = range(2, 17)
FEW = 50
SWEEP, SWEEP_ALONE = "fixedpoint_nn, the whole sweep", f"fixedpoint_nn, the whole sweep, {ALONE}"
PRODUCTS = "NumPy, the matrix products of all words alone"
KERNELS_ALONE = "compiled kernels, the passes of all words alone"
# Passes that the whole sweep of fashion_mlp may take.
PASSES = {SWEEP: 10, SWEEP_ALONE: 25}
TARGETS = tuple(Target(name, FLOAT, len(WORDS) / passes) for name, passes in PASSES.items())
IMAGES = {"fashion_mlp": 10_000, "lenet": 500, "resnet8": 200, "mnist_lstm": 1_000}
LONGEST_IN_FLOAT32 = 11  # bits of words whose sums float32 holds, in a few blocks of terms


def images(name: str = "fashion_mlp") -> tuple[Array, Array, Array]:
    """Test images and labels, and images to calibrate on; random ones where the data set is missing."""
    entry, count = zoo.entry(name), IMAGES[name]
    try:
        (x, y), (other, _) = entry.examples("test"), entry.examples("train")
    except DataError:
        rng = np.random.default_rng(0)
        x = (rng.random((count, 28, 28, 1)) * (rng.random((count, 28, 28, 1)) < 0.5)).astype(np.float32)
        y, other = rng.integers(0, 10, count), x
    return x[:count], y[:count], other[:500]


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
    return [_network(name, max(rounds // 3, 1), clock) for name in IMAGES]


def _network(name: str, rounds: int, clock: str) -> Comparison:
    net = zoo.load(name)
    x, y, samples = images(name)
    plain = reference(name, net)
    rows = x.reshape(len(x), -1) if name == "fashion_mlp" else x

    def floats() -> None:
        plain(rows)

    check_baseline(name, floats, plain.bare_products(len(rows)), plain.multiple)

    def whole_sweep() -> None:
        sweep(net, (x, y), WORDS, samples=samples, store=":memory:", progress=False)

    engines = [Engine(FLOAT, floats, 1)]
    if library.chosen().kernels is not None:
        engines.append(Engine(SWEEP, whole_sweep, len(WORDS)))
    engines.append(Engine(SWEEP_ALONE, in_numpy(whole_sweep), len(WORDS)))
    if name == "fashion_mlp":
        engines += _floors(net, x, samples, plain) + _with_fxpmath(net, rows)
    title = f"Sweep of {len(WORDS)} word lengths of {name}, {len(x):,} images: passes (one word length of all images)"
    return compare(title, engines, "passes", rounds, clock, TARGETS if name == "fashion_mlp" else ())


def _floors(net: Any, x: Array, samples: Array, plain: Reference) -> list[Engine]:
    """What is left of a sweep without everything but the passes of its words."""
    seen = observe(net, samples)
    models = [quantize(net, seen.plan(Recipe(word=word))) for word in WORDS]

    def passes() -> None:
        for fixed in models:
            with OverflowTotals():
                fixed(x)

    single, double = plain.bare_products(len(x)), plain.bare_products(len(x), np.float64)

    def products() -> None:
        for word in WORDS:
            (single if word <= LONGEST_IN_FLOAT32 else double)()

    engines = [Engine(PRODUCTS, products, len(WORDS))]
    if library.chosen().kernels is not None:
        engines.append(Engine(KERNELS_ALONE, passes, len(WORDS)))
    return engines


def _with_fxpmath(net: Any, rows: Array) -> list[Engine]:
    try:
        import fxpmath  # noqa: F401
    except ImportError:
        return []
    parameters = [(net[name].weight.data, net[name].bias.data) for name in ("fc1", "fc2", "fc3")]
    share = FEW / len(rows)
    return [Engine("fxpmath, extrapolated", lambda: with_fxpmath(rows[:FEW], parameters), share, True)]
