# SPDX-License-Identifier: MIT
"""Networks of the zoo, calibrated: the bit-accurate model beside hand-written float32 NumPy, over batches and words.

The batch of a comparison is what is given at once; both sides cut it into blocks that fit the cache. The model runs
with the compiled kernels, if they are there, and in NumPy alone; PyTorch in float32 and int8 is the ceiling.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.ceilings import INT8, ceilings
from benchmarks.references import Reference, reference
from benchmarks.timing import Comparison, Engine, Target, check_baseline, compare
from fixedpoint_nn import zoo
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.precision import calibrate, quantize

FLOAT = "NumPy float32"
ALONE = "NumPy alone"  # without the compiled kernels
WORDS = (2, 3, 4, 6, 8, 12, 16)
IN_NUMPY = (8, 16)  # the words that are also measured in NumPy alone
LEAST = 1.0  # no word is slower than float32, with the kernels
SHARE_OF_INT8 = 0.6  # of PyTorch's int8


@dataclass(frozen=True)
class Size:
    """A batch, and the least ratios to float32: 8 bits in NumPy alone, and words with the compiled kernels."""

    batch: int
    alone: float | None = None
    kernels: Mapping[int, float] = field(default_factory=dict)

    @property
    def targets(self) -> Iterator[Target]:
        """What is aimed at."""
        if self.alone is not None:
            yield Target(_label(8, ALONE), FLOAT, self.alone)
        if self.kernels:
            yield from (Target(_label(word), FLOAT, self.kernels.get(word, LEAST)) for word in WORDS)
            yield Target(_label(8), INT8, SHARE_OF_INT8)


SIZES: dict[str, tuple[Size, ...]] = {
    "fashion_mlp": (Size(1), Size(8), Size(64), Size(512), Size(4096, 0.95, {8: 3.5, 16: 1.0})),
    "lenet": (Size(1), Size(64, 1.4, {8: 3.5}), Size(512)),
    "resnet8": (Size(1), Size(64, 1.2, {8: 3.0})),
    "mnist_lstm": (Size(1, 0.6), Size(8), Size(64), Size(512, 0.75, {8: 1.5})),
    "mnist_gru": (Size(1), Size(512, 0.75)),
}


def run(rounds: int, clock: str) -> list[Comparison]:
    return [comparison for name in SIZES for comparison in _network(name, rounds, clock)]


def _network(name: str, rounds: int, clock: str) -> Iterator[Comparison]:
    net = zoo.load(name)
    plain = reference(name, net)
    samples = zoo.samples(name, 500, split="train")
    models = {word: quantize(net, calibrate(net, samples, word=word)) for word in WORDS}
    compiled = library.chosen().kernels is not None
    for size in SIZES[name]:
        batch, amount = size.batch, size.batch * _repeats(size.batch)
        x = _inputs(samples, batch)
        run_plain = _repeated(plain, x)
        check_baseline(f"{name} at batch {batch}", run_plain, *_products(plain, batch))
        engines = [Engine(FLOAT, run_plain, amount)]
        for word, fixed in models.items():
            work = _repeated(fixed, FixedArray.from_float(x, fixed.input))
            if compiled:
                engines.append(Engine(_label(word), work, amount))
            if word in IN_NUMPY or not compiled:
                engines.append(Engine(_label(word, ALONE), in_numpy(work), amount))
        engines += ceilings(name, net, x, amount, _repeated)
        yield compare(
            f"{name}, batch {batch}",
            engines,
            "samples",
            max(3, rounds // 3),
            clock,
            list(size.targets),
            _work(plain, batch),
        )


def _work(plain: Reference, batch: int) -> dict[str, float]:
    """Multiply-accumulates of a sample, and the bytes of the operands and results of its products in float32."""
    macs = moved = 0
    for rows, taps, columns, times in plain.products(batch):
        macs += rows * taps * columns * times
        moved += (rows * taps + taps * columns + rows * columns) * times * np.dtype(np.float32).itemsize
    return {"macs": macs / batch, "bytes": moved / batch}


def _label(word: int, where: str = "") -> str:
    return f"{word} bits, {where}" if where else f"{word} bits"


def in_numpy(work: Callable[[], None]) -> Callable[[], None]:
    """The same work without the compiled kernels."""

    def run() -> None:
        before = os.environ.get(library.VARIABLE)
        os.environ[library.VARIABLE] = "numpy"
        try:
            work()
        finally:
            del os.environ[library.VARIABLE]
            if before is not None:
                os.environ[library.VARIABLE] = before

    return run


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
