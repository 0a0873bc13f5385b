# SPDX-License-Identifier: MIT
"""A planned loop gives the integers of the same loop verb by verb, by NumPy and by every compiled kernel."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer, Rounding, Table, calibrate, quantize
from fixedpoint_nn.layers.fields import CAST
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import rebuild, walk
from fixedpoint_nn.numbers.fixed import array
from fixedpoint_nn.numbers.loops import dispatch
from fixedpoint_nn.numbers.loops.native_loop import native_loop
from fixedpoint_nn.numbers.loops.numpy_loop import NumpyLoop
from fixedpoint_nn.numerics.bounded_ints import FLOAT32_EXACT, BoundedInts, CompactInts
from fixedpoint_nn.numerics.native.library import MOST_SHIFT, Kernels, available
from fixedpoint_nn.numerics.native.scan import Factor, Operand, balanced, narrowed
from fixedpoint_nn.numerics.native.steps import NotCompiled
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.numerics.qformat import UQ, QFormat
from tests.support.battery import over_integers, randomly_quantized

RECURRENT = {
    "RNN": lambda i: i.rnn(5, 7, depth=2),
    "GRU, reset before": lambda i: i.gru(5, 7),
    "GRU, reset after": lambda i: i.gru(5, 7, reset_after=True),
    "LSTM": lambda i: i.lstm(5, 7, depth=2),
    "wide LSTM": lambda i: i.lstm(3, 40),
}


def ints(*shape: int, format: QFormat = Q(2, 6), seed: int = 0) -> FixedArray:
    rng = np.random.default_rng(seed)
    return FixedArray.from_ints(rng.integers(format.int_min, format.int_max + 1, shape), format)


@pytest.fixture
def by_verbs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls a function with the loops verb by verb."""

    def call(function: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(array, "FUSED_SCANS", [])
            return function()

    return call


def equal(a: FixedArray, b: FixedArray) -> bool:
    return a.format == b.format and np.array_equal(a.ints, b.ints)


def loops_of(step: Any, x: FixedArray, states: Any, each: Any = None) -> dispatch._Loops | None:
    return dispatch._loops(step.__self__, x, step, states, each)


@pytest.mark.parametrize("batch", [1, 3, 300])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", RECURRENT)
def test_every_cell_with_random_formats_and_modes(name: str, seed: int, batch: int, by_verbs: Any) -> None:
    net = over_integers(randomly_quantized(RECURRENT[name](Initialiser(seed, np.float64)), seed))
    x = ints(batch, 4, net.cells[0].input_weight.shape[0], format=Q(3, 6), seed=seed)
    ys, finals = net.run(x)
    expected, last = by_verbs(lambda: net.run(x))
    assert equal(ys, expected)
    assert len(finals) == len(last)
    assert all(map(equal, finals, last))


@pytest.mark.parametrize("kernels", available(), ids=lambda kernels: kernels.name)
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", RECURRENT)
def test_the_compiled_loop_is_numpys(name: str, seed: int, kernels: Kernels) -> None:
    net = saturating(over_integers(randomly_quantized(RECURRENT[name](Initialiser(seed, np.float64)), seed)))
    cell = net.cells[0]
    x = ints(101, 3, cell.input_weight.shape[0], format=(Q(1, 7), UQ(1, 7), Q(3, 9))[seed % 3], seed=seed)
    states = net.initial(x)[: len(cell.states)]
    loops = loops_of(cell.step, x, states, cell.project)
    assert loops is not None
    compiled = native_loop(loops.plan, kernels)
    assert compiled is not None
    starts = [np.zeros((101, cell.hidden), np.float32) for _ in states]
    starts[0][:] = np.arange(101 * cell.hidden).reshape(101, -1) % 5
    for got, expected in zip(
        flat(compiled.run(x._bounded, starts)),
        flat(NumpyLoop(loops.plan, np.dtype(np.float64)).run(x._bounded, starts)),
        strict=True,
    ):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("kernels", available(), ids=lambda kernels: kernels.name)
@pytest.mark.parametrize("word", [8, 12, 16])
@pytest.mark.parametrize("name", ["GRU, reset before", "LSTM", "wide LSTM"])
def test_the_compiled_loop_of_a_calibrated_network(name: str, word: int, kernels: Kernels) -> None:
    net = RECURRENT[name](Initialiser(word))
    inputs = net.cells[0].input_weight.shape[0]
    samples = np.random.default_rng(word).random((60, 5, inputs)).astype(np.float32)
    fixed = quantize(net, calibrate(net, samples, word=word))
    cell = fixed.net.cells[0]
    x = FixedArray.from_ints(
        np.random.default_rng(1).integers(0, fixed.input.format.int_max + 1, (101, 5, inputs)),
        fixed.input.format,
    )
    loops = loops_of(cell.step, x, (states := net_states(fixed.net, x))[: len(cell.states)], cell.project)
    assert loops is not None
    compiled = native_loop(loops.plan, kernels)
    assert compiled is not None
    starts = [np.zeros((101, cell.hidden), np.float32) for _ in states[: len(cell.states)]]
    for got, expected in zip(
        flat(compiled.run(x._bounded, starts)),
        flat(NumpyLoop(loops.plan, np.dtype(np.float64)).run(x._bounded, starts)),
        strict=True,
    ):
        assert np.array_equal(got, expected)


def net_states(net: Any, x: FixedArray) -> tuple[FixedArray, ...]:
    return net.initial(x)


def test_weights_that_are_too_long_lend_their_columns_a_power_of_two_or_come_twice() -> None:
    even = Factor(Operand(0, 3), -4, 4, np.array([[1 << 17, 4], [4, 8]]))
    assert balanced(even).shift == 2
    assert balanced(even).high == 16
    assert np.array_equal(balanced(even).weights << 2, even.weights)
    odd = Factor(Operand(0, 3), -4, 4, np.array([[40_001, 2], *([[4, 8]] * 7)]))
    assert balanced(odd) == odd or balanced(odd).shift == 0
    first, again = narrowed(odd)
    assert (again.operand, again.weights.tolist()) == (Operand(0, 3), [[40_001 - 32_767, 0]])
    assert first.weights[0].tolist() == [32_767, 2]
    many = Factor(Operand(0, 3), -4, 4, np.array([[40_001]] * 8))
    first, again = narrowed(many)
    assert (again.operand, again.weights.tolist()) == (Operand(0, 3), [[40_001 - 32_767]] * 8)
    with pytest.raises(NotCompiled):
        narrowed(Factor(Operand(0), 0, 1, np.array([[1 << 17]] * 8)))


def saturating(net: Any) -> Any:
    """The network with casts that saturate, which is what the compiled loop takes."""
    casts = {leaf.path: leaf.value for leaf in walk(net) if leaf.kind == CAST and leaf.value is not None}
    return rebuild(net, {path: replace(q, overflow=Overflow.SATURATE) for path, q in casts.items()})


def flat(results: Any) -> list[Any]:
    return [results[0], *results[1]]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_every_rounding_and_overflow(rounding: Rounding, overflow: Overflow, by_verbs: Any) -> None:
    def quantizer(whole: int, frac: int) -> Quantizer:
        return Quantizer(Q(whole, frac), rounding, overflow)

    net = Initialiser(1, np.float64).lstm(3, 6)
    fixed = over_integers(randomly_quantized(net, 1))
    cell = fixed.cells[0]
    sharp = {"cell": quantizer(2, 3), "state": quantizer(1, 4)}
    cell = replace(cell, **sharp)
    x = ints(7, 5, 3)
    states = [ints(1, 6, format=q.format, seed=2) for q in (cell.state, cell.cell)]
    run = lambda: x.scan(cell.step, *states, each=cell.project)  # noqa: E731
    assert loops_of(cell.step, x, states, cell.project) is not None
    assert all(map(equal, run(), by_verbs(run)))


@dataclass(frozen=True)
class Odd:
    """A formula that uses its sum of products twice, negates, subtracts, and exchanges its states."""

    weight: FixedArray
    other: FixedArray
    out: Quantizer = field(default_factory=lambda: Quantizer(Q(2, 6)))

    def step(self, x: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
        z = x @ self.weight
        first = (z + self.other).cast(self.out)
        second = (z - a).cast(self.out)
        third = (x @ self.weight + self.other).relu().cast(self.out)
        mixed = (1 - first + (-second) + third).cast(self.out)
        return (mixed * first + b).cast(self.out), b, second


def test_a_formula_with_shared_sums_and_exchanged_states(by_verbs: Any) -> None:
    layer = Odd(ints(3, 6, seed=4), ints(6, seed=5))
    x, states = ints(5, 6, 3), [ints(5, 6, seed=6), ints(5, 6, seed=7)]
    loops = loops_of(layer.step, x, states)
    assert loops is not None
    run = lambda: x.scan(layer.step, *states)  # noqa: E731
    assert all(map(equal, run(), by_verbs(run)))
    for kernels in available():
        assert native_loop(loops.plan, kernels) is not None


@dataclass(frozen=True)
class Wide:
    """Sums that a float32 does not hold, and one that a float64 does not hold either."""

    weight: FixedArray
    out: Quantizer

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        h = (x @ self.weight + h * h).cast(self.out)
        return h, h


@pytest.mark.parametrize(("bits", "planned"), [(6, True), (16, True), (30, False)])
def test_formats_of_every_width(bits: int, planned: bool, by_verbs: Any) -> None:
    format = Q(2, bits - 2)
    layer = Wide(ints(4, 5, format=format), Quantizer(format, Rounding.HALF_AWAY))
    x, state = ints(3, 4, 4, format=format, seed=1), ints(1, 5, format=format, seed=2)
    loops = loops_of(layer.step, x, [state])
    assert (loops is not None) == planned
    if loops is not None:
        wide = max(loops.plan.bound, loops.plan.sum_bound) > FLOAT32_EXACT
        assert loops.by_numpy.dtype == (np.float64 if wide else np.float32)
        assert wide is (bits == 16)
    run = lambda: x.scan(layer.step, state)  # noqa: E731
    assert all(map(equal, run(), by_verbs(run)))


@dataclass(frozen=True)
class Maximal:
    """A verb that no plan holds."""

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        h = x.maximum(h)
        return h, h


def test_what_no_plan_holds_runs_verb_by_verb(by_verbs: Any) -> None:
    layer, x, state = Maximal(), ints(2, 3, 4), ints(2, 4, seed=1)
    assert loops_of(layer.step, x, [state]) is None
    run = lambda: x.scan(layer.step, state)  # noqa: E731
    assert all(map(equal, run(), by_verbs(run)))


def test_a_function_of_ones_own_is_called_at_every_step() -> None:
    calls = []

    def step(x: Any, h: Any) -> tuple[Any, Any]:
        calls.append(1)
        return x, h

    ints(2, 5, 4).scan(step, ints(2, 4))
    assert len(calls) == 5


def test_a_step_that_changes_a_states_format_is_refused_as_ever() -> None:
    @dataclass(frozen=True)
    class Growing:
        def step(self, x: Any, h: Any) -> tuple[Any, Any]:
            return x, h + x

    x, state = ints(2, 3, 4), ints(2, 4)
    assert loops_of(Growing().step, x, [state]) is None
    y, last = x.scan(Growing().step, state)
    assert last.format != state.format
    assert equal(y, x)


def test_counting_overflows_looks_at_every_verb() -> None:
    net = over_integers(randomly_quantized(Initialiser(0, np.float64).lstm(3, 4), 0))
    x = ints(2, 3, 3, format=Q(3, 6))
    with OverflowStats() as stats:
        counted = net(x)
    assert equal(counted, net(x))
    assert len(list(stats)) > 3


def test_plans_leave_with_their_layer() -> None:
    layer = Odd(ints(3, 6, seed=4), ints(6, seed=5))
    x, states = ints(5, 6, 3), [ints(5, 6), ints(5, 6)]
    x.scan(layer.step, *states)
    known = id(layer)
    assert known in dispatch._known
    del layer
    gc.collect()
    assert known not in dispatch._known


def test_a_table_of_unsigned_codes(by_verbs: Any) -> None:
    @dataclass(frozen=True)
    class Looked:
        table: Table
        weight: FixedArray

        def step(self, x: Any, h: Any) -> tuple[Any, Any]:
            z = (x @ self.weight + h).cast(Quantizer(self.table.input_format))
            h = z.lookup("sigmoid", self.table).cast(Quantizer(Q(2, 6)))
            return h, h

    layer = Looked(Table("sigmoid", UQ(3, 3), Quantizer(UQ(0, 6))), ints(4, 5))
    x, state = ints(3, 6, 4, seed=3), ints(1, 5, seed=4)
    assert loops_of(layer.step, x, [state]) is not None
    run = lambda: x.scan(layer.step, state)  # noqa: E731
    assert all(map(equal, run(), by_verbs(run)))


@dataclass(frozen=True)
class Shifted:
    """Every kind of operation, each at another binary point."""

    weight: FixedArray
    state: FixedArray
    bias: FixedArray
    out: Quantizer
    table: Table

    def step(self, x: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
        z = x @ self.weight + a @ self.state + self.bias
        first, second = z[..., :4].cast(self.out), z[..., 4:].cast(self.out)
        third = (x @ self.weight).relu().cast(self.out)[..., 2:6]
        looked = second.cast(Quantizer(self.table.input_format)).lookup("tanh", self.table)
        mixed = (first.scaled(1) - looked + (-b) + b.scaled(-2) + 3).cast(self.out)
        product = (mixed * second).cast(self.out)
        return (product + x - third).cast(self.out), product, (5 - mixed).cast(self.out)


@pytest.mark.parametrize("kernels", ["numpy", ""])
@pytest.mark.parametrize("batch", [1, 2, 257])
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("frac", [1, 2, 4, 6])
def test_steps_at_every_binary_point(
    kernels: str, batch: int, overflow: Overflow, frac: int, by_verbs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIXEDPOINT_NN_KERNELS", kernels)
    rounding = list(Rounding)[frac % 7]
    out = Quantizer(QFormat(8 - frac, frac), rounding, overflow)
    layer = Shifted(
        ints(4, 8, format=Q(2, 4)),
        ints(4, 8, format=Q(2, 4), seed=1),
        ints(8, format=Q(4, 6), seed=2),
        out,
        Table("tanh", Q(3, 3), Quantizer(Q(1, 6))),
    )
    x = ints(batch, 3, 4, format=Q(2, 4), seed=3)
    states = [ints(1, 4, format=out.format, seed=4), ints(batch, 4, format=out.format, seed=5)]
    loops = loops_of(layer.step, x, states)
    assert loops is not None
    run = lambda: x.scan(layer.step, *states)  # noqa: E731
    planned, expected = run(), by_verbs(run)
    assert all(map(equal, planned, expected))
    for loop in (loops.by_numpy, NumpyLoop(loops.plan, np.dtype(np.float64))):
        starts = [np.broadcast_to(state.ints, (batch, 4)) for state in states]
        got = flat(loop.run(x._bounded, starts))
        assert all(np.array_equal(one, other.ints) for one, other in zip(got, expected, strict=True))


def test_what_is_no_layers_own_step_is_not_planned(by_verbs: Any) -> None:
    layer, other = Odd(ints(3, 6, seed=4), ints(6, seed=5)), Odd(ints(3, 6, seed=6), ints(6, seed=7))
    x, a, b = ints(5, 6, 3), ints(5, 6, seed=6), ints(5, 6, seed=7)
    fused = dispatch.fused_scan
    assert fused(x, layer.step, [a, b], None) is not None
    assert fused(x, lambda *values: layer.step(*values), [a, b], None) is None
    assert fused(x, layer.step, [a, b], other.step) is None
    assert fused(x[:, 0], layer.step, [a, b], None) is None
    assert fused(x, layer.step, [a, np.zeros((5, 6))], None) is None  # type: ignore[list-item]
    assert fused(x, layer.step, [a, b[0]], None) is None
    assert fused(x, layer.step, [a, b[:2]], None) is None
    one = fused(x, layer.step, [a[:1], b[:1]], None)
    assert one is not None
    assert all(map(equal, one, by_verbs(lambda: x.scan(layer.step, a[:1], b[:1]))))
    with OverflowStats():
        assert fused(x, layer.step, [a, b], None) is None


class Loose:
    """A class that is no layer, because it is no dataclass."""

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        h = (x + h).cast(Quantizer(Q(2, 6)))
        return h, h


def test_a_layers_own_projection_is_planned_and_a_class_that_is_no_layer_is_not() -> None:
    net = over_integers(randomly_quantized(RECURRENT["GRU, reset after"](Initialiser(1, np.float64)), 1))
    cell, x = net.cells[0], ints(3, 4, 5, format=Q(3, 6))
    states = net.initial(x)[:1]
    assert dispatch.fused_scan(x, cell.step, states, cell.project) is not None
    y, h = ints(3, 4, 5), ints(3, 5, seed=1)
    assert dispatch.fused_scan(y, Loose().step, [h], None) is None


@dataclass(frozen=True)
class OneProduct:
    """A state that is one product, rounded."""

    weight: FixedArray
    out: Quantizer

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        h = (x @ self.weight).cast(self.out)
        return h, h


@dataclass(frozen=True)
class TwoProducts(OneProduct):
    """A state that is the sum of two, whose partial sums are float32."""

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        h = (x @ self.weight + h @ self.weight).cast(self.out)
        return h, h


@pytest.mark.parametrize("kernels", available(), ids=lambda kernels: kernels.name)
@pytest.mark.parametrize(
    ("kind", "bits", "frac", "out", "compiled"),
    [
        (OneProduct, 8, 3, Q(4, 4), True),
        (OneProduct, 8, 2, Q(4, 4), True),  # no bit is dropped
        (OneProduct, 8, 2, Q(4, 5), True),  # one more than there is, which the rounding after the sum adds
        (OneProduct, 8, MOST_SHIFT // 2 + 1, QFormat(8 + 2 - MOST_SHIFT % 2, MOST_SHIFT % 2 - 2 + 4), True),
        (OneProduct, 14, 12, Q(4, 4), True),  # beyond float32, within int32
        (TwoProducts, 8, 3, Q(5, 3), True),
        (TwoProducts, 14, 12, Q(2, 12), True),  # a partial sum that float32 does not hold
    ],
)
def test_the_compiled_loop_takes_what_it_computes_exactly(
    kind: Any, bits: int, frac: int, out: QFormat, compiled: bool, kernels: Kernels, by_verbs: Any
) -> None:
    format = QFormat(bits - frac, frac)
    size = 4
    layer = kind(ints(size, size, format=format), Quantizer(out))
    x, state = ints(3, 4, size, format=format, seed=1), ints(1, size, format=out, seed=2)
    loops = loops_of(layer.step, x, [state])
    assert loops is not None
    made = native_loop(loops.plan, kernels)
    assert (made is not None) is compiled
    run = lambda: x.scan(layer.step, state)  # noqa: E731
    expected = by_verbs(run)
    assert all(map(equal, run(), expected))
    if made is not None:
        starts = [np.broadcast_to(state.ints, (3, size)).astype(np.float32)]
        got = flat(made.run(x._bounded, starts))
        assert all(np.array_equal(one, other.ints) for one, other in zip(got, expected, strict=True))


@dataclass(frozen=True)
class TwoPoints(OneProduct):
    """Parts of one sum at different binary points: all of it, one half twice, beside the sum itself, or one of two."""

    kind: str

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        z = x @ self.weight
        low, high = z[..., :3].cast(self.out), z[..., 3:6].cast(Quantizer(Q(5, 1)))
        if self.kind == "twice":
            high = z[..., :3].cast(Quantizer(Q(5, 1)))
        elif self.kind == "beside the sum":
            high = (high + z[..., 2:5]).cast(Quantizer(Q(5, 1)))
        elif self.kind == "exact":
            high = z[..., 3:6].cast(Quantizer(Q(8, 6)))
        return high, (low + h).cast(self.out)


@pytest.mark.parametrize("columns", [6, 8])
@pytest.mark.parametrize("kind", ["both", "twice", "beside the sum", "exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpys_loop_brings_every_part_of_a_sum_to_its_own_point(
    dtype: Any, kind: str, columns: int, by_verbs: Any
) -> None:
    layer = TwoPoints(ints(4, columns, format=Q(2, 3)), Quantizer(Q(4, 4), Rounding.HALF_AWAY), kind)
    x, state = ints(3, 4, 4, format=Q(2, 3), seed=1), ints(3, 3, format=Q(4, 4), seed=2)
    loops = loops_of(layer.step, x, [state])
    assert loops is not None
    got = flat(NumpyLoop(loops.plan, np.dtype(dtype)).run(x._bounded, [state.ints]))
    expected = by_verbs(lambda: x.scan(layer.step, state))
    assert all(np.array_equal(one, other.ints) for one, other in zip(got, expected, strict=True))


@dataclass(frozen=True)
class Reread(OneProduct):
    """What a step gives is read once more inside of it."""

    kind: str

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        z = x @ self.weight
        if self.kind == "sum":
            return z, (z + h).cast(self.out)
        if self.kind == "cast":
            y = z.cast(self.out)
            return y, (y + h).cast(self.out)
        return (z + h).cast(self.out), z.cast(self.out)


@pytest.mark.parametrize("kind", ["sum", "cast", "sum twice"])
def test_what_is_given_may_be_read_again(kind: str, by_verbs: Any) -> None:
    layer = Reread(ints(4, 4, format=Q(2, 3)), Quantizer(Q(4, 4), Rounding.HALF_AWAY), kind)
    x, state = ints(3, 4, 4, format=Q(2, 3), seed=1), ints(3, 4, format=Q(4, 4), seed=2)
    loops = loops_of(layer.step, x, [state])
    assert loops is not None
    expected = by_verbs(lambda: x.scan(layer.step, state))
    for loop in (loops.by_numpy, loops.loop()):
        got = flat(loop.run(x._bounded, [state.ints]))
        assert all(np.array_equal(one, other.ints) for one, other in zip(got, expected, strict=True))


@dataclass(frozen=True)
class Joined(OneProduct):
    """Sums of products that NumPy's loop may read as one, or may not."""

    kind: str

    def step(self, x: Any, h: Any) -> tuple[Any, Any]:
        w = self.weight
        if self.kind == "parts":
            z = x[..., :3] @ w[:3] + h[..., 1:] @ w[:3]
        elif self.kind == "one twice":
            z = x @ w + x @ w[::-1]
        else:
            z = x @ w + h @ w
        h = z.cast(self.out)
        if self.kind == "another order":
            h = (h @ w + x @ w).cast(self.out)
        return h, h


@pytest.mark.parametrize(
    ("kind", "joined"), [("whole", 1), ("parts", 0), ("one twice", 0), ("another order", 1)]
)
def test_products_are_joined_if_their_operands_stand_side_by_side(
    kind: str, joined: int, by_verbs: Any
) -> None:
    layer = Joined(ints(4, 4, format=Q(2, 3)), Quantizer(Q(4, 4)), kind)
    x, state = ints(3, 4, 4, format=Q(2, 3), seed=1), ints(3, 4, format=Q(4, 4), seed=2)
    loops = loops_of(layer.step, x, [state])
    assert loops is not None
    assert len(loops.by_numpy.joined) == joined
    got = flat(loops.by_numpy.run(x._bounded, [state.ints]))
    expected = by_verbs(lambda: x.scan(layer.step, state))
    assert all(np.array_equal(one, other.ints) for one, other in zip(got, expected, strict=True))


@pytest.mark.parametrize("kernels", ["numpy", ""])
def test_outputs_are_kept_in_words_where_they_have_16_bits_at_most(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIXEDPOINT_NN_KERNELS", kernels)
    for bits in (6, 8, 12, 16, 20):
        format = Q(2, bits - 2)
        layer = OneProduct(ints(4, 4), Quantizer(format))
        x, state = ints(3, 4, 4), ints(3, 4, format=format, seed=1)
        y, last = dispatch.fused_scan(x, layer.step, [state], None) or ()
        if bits <= 16:
            assert isinstance(y._bounded, CompactInts)
            assert y._bounded.words.dtype == (np.int8 if bits <= 8 else np.int16)
        else:
            assert type(y._bounded) is BoundedInts and y._bounded.array.dtype.kind == "f"
        assert type(last._bounded) is BoundedInts
        assert (last._bounded.bound, last._bounded.signed) == (format.magnitude, True)
