# SPDX-License-Identifier: MIT
"""Each formula of a step: whether a plan holds it, its bounds, and that every loop gives the integers verb by verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer, Rounding, Table
from fixedpoint_nn.numbers.fixed import array
from fixedpoint_nn.numbers.loops import dispatch
from fixedpoint_nn.numbers.loops.native_loop import native_loop
from fixedpoint_nn.numbers.loops.numpy_loop import NumpyLoop
from fixedpoint_nn.numbers.loops.planner import _outcome
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.native.library import available
from fixedpoint_nn.numerics.qformat import UQ, QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer

OUT = Quantizer(Q(4, 4), Rounding.HALF_AWAY)
COARSE = Quantizer(Q(5, 1), Rounding.FLOOR)
TANH = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))


def ints(*shape: int, format: QFormat = Q(2, 3), seed: int = 0) -> FixedArray:
    rng = np.random.default_rng(seed)
    return FixedArray.from_ints(rng.integers(format.int_min, format.int_max + 1, shape), format)


W, U, WIDE = ints(4, 4), ints(4, 4, seed=1), ints(4, 8, seed=2)
FINE = ints(4, 4, format=Q(2, 6), seed=3)
B, C, ONE = ints(4, format=Q(3, 6), seed=4), ints(4, format=Q(3, 6), seed=5), ints(1, format=Q(3, 6), seed=6)
COARSE_B, FINE_B = ints(4, format=Q(4, 2), seed=7), ints(4, format=Q(3, 9), seed=8)

Formula = Callable[[Any, Any, Any], tuple[Any, Any]]


def halves(x: Any, a: Any, b: Any) -> tuple[Any, Any]:
    z = x @ WIDE
    return (z[..., :4] + z[..., 4:]).cast(OUT), b


def shared(x: Any, a: Any, b: Any) -> tuple[Any, Any]:
    z = x @ W
    return z.cast(OUT), (z + a @ U).cast(OUT)


def twice(x: Any, a: Any, b: Any) -> tuple[Any, Any]:
    z = x @ W
    return (z + z).cast(OUT), a


# (x, a, b) to the new a and b.
PLANNED: dict[str, Formula] = {
    "a product": lambda x, a, b: ((x @ W).cast(OUT), a),
    "a sum of products": lambda x, a, b: ((x @ W + a @ U).cast(OUT), b),
    "the other way round": lambda x, a, b: ((a @ U + x @ W).cast(OUT), b),
    "three products": lambda x, a, b: ((x @ W + a @ U + b @ W).cast(OUT), a),
    "goes on": lambda x, a, b: (x.dot(W, None, a @ U).cast(OUT), b),
    "a bias": lambda x, a, b: ((x @ W + B).cast(OUT), a),
    "a bias before": lambda x, a, b: ((B + x @ W).cast(OUT), a),
    "two biases": lambda x, a, b: ((x @ W + B + C).cast(OUT), a),
    "biases of both": lambda x, a, b: (((x @ W + B) + (a @ U + C)).cast(OUT), a),
    "a bias of one of both": lambda x, a, b: (((x @ W) + (a @ U + C)).cast(OUT), a),
    "one bias for all": lambda x, a, b: ((x @ W + ONE).cast(OUT), a),
    "a coarse bias": lambda x, a, b: ((x @ W + COARSE_B).cast(OUT), a),
    "a fine bias": lambda x, a, b: ((x @ W + FINE_B).cast(OUT), a),
    "fine after another": lambda x, a, b: ((x @ W + B + FINE_B).cast(OUT), a),
    "a finer product": lambda x, a, b: ((x @ W + a @ FINE).cast(OUT), b),
    "a finer product and a bias": lambda x, a, b: ((x @ W + B + a @ FINE).cast(OUT), b),
    "a product of a product": lambda x, a, b: (((x @ W) @ U).cast(OUT), b),
    "constants of the program": lambda x, a, b: ((x @ W + (x._operand(B) + C)).cast(OUT), b),
    "halves": halves,
    "shared": shared,
    "twice": twice,
    "a difference": lambda x, a, b: ((x @ W - a @ U).cast(OUT), b),
    "minus": lambda x, a, b: ((-a).cast(OUT), (-(x @ W)).cast(OUT)),
    "a product and a value": lambda x, a, b: ((x @ W + a).cast(OUT), b),
    "a value and a fine product": lambda x, a, b: ((a + x @ FINE).cast(OUT), b),
    "values": lambda x, a, b: ((a + b).cast(OUT), (a - b).cast(OUT)),
    "values at two points": lambda x, a, b: ((a + x).cast(OUT), (x - b).cast(OUT)),
    "values and constants": lambda x, a, b: ((a + 3).cast(OUT), (2 - b).cast(OUT)),
    "values and rows of constants": lambda x, a, b: ((a + B).cast(OUT), (C - b).cast(OUT)),
    "products of values": lambda x, a, b: ((a * b).cast(OUT), (a * x).cast(OUT)),
    "a scaled value": lambda x, a, b: ((a.scaled(2) + b).cast(OUT), a.scaled(-1).cast(OUT)),
    "relu": lambda x, a, b: ((x @ W).relu().cast(OUT), (x @ W + B).relu().cast(COARSE).cast(OUT)),
    "a table": lambda x, a, b: (a.lookup("tanh", TANH).cast(OUT), (x @ W).cast(OUT).lookup("tanh", TANH).cast(OUT)),
    "parts of values": lambda x, a, b: ((a[..., :2] @ W[:2] + b[..., 1:] @ U[:3]).cast(OUT), b),
    "the shape that it has": lambda x, a, b: ((x.reshape(-1, 4) @ W).reshape(-1, 4).cast(OUT), a.reshape(-1, 4)),
    "columns by both axes": lambda x, a, b: ((x[:, 1:3] @ W[:2]).cast(OUT), b),
    "one column": lambda x, a, b: ((x[:, 1:2] @ W[:1]).cast(OUT), (a[..., 3:] @ U[:1]).cast(OUT)),
    "columns of a sum": lambda x, a, b: ((x @ WIDE)[:, 2:6].cast(OUT), b),
    "values times weights": lambda x, a, b: (((x * a) @ W).cast(OUT), b),
    "exchanged": lambda x, a, b: (b, a),
    "exchanged and more": lambda x, a, b: (b, (a + x).cast(OUT)),
    "x itself": lambda x, a, b: (x.cast(OUT), a),
    "finer casts": lambda x, a, b: ((x @ W).cast(Quantizer(Q(6, 8))).cast(OUT), a.cast(Quantizer(Q(6, 8))).cast(OUT)),
    "a cast to a finer point": lambda x, a, b: (a.cast(Quantizer(Q(3, 12))).cast(OUT), b),
    "a coarser cast": lambda x, a, b: (a.cast(COARSE).cast(OUT), b),
    "a cast as wide as a double": lambda x, a, b: ((x @ W).cast(Quantizer(Q(48, 6))).cast(OUT), b),
    "a far point": lambda x, a, b: (a.scaled(-56).cast(Quantizer(Q(8, 0))).cast(OUT), b),
    "wrapping": lambda x, a, b: ((x @ W + a).cast(Quantizer(Q(4, 4), Rounding.FLOOR, Overflow.WRAP)), b),
}  # fmt: skip
NOT_PLANNED: dict[str, Formula] = {
    "a bare relu": lambda x, a, b: (((x @ W).relu() + a).cast(OUT), b),
    "relu of a value": lambda x, a, b: (a.relu(), b),
    "relu of what is used": lambda x, a, b: (lambda z: ((z + 1).cast(OUT), z.relu().cast(OUT)))(x @ W),
    "maximum": lambda x, a, b: (a.maximum(b), b),
    "a modelled accumulator": lambda x, a, b: (x.dot(W, Accumulator(Q(8, 6), Overflow.SATURATE)).cast(OUT), b),
    "a repeated value": lambda x, a, b: ((a[..., :1] + b).cast(OUT), b),
    "a product of a repeated value": lambda x, a, b: ((a[..., :1] * b).cast(OUT), b),
    "every second": lambda x, a, b: ((a[..., ::2] @ W[:2]).cast(OUT), b),
    "backwards": lambda x, a, b: (a[..., ::-1], b),
    "another shape in between": lambda x, a, b: ((x.reshape(-1, 2, 2).reshape(-1, 4) @ W).cast(OUT), b),
    "channels": lambda x, a, b: ((x.cast(ChannelQuantizer(Quantizer(Q(2, 3)), (0, 0, 1, 0))) @ W).cast(OUT), b),
    "a cast wider than a double": lambda x, a, b: ((x @ W).cast(Quantizer(Q(50, 6))).cast(OUT), b),
    "a cast a bit wider": lambda x, a, b: ((x @ W).cast(Quantizer(Q(49, 6))).cast(OUT), b),
    "a point further away": lambda x, a, b: (a.scaled(-57).cast(Quantizer(Q(8, 0))).cast(OUT), b),
    "rows": lambda x, a, b: ((a[:1, :2] @ W[:2]).cast(OUT), b),
    "relu of a part": lambda x, a, b: ((x @ WIDE)[..., 4:].relu().cast(OUT), b),
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """A step of two states."""

    name: str

    def step(self, x: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
        a, b = (PLANNED | NOT_PLANNED)[self.name](x, a, b)
        return a, a, b


def loops_of(name: str, format: QFormat = Q(2, 3), state: QFormat = OUT.format) -> Any:
    x = ints(3, 4, 4, format=format, seed=9)
    states = [ints(3, 4, format=state, seed=10), ints(3, 4, format=state, seed=11)]
    layer = Layer(name)
    return layer, x, states, dispatch._planned(x, layer.step, states, None)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("name", PLANNED)
def test_every_loop_gives_the_integers_verb_by_verb(
    name: str, signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, states, loops = loops_of(name, Q(2, 3) if signed else UQ(2, 3))
    assert loops is not None
    assert loops.plan.input_format == x.format
    with monkeypatch.context() as patch:
        patch.setattr(array, "FUSED_SCANS", [])
        expected = [value.ints for value in x.scan(layer.step, *states)]
    made = [loops.by_numpy, NumpyLoop(loops.plan, np.dtype(np.float64))]
    made += [loop for kernels in available() if (loop := native_loop(loops.plan, kernels)) is not None]
    for loop in made:
        ys, finals = loop.run(x._bounded, [state.ints for state in states])
        assert all(np.array_equal(one, other) for one, other in zip([ys, *finals], expected, strict=True))


@pytest.mark.parametrize("name", NOT_PLANNED)
def test_what_no_plan_holds_is_none(name: str) -> None:
    assert loops_of(name)[-1] is None


NORM, ONE_SIDED = (int(np.abs(part).sum(axis=0).max()) for part in (W.ints, np.maximum(W.ints, 0)))


@pytest.mark.parametrize(
    ("name", "format", "bound"),
    [
        ("a product", Q(2, 3), 16 * NORM),
        ("a product", UQ(2, 3), 31 * max(ONE_SIDED, int(-np.minimum(W.ints, 0).sum(axis=0).min()))),
        ("a bias", Q(2, 3), 16 * NORM + int(np.abs(B.ints).max())),
        ("one bias for all", Q(2, 3), 16 * NORM + int(np.abs(ONE.ints).max())),
        ("constants of the program", Q(2, 3), 16 * NORM + int(np.abs(B.ints + C.ints).max())),
        ("a product of a product", Q(2, 3), 16 * NORM * int(np.abs(U.ints).sum(axis=0).max())),
        ("two biases", Q(2, 3), 16 * NORM + int(np.abs(B.ints).max()) + int(np.abs(C.ints).max())),
        ("a fine bias", Q(2, 3), (16 * NORM << 3) + int(np.abs(FINE_B.ints).max())),
        ("a coarse bias", Q(2, 3), 16 * NORM + (int(np.abs(COARSE_B.ints).max()) << 4)),
        ("values times weights", Q(2, 3), 16 * 128 * NORM),
        ("values times weights", UQ(2, 3), 31 * 128 * NORM),
        ("goes on", Q(2, 3), (16 * NORM << 1) + 128 * int(np.abs(U.ints).sum(axis=0).max())),
    ],
)
def test_the_bound_of_a_sum_is_that_of_its_weights_and_biases(name: str, format: QFormat, bound: int) -> None:
    assert loops_of(name, format)[-1].plan.sum_bound == bound


WRAPPED = Quantizer(Q(8, 0), Rounding.FLOOR, Overflow.WRAP)


@pytest.mark.parametrize(
    ("bound", "shift", "quantizer", "outcome"),
    [
        (127, 0, Quantizer(Q(8, 0)), (True, 127)),
        (128, 0, Quantizer(Q(8, 0)), (False, 128)),
        (5000, 0, Quantizer(Q(8, 0)), (False, 128)),
        (1016, -3, Quantizer(Q(8, 0)), (True, 127)),
        (1017, -3, Quantizer(Q(8, 0)), (False, 128)),  # it may be rounded up
        (15, 3, Quantizer(Q(8, 0)), (True, 120)),
        (16, 3, Quantizer(Q(8, 0)), (False, 128)),
        (127, 0, Quantizer(Q(8, 0), overflow=Overflow.SATURATE_SYMMETRIC), (True, 127)),
        (1, 0, Quantizer(UQ(8, 0)), (False, 1)),  # what is below 0 does not fit
        (300, 0, Quantizer(UQ(8, 0)), (False, 255)),
        (9, 0, WRAPPED, (True, 9)),
        (128, 0, WRAPPED, (False, 128)),
    ],
)
def test_what_fits_and_its_bound(
    bound: int, shift: int, quantizer: Quantizer, outcome: tuple[bool, int]
) -> None:
    assert _outcome(bound, shift, quantizer) == outcome


def test_the_bound_of_a_plan_is_that_of_the_largest_number_on_the_way() -> None:
    assert loops_of("a cast to a finer point")[-1].plan.bound == 128 << 8, "before it saturates"
    assert loops_of("exchanged")[-1].plan.bound == 128
    assert loops_of("values")[-1].plan.bound == 256
    assert loops_of("a coarser cast")[-1].plan.bound == 128


@dataclass(frozen=True)
class Empty:
    """What is given has no columns."""

    def step(self, x: Any, a: Any) -> tuple[Any, Any]:
        return a[..., 2:2], a


def test_columns_that_are_not_there_are_not_planned() -> None:
    x, state = ints(3, 4, 2), ints(3, 4, format=OUT.format)
    assert dispatch._planned(x, Empty().step, [state], None) is None


@dataclass(frozen=True)
class Bare:
    """What is given is a sum that nobody rounds."""

    def step(self, x: Any, a: Any) -> tuple[Any, Any]:
        return x @ WIDE[:2], a


def test_a_bare_sum_is_given_in_its_own_format() -> None:
    x, state = ints(3, 4, 2), ints(3, 4, format=OUT.format)
    loops = dispatch._planned(x, Bare().step, [state], None)
    assert loops is not None
    assert loops.plan.y.format == QFormat.for_dot(x.format, WIDE.format, 2)
    assert loops.plan.y.bound == loops.plan.sum_bound == 16 * int(np.abs(WIDE.ints[:2]).sum(axis=0).max())


@dataclass(frozen=True)
class GivenAndUsed:
    """A sum that is given, and goes on with a bias."""

    def step(self, x: Any, a: Any) -> tuple[Any, Any]:
        z = x @ W
        return z, (z + B).cast(OUT)


def test_a_sum_that_is_given_may_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    x, state, layer = ints(3, 4, 4), ints(3, 4, format=OUT.format), GivenAndUsed()
    loops = dispatch._planned(x, layer.step, [state], None)
    assert loops is not None
    monkeypatch.setattr(array, "FUSED_SCANS", [])
    expected = [value.ints for value in x.scan(layer.step, state)]
    ys, finals = loops.by_numpy.run(x._bounded, [state.ints])
    assert all(np.array_equal(one, other) for one, other in zip([ys, *finals], expected, strict=True))
