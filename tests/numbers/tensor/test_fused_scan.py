# SPDX-License-Identifier: MIT
"""A loop as one operation of the tape gives what the tape gives, operation by operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.layers import RNN, Rectifier, Sequential
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers.tensor import tensor
from fixedpoint_nn.numbers.tensor.tape import operation_by_operation
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.table import Table

BATCH, STEPS = 3, 5
QUANTIZER = Quantizer(QFormat(2, 4, True), Rounding.HALF_EVEN, Overflow.SATURATE)
WRAPPING = Quantizer(QFormat(1, 4, True), Rounding.FLOOR, Overflow.WRAP)


@dataclass(frozen=True)
class Formula:
    """A layer whose step is a function; the tensors are its weights."""

    function: Callable[..., Any]
    weights: tuple[Tensor, ...] = ()

    def step(self, *values):
        return self.function(*values, *self.weights)


def fused(run):
    """The result of `run`, in which every loop must have been fused."""
    calls = []
    original = tensor._fused_scan

    def spy(*arguments):
        result = original(*arguments)
        calls.append(result is not None)
        return result

    tensor._fused_scan = spy
    try:
        result = run()
    finally:
        tensor._fused_scan = original
    assert calls and all(calls), "a loop ran on the tape"
    return result


def on_tape(run):
    """The result of `run`, in which no loop is fused."""
    original = tensor._fused_scan
    tensor._fused_scan = lambda *arguments: None
    try:
        return run()
    finally:
        tensor._fused_scan = original


def same(run, exactly_one_way=fused):
    """`run` gives a list of arrays, values and gradients, that do not depend on how the loop runs.

    What has no influence has no gradient on the tape, and one of zeros in a fused loop.
    """
    for here, there in zip(exactly_one_way(run), on_tape(run), strict=True):
        if here is not None:
            np.testing.assert_allclose(here, 0 if there is None else there, rtol=1e-9, atol=1e-11)
        else:
            assert there is None


def results(step, widths, leaves, *, each=None, use=("y", "h", "c"), seed=0, inputs_need=True):
    """Run a loop over random numbers with two states; its values, and the gradients of all that led to them."""
    rng = np.random.default_rng(seed)
    x_width, h_width, c_width = widths
    xs = Tensor(rng.normal(size=(BATCH, STEPS, x_width)), needs_gradient=inputs_need)
    states = [Tensor(rng.normal(size=(BATCH, width))) for width in (h_width, c_width)]
    tensors = [Tensor(leaf) for leaf in leaves]
    ys, h, c = xs.scan(Formula(step, tuple(tensors)).step, *states, each=each)
    loss = Tensor(0.0)
    for name, value in (("y", ys), ("h", h), ("c", c)):
        if name in use:
            loss = loss + (value * Tensor(rng.normal(size=value.shape), needs_gradient=False)).sum()
    loss.backward()
    return [ys.data, h.data, c.data, xs.grad, *(s.grad for s in states), *(leaf.grad for leaf in tensors)]


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru reset after", "lstm"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_recurrent_layer_trains_the_same(cell, last, depth):
    init = Initialiser(0)
    kind = cell.split()[0]
    extra = {"reset_after": True} if "after" in cell else {}
    net = Sequential(layer=getattr(init, kind)(4, 6, depth, last=last, **extra), head=init.dense(6, 2))
    x = np.random.default_rng(1).normal(size=(BATCH, STEPS, 4)).astype(np.float32)

    def run():
        for leaf in tree.parameters(net).values():
            leaf.grad = None
        out = net(Tensor(x, needs_gradient=False))
        (out * out).sum().backward()
        return [out.data, *(leaf.grad for leaf in tree.parameters(net).values())]

    for here, there in zip(fused(run), on_tape(run), strict=True):
        np.testing.assert_allclose(here, there, rtol=2e-5, atol=1e-6)


def lstm_like(x, h, c, u, b, p):
    """An LSTM with a peephole, and casts and tables in straight-through training."""
    table = Table("sigmoid", QUANTIZER.format, QUANTIZER)
    z = h.dot(u, initial=x) + b
    i, f, o = z[..., :9].cast(QUANTIZER).lookup("sigmoid", table).split(3)
    c = (f * c + i * z[..., 9:].tanh() - c * p).cast(QUANTIZER)
    h = (o * c.tanh()).cast(WRAPPING)
    return h, h, c


@pytest.mark.parametrize("use", [("y",), ("h",), ("c",), ("h", "c"), ("y", "h", "c")])
@pytest.mark.parametrize("inputs_need", [False, True])
def test_every_output_hands_back_its_gradient(use, inputs_need):
    rng = np.random.default_rng(2)
    leaves = [rng.normal(size=shape) for shape in [(3, 12), (12,), (3,)]]
    same(lambda: results(lstm_like, (12, 3, 3), leaves, use=use, inputs_need=inputs_need))


STEPS_THAT_FUSE = {
    "one state for both": lambda x, h, c: (h + x, h + c, h + c),
    "the same result three times": lambda x, h, c: ((r := h * x + c), r, r),
    "a state that nobody reads": lambda x, h, c: (x * h, h + x, x + x),
    "a value read as a whole and by a part": lambda x, h, c: (
        (s := h + x).tanh(),
        s * c,
        s[..., :2].dot(Tensor(np.ones((2, 4)))) + c,
    ),
    "parts that overlap": lambda x, h, c: (
        x + h,
        (s := x * h)[..., :3].dot(Tensor(np.ones((3, 4)))),
        s[..., 1:].dot(Tensor(np.full((3, 4), 0.5))),
    ),
    "columns that nobody reads": lambda x, h, c: (
        x + c,
        h * x,
        (x * h)[..., :3].dot(Tensor(np.ones((3, 4)))),
    ),
    "a part of a part": lambda x, h, c: (
        (s := x * 1.0)[..., 2:][..., :1].dot(Tensor(np.ones((1, 4)))) + h,
        s[..., :2].exp().dot(Tensor(np.ones((2, 4)))).tanh(),
        c - s[..., 3:].dot(Tensor(np.ones((1, 4)))),
    ),
    "a next state that is a part": lambda x, h, c: (
        x * h,
        (x + h).dot(Tensor(np.ones((4, 8))))[..., 4:],
        c - x,
    ),
    "scalars": lambda x, h, c: (1 - x * 2.0, (h - 3).scaled(-1) + 0.5, -(2 * c).relu()),
    "a vector on the right": lambda x, h, c: (
        x * Tensor(np.arange(4.0)),
        h - Tensor(np.arange(4.0)),
        c + Tensor(np.arange(4.0)),
    ),
    "a product with itself": lambda x, h, c: (x * x, h * h, c + c * (c - c)),
    "nothing in place": lambda x, h, c: ((s := (x + h).relu()) * c, s.tanh().cast(QUANTIZER), s - c),
}


@pytest.mark.parametrize("name", STEPS_THAT_FUSE)
def test_odd_steps(name):
    same(lambda: results(STEPS_THAT_FUSE[name], (4, 4, 4), []))


def test_rows_from_outside_have_their_gradients():
    """Of a sum, a difference and a product with each, and of a matrix."""
    leaves = [np.arange(4.0) - 1, np.arange(4.0) / 3, np.arange(4.0) - 2, np.arange(16.0).reshape(4, 4) / 9]

    def step(x, h, c, added, taken, factor, matrix):
        return (x + added) * h, (h - taken).tanh() * factor, (c.dot(matrix) - taken).tanh()

    same(lambda: results(step, (4, 4, 4), leaves))


VERBS = (
    "add",
    "sub",
    "mul",
    "tanh",
    "sigmoid",
    "relu",
    "cast",
    "wrap",
    "scale",
    "shift",
    "dot",
    "bias",
    "halves",
)


@given(
    st.lists(
        st.tuples(st.sampled_from(VERBS), st.integers(0, 99), st.integers(0, 99)), min_size=3, max_size=12
    )
)
def test_random_steps(choices):
    rng = np.random.default_rng(3)
    leaves = [rng.normal(size=(4, 4)) / 2, rng.normal(size=4)]

    def step(x, h, c, matrix, bias):
        values = [x, h, c]
        for verb, first, second in choices:
            a, b = values[first % len(values)], values[second % len(values)]
            values.append(
                {
                    "add": lambda a=a, b=b: a + b,
                    "sub": lambda a=a, b=b: a - b,
                    "mul": lambda a=a, b=b: (a * b).tanh(),
                    "tanh": lambda a=a: a.tanh(),
                    "sigmoid": lambda a=a: a.lookup("sigmoid"),
                    "relu": lambda a=a: a.relu(),
                    "cast": lambda a=a: a.cast(QUANTIZER),
                    "wrap": lambda a=a: a.cast(WRAPPING),
                    "scale": lambda a=a: a * -0.5,
                    "shift": lambda a=a: 1 - a,
                    "dot": lambda a=a, b=b: a.dot(matrix, initial=b),
                    "bias": lambda a=a: a + bias,
                    "halves": lambda a=a, b=b: a[..., 2:].dot(matrix[:2]) + b[..., :2].dot(matrix[2:]),
                }[verb]()
            )
        y, h, c = values[-3:]
        return y, h.tanh(), c.tanh()

    same(lambda: results(step, (4, 4, 4), leaves))


STEPS_FOR_THE_TAPE = {
    "an output that is an input": lambda x, h, c: (x * h, c, h),
    "a sum": lambda x, h, c: (x * h, h + x.sum(), c),
    "an observer": lambda x, h, c: (x * h, h + x, c.cast(Observer())),
    "a rounding that is trained itself": lambda x, h, c: (x * h, h + x, c.cast(Trained())),
    "another kind of float": lambda x, h, c: (x * h, h + Tensor(np.ones(4, np.float32)), c * 2),
    "a constant of the batch": lambda x, h, c: (x * h, h + Tensor(np.ones((3, 4))), c * 2),
}


class Observer:
    """A cast point that only looks on."""

    name = "observer"

    def observe(self, values):
        assert values.shape == (BATCH, 4)


class Trained:
    """A cast point with a gradient of its own."""

    def round_tensor(self, x):
        return x * 0.5


@pytest.mark.parametrize("name", STEPS_FOR_THE_TAPE)
def test_other_steps_run_on_the_tape(name):
    def run():
        return results(STEPS_FOR_THE_TAPE[name], (4, 4, 4), [])

    with pytest.raises(AssertionError, match="ran on the tape"):
        fused(run)
    same(run, exactly_one_way=lambda run: run())


def test_who_looks_at_the_tape_may_have_every_operation() -> None:
    cell = Initialiser(0).rnn(3, 4).cells[0]
    xs = Tensor(np.zeros((2, 5, 3), np.float32))
    assert RNN((cell,))(xs).operation == "scan"
    with operation_by_operation():
        assert RNN((cell,))(xs).operation == "stack"
    assert RNN((cell,))(xs).operation == "scan"


def test_an_error_in_a_step_is_the_users_own():
    def step(x, h):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Tensor(np.ones((2, 3, 4))).scan(Formula(step).step, Tensor(np.ones((2, 4))))


def test_a_function_that_watches_its_values_sees_those_of_every_step():
    seen = []

    def step(x, h):
        seen.append(h)
        return h + x, h + x

    Tensor(np.ones((2, 3, 4))).scan(step, Tensor(np.ones((2, 4))))
    assert [float(value.data[0, 0]) for value in seen] == [1, 2, 3]


def test_a_loop_may_be_walked_back_twice():
    net = RNN((Initialiser(0).rnn(3, 4).cells[0],))
    xs = Tensor(np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32))
    ys = net(xs)
    ys.backward(np.ones(ys.shape))
    once = xs.grad.copy()
    xs.grad = None
    ys.grad = None
    ys.backward(np.ones(ys.shape))
    np.testing.assert_array_equal(xs.grad, once)


def test_a_rectifier_and_a_sequence_of_one_step():
    cell = Initialiser(0).rnn(3, 4).cells[0]
    cell = type(cell)(cell.input_weight, cell.state_weight, cell.bias, tanh=Rectifier())

    def run():
        xs = Tensor(np.random.default_rng(0).normal(size=(2, 1, 3)).astype(np.float32))
        RNN((cell,), last=True)(xs).sum().backward()
        return [xs.grad]

    same(run)
