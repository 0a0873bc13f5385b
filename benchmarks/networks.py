# SPDX-License-Identifier: MIT
"""Networks of the zoo, calibrated: the bit-accurate model beside hand-written float32 NumPy, over batches and words.

The batch of a comparison is what is given at once; both sides cut it into blocks that fit the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.references import Reference, reference
from benchmarks.timing import Comparison, Engine, Target, check_baseline, compare
from fixedpoint_nn import zoo
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision import calibrate, quantize

FLOAT = "NumPy float32"
WORDS = (2, 3, 4, 6, 8, 12, 16)
AIMED = 8  # bits, of the aims below
# (batch, aim at 8 bits, or None): the aims are for NumPy alone, without a compiled kernel.
SIZES: dict[str, tuple[tuple[int, float | None], ...]] = {
    "fashion_mlp": ((1, None), (8, None), (64, None), (512, None), (4096, 0.95)),
    "lenet": ((1, None), (64, 1.4), (512, None)),
    "resnet8": ((1, None), (64, 1.2)),
    "mnist_lstm": ((1, 0.6), (8, None), (64, None), (512, 0.75)),
    "mnist_gru": ((1, None), (512, 0.75)),
}


def run(rounds: int, clock: str) -> list[Comparison]:
    return [comparison for name in SIZES for comparison in _network(name, rounds, clock)]


def _network(name: str, rounds: int, clock: str) -> Iterator[Comparison]:
    net = zoo.load(name)
    plain = reference(name, net)
    samples = zoo.samples(name, 500, split="train")
    models = {word: quantize(net, calibrate(net, samples, word=word)) for word in WORDS}
    for batch, aim in SIZES[name]:
        x = _inputs(samples, batch)
        run_plain = _repeated(plain, x)
        check_baseline(f"{name} at batch {batch}", run_plain, *_products(plain, batch))
        engines = [Engine(FLOAT, run_plain, batch * _repeats(batch))]
        for word, fixed in models.items():
            ints = FixedArray.from_float(x, fixed.input)
            engines.append(Engine(f"{word} bits", _repeated(fixed, ints), batch * _repeats(batch)))
        targets = [] if aim is None else [Target(f"{AIMED} bits", FLOAT, aim)]
        title = f"{name}, batch {batch}"
        yield compare(title, engines, "samples", max(3, rounds // 3), clock, targets)


def _inputs(samples: Array, batch: int) -> Array:
    """Real samples, repeated to the batch."""
    return np.resize(samples, (batch, *samples.shape[1:])).astype(np.float32)


def _repeats(batch: int) -> int:
    """Calls in one timed run, so that a clock of microseconds is fine enough."""
    return max(1, 32 // batch)


def _repeated(model: Callable[[Any], Any], x: Any) -> Callable[[], None]:
    def work() -> None:
        for _ in range(_repeats(len(x))):
            model(x)

    return work


def _products(plain: Reference, batch: int) -> tuple[Callable[[], None], float]:
    """The bare matrix products of the same calls, and the multiple of their time that a clean pass may take.

    A small batch is mostly calls of NumPy, which no product explains: it may take ten times as long.
    """
    bare = plain.bare_products(batch)

    def work() -> None:
        for _ in range(_repeats(batch)):
            bare()

    return work, plain.multiple * (1 if batch >= plain.block else 10)
