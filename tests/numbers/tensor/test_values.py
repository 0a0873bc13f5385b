# SPDX-License-Identifier: MIT
"""Each verb of `Tensor` gives NumPy's values, and the tape hands each element its share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.numbers.image_windows import Geometry
from fixedpoint_nn.numbers.tensor import channels, convolution
from fixedpoint_nn.numbers.tensor.dot_graph import to_dot
from fixedpoint_nn.numbers.tensor.tape import is_recording, no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Windows, stack
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.table import Table
from fixedpoint_nn.numerics.value_table import ValueTable

RNG = np.random.default_rng(11)
X, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
Y[0, 0] = X[0, 0]  # equals


def softmax_log(x: np.ndarray) -> np.ndarray:
    return np.log(np.exp(x) / np.exp(x).sum(-1, keepdims=True))


VALUES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "+": (lambda x, y: x + y, np.add),
    "+ 2": (lambda x, y: x + 2, lambda x, y: x + 2),
    "2 +": (lambda x, y: 2 + x, lambda x, y: x + 2),
    "-": (lambda x, y: x - y, np.subtract),
    "- 2": (lambda x, y: x - 2, lambda x, y: x - 2),
    "2 -": (lambda x, y: 2 - x, lambda x, y: 2 - x),
    "*": (lambda x, y: x * y, np.multiply),
    "* 3": (lambda x, y: x * 3, lambda x, y: 3 * x),
    "3 *": (lambda x, y: 3 * x, lambda x, y: 3 * x),
    "/": (lambda x, y: x / y, lambda x, y: x * y**-1.0),
    "/ 4": (lambda x, y: x / 4, lambda x, y: x / 4),
    "4 /": (lambda x, y: 4 / x, lambda x, y: x**-1.0 * 4),
    "** 2": (lambda x, y: x**2, lambda x, y: x**2),
    "neg": (lambda x, y: -x, lambda x, y: -x),
    "scaled": (lambda x, y: x.scaled(-3), lambda x, y: x / 8),
    "@": (lambda x, y: x @ y.T, lambda x, y: x @ y.T),
    "dot": (lambda x, y: x.dot(y.T, None, x[:, :3]), lambda x, y: x @ y.T + x[:, :3]),
    "matmul": (lambda x, y: x.matmul(y.T), lambda x, y: x @ y.T),
    "relu": (lambda x, y: x.relu(), lambda x, y: np.maximum(x, 0)),
    "maximum": (lambda x, y: x.maximum(y), np.maximum),
    "minimum": (lambda x, y: x.minimum(y), np.minimum),
    "tanh": (lambda x, y: x.tanh(), lambda x, y: np.tanh(x)),
    "exp": (lambda x, y: x.exp(), lambda x, y: np.exp(x)),
    "log": (lambda x, y: (x * x).log(), lambda x, y: np.log(x * x)),
    "sigmoid": (lambda x, y: x.lookup("sigmoid"), lambda x, y: 1 / (1 + np.exp(-x))),
    "reciprocal": (lambda x, y: x.lookup("reciprocal"), lambda x, y: 1 / x),
    "sum": (lambda x, y: x.sum(), lambda x, y: x.sum()),
    "sum 1": (lambda x, y: x.sum(1), lambda x, y: x.sum(1)),
    "sum kept": (lambda x, y: x.sum((0, 1), True), lambda x, y: x.sum(keepdims=True)),
    "mean": (lambda x, y: x.mean(), lambda x, y: x.mean()),
    "mean 0": (lambda x, y: x.mean(0, True), lambda x, y: x.mean(0, keepdims=True)),
    "max": (lambda x, y: x.max(1), lambda x, y: x.max(1)),
    "max kept": (lambda x, y: x.max(0, True), lambda x, y: x.max(0, keepdims=True)),
    "argmax": (lambda x, y: x.argmax(), lambda x, y: x.argmax(-1)),
    "argmax 0": (lambda x, y: x.argmax(0), lambda x, y: x.argmax(0)),
    "log_softmax": (lambda x, y: x.log_softmax(), lambda x, y: softmax_log(x)),
    "reshape": (lambda x, y: x.reshape(2, -1), lambda x, y: x.reshape(2, 6)),
    "transpose": (lambda x, y: x.transpose(1, 0), lambda x, y: x.T),
    "index": (lambda x, y: x[1:, [0, 2, 2]], lambda x, y: x[1:, [0, 2, 2]]),
    "take": (lambda x, y: x.take([3, 0], 1), lambda x, y: x[:, [3, 0]]),
    "concat": (lambda x, y: x.concat([y], 0), lambda x, y: np.concatenate([x, y])),
    "split": (lambda x, y: x.split(2)[1], lambda x, y: x[:, 2:]),
    "split 0": (lambda x, y: x.split(3, 0)[2], lambda x, y: x[2:]),
    "stack": (lambda x, y: stack([x, y], 1), lambda x, y: np.stack([x, y], 1)),
    "zeros": (lambda x, y: x.zeros(2, 5), lambda x, y: np.zeros((3, 2, 5))),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values_are_numpys(name: str) -> None:
    verb, expected = VALUES[name]
    result = verb(Tensor(X), Tensor(Y)).data
    assert result.shape == np.shape(expected(X, Y))
    assert np.allclose(result, expected(X, Y), rtol=1e-14, atol=0)


def test_the_logarithm_of_a_softmax_does_not_overflow() -> None:
    assert Tensor([[1000.0, 0.0]]).log_softmax().data.tolist() == [[0.0, -1000.0]]
    assert Tensor([[-1000.0, -1000.0]]).log_softmax().data.tolist() == [[-np.log(2), -np.log(2)]]


def test_of_equals_the_gradient_goes_to_the_first() -> None:
    for verb in ("maximum", "minimum"):
        a, b = Tensor([1.0, 2.0, 3.0]), Tensor([1.0, 1.0, 4.0])
        getattr(a, verb)(b).sum().backward()
        larger = [1.0, 1.0, 0.0] if verb == "maximum" else [1.0, 0.0, 1.0]
        assert a.grad.tolist() == larger
        assert b.grad.tolist() == [1 - share for share in larger]
    x = Tensor([[2.0, 2.0, 1.0]])
    x.max(1).sum().backward()
    assert x.grad.tolist() == [[1.0, 0.0, 0.0]]
    x = Tensor([0.0, -1.0, 1.0])
    x.relu().sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0]


def test_a_tensor_is_walked_row_by_row() -> None:
    x = Tensor(X)
    assert len(x) == 3
    assert [row.data.tolist() for row in x] == X.tolist()
    sum(row[0] for row in x).backward()  # type: ignore[union-attr]
    assert x.grad.tolist() == [[1, 0, 0, 0]] * 3
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert x.to_float() is x.data


def test_whole_numbers_and_truths_become_floats() -> None:
    for data in ([1, 2], np.array([1, 2], np.uint8), [True, False]):
        assert Tensor(data).data.dtype == np.float64


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_dropout_passes_the_gradient_of_what_it_keeps(rate: float) -> None:
    x = Tensor(np.full((20, 20), 3.0))
    dropped = x.dropped(rate, np.random.default_rng(3))
    dropped.sum().backward()
    assert np.array_equal(x.grad, dropped.data / 3)
    assert 0 < (x.grad == 0).sum() < 400
    assert x.dropped(0, np.random.default_rng(3)) is x
    assert x.dropped(rate, None) is x


@pytest.mark.parametrize("overflow", Overflow)
def test_the_gradient_of_a_cast_passes_where_nothing_was_clipped(overflow: Overflow) -> None:
    quantizer = Quantizer(Q(2, 2), Rounding.HALF_EVEN, overflow)
    x = Tensor([0.1, -1.9, 1.74, 2.0, 2.3, -2.2, -2.3, 9.0, -9.0])
    y = x.cast(quantizer)
    assert y.operation == "cast"
    assert np.array_equal(y.data, quantizer.round_floats(x.data))
    y.sum().backward()
    clipped = np.abs(y.data - x.data) > 0.25
    assert 0 < clipped.sum() < 9
    assert np.array_equal(x.grad, np.ones(9) if overflow is Overflow.WRAP else 1.0 - clipped)
    assert x.cast(None) is x
    assert x.cast(Quantizer(Q(2, 2), name="here")).operation == "here"
    with no_gradient():
        assert not is_recording()
        silent = x.cast(quantizer)
    assert is_recording()
    assert np.array_equal(silent.data, y.data)
    assert not silent.needs_gradient


def test_calibration_looks_on_and_rounds_nothing() -> None:
    class Observer:
        name = "seen"

        def observe(self, data: np.ndarray) -> None:
            self.data = data

    observer, x = Observer(), Tensor([0.3])
    y = x.cast(observer)  # type: ignore[arg-type]
    assert (y.data.tolist(), y.operation, observer.data.tolist()) == ([0.3], "seen", [0.3])
    y.backward()
    assert x.grad.tolist() == [1.0]


def test_a_table_gives_its_values_and_the_functions_gradient() -> None:
    table = Table("sigmoid", Q(3, 1), Quantizer(Q(1, 4)))
    x = Tensor([0.5, -1.0])
    y = x.lookup("sigmoid", table)
    assert np.array_equal(y.data, table.on_floats(x.data))
    y.sum().backward()
    real = 1 / (1 + np.exp(-x.data))
    assert np.allclose(x.grad, real * (1 - real), rtol=1e-14, atol=0)


def test_the_gradient_of_a_table_that_no_function_made_is_the_slope_of_its_entries() -> None:
    table = ValueTable.of("clamp", lambda code: min(max(code, -2), 2), Q(3, 1), Q(3, 1))
    x = Tensor(np.array([-4, -1, 0, 1, 2, 3], np.float32) / 2)
    y = x.lookup("clamp", table)
    y.backward(np.full(6, 3, np.float32))
    assert (y.data.dtype, x.grad.dtype) == (np.float32, np.float32)
    assert y.data.tolist() == [-1, -0.5, 0, 0.5, 1, 1]
    assert x.grad.tolist() == [0, 3, 3, 3, 1.5, 0]


def test_gradients_are_added_and_never_written_into_what_was_borrowed() -> None:
    x = Tensor(np.arange(4.0))
    borrowed = np.ones(4)
    x.add_gradient(borrowed)
    assert x.grad is borrowed
    x.add_gradient(np.full(4, 2.0))
    own = x.grad
    x.add_gradient(np.full(4, 4.0))
    assert x.grad is own
    assert own.tolist() == [7.0] * 4
    assert borrowed.tolist() == [1.0] * 4
    y = Tensor(np.arange(4.0))
    y.add_gradient(borrowed)
    (y[1:] * 3).sum().backward()
    assert borrowed.tolist() == [1.0] * 4
    assert y.grad.tolist() == [1.0, 4.0, 4.0, 4.0]
    own = y.grad
    (y[:1] * 5).sum().backward()
    assert y.grad is own
    assert own.tolist() == [6.0, 4.0, 4.0, 4.0]


def test_results_on_the_way_drop_their_gradients_unless_they_are_kept() -> None:
    for keep in (False, True):
        x = Tensor([2.0])
        middle = x * 3
        end = middle + 1
        end.backward(keep=keep)
        assert (middle.grad is not None) is keep
        assert end.grad is not None
        assert x.grad.tolist() == [3.0]
    x = Tensor([1.0, 2.0])
    (x * 2).backward([10.0, 100.0])
    assert x.grad.tolist() == [20.0, 200.0]


def test_a_running_average_moves_in_place() -> None:
    x = Tensor([1.0, 3.0])
    data = x.data
    x.move_towards(np.array([2.0, 1.0]), 0.25)
    assert data.tolist() == [1.25, 2.5]


def test_the_picture_shows_shapes_and_what_has_no_gradient() -> None:
    x = Tensor(X)
    drawn = to_dot(x.sum(1) + Tensor([1.0, 2.0, 3.0], needs_gradient=False), {"x": x})
    assert 'label="x | value 3x4 | grad -"' in drawn
    assert 'label="value 3 | grad -"' in drawn
    assert drawn.count("shape=circle") == 2
    assert drawn.splitlines()[1:3] == ["  rankdir=LR;", "  node [shape=record, fontname=Helvetica];"]


# ---- channels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 2, 3, 4), (3, 2, 256), (2, 2, 255)])
def test_one_value_per_channel(shape: tuple[int, ...]) -> None:
    x, y, vector = RNG.normal(size=shape), RNG.normal(size=shape), RNG.normal(size=shape[-1])
    for function in (np.add, np.subtract, np.multiply):
        assert np.array_equal(channels.each(function, x, vector), function(x, vector))
        out = np.empty_like(x)
        assert channels.each(function, x, vector, out=out) is out
        assert np.array_equal(out, function(x, vector))
    axes = tuple(range(len(shape) - 1))
    assert np.allclose(channels.sums(x), x.sum(axes), rtol=1e-12, atol=1e-12)
    assert np.allclose(channels.dots(x, y), (x * y).sum(axes), rtol=1e-12, atol=1e-12)


def test_channels_are_standardized() -> None:
    x = RNG.normal(2, 3, (5, 6, 4))
    result, mean, variance = Tensor(x).standardized(0.5)
    assert np.allclose(mean, x.mean((0, 1)), rtol=1e-13, atol=0)
    assert np.allclose(variance, x.var((0, 1)), rtol=1e-13, atol=0)
    expected = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 0.5)
    assert np.allclose(result.data, expected, rtol=1e-12, atol=1e-12)


# ---- windows -------------------------------------------------------------------------------------------------

GEOMETRIES = [
    Geometry((2, 3), (1, 1), ((0, 0), (0, 0))),
    Geometry((2, 3), (1, 1), ((1, 0), (2, 1))),
    Geometry((2, 2), (2, 2), ((0, 0), (0, 0))),
    Geometry((2, 2), (2, 1), ((1, 1), (0, 1))),
    Geometry((1, 1), (1, 1), ((0, 0), (0, 0))),
    Geometry((2, 3), (1, 1), ((2, 0), (0, 0))),
    Geometry((2, 3), (1, 1), ((0, 0), (0, 3))),
]


def whole(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Whole numbers, of which sums are exact in any order; many are equal."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(float)


VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "max": lambda x, w: x.max(3),
    "max kept": lambda x, w: x.max(3, True),
    "max of channels": lambda x, w: x.max(4),
    "sum": lambda x, w: x.sum(3),
    "sum kept": lambda x, w: x.sum(3, True),
    "sum of channels": lambda x, w: x.sum(4),
    "sum of all": lambda x, w: x.sum((1, 3)),
    "flat dot": lambda x, w: x.reshape(*x.shape[:3], w.shape[0]).dot(w),
    "flat dot, any batch": lambda x, w: x.reshape(-1, *x.shape[1:3], w.shape[0]).dot(w),
    "flat dot goes on": lambda x, w: (lambda y: y.dot(w, None, y.dot(w)))(
        x.reshape(*x.shape[:3], w.shape[0])
    ),
    "flat dot with a vector": lambda x, w: x.reshape(*x.shape[:3], w.shape[0]).dot(w[:, 0]),
    "flat sum": lambda x, w: x.reshape(*x.shape[:3], w.shape[0]).sum(3),
    "flat max": lambda x, w: x.reshape(*x.shape[:3], w.shape[0]).max(3),
    "rows": lambda x, w: x.reshape(-1, w.shape[0]).dot(w),
    "plain": lambda x, w: x * 2,
}


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize("lowest", [False, True])
def test_windows_give_what_their_copies_give(name: str, lowest: bool) -> None:
    for at in GEOMETRIES:
        if (
            lowest
            and ("dot" in name or name == "rows" or "sum" in name or name == "plain")
            and any(map(sum, at.padding))
        ):
            continue  # -inf, which only a maximum takes
        results = []
        weight = whole((at.taps * 2, 3), 1)
        for windowed in (True, False):
            images, w = Tensor(whole((3, 4, 6, 2))), Tensor(weight)
            x: Tensor = images.windows(at.kernel, at.stride, at.padding, lowest=lowest)
            assert isinstance(x, Windows)
            assert x.ndim == len(x.shape) == 5
            if not windowed:
                x = Tensor._result(x.data, "copied", (x,), x.add_gradient)
            y = VERBS[name](x, w)
            y.backward(whole(y.shape, 2))
            results.append((y.data, images.grad, w.grad))
        for one, other in zip(*results, strict=True):
            assert np.array_equal(one, other) if one is not None else other is None


@pytest.mark.parametrize("at", GEOMETRIES, ids=str)
@pytest.mark.parametrize("size", [1, 1 << 8, 1 << 19])
def test_a_convolution_and_its_gradients_in_blocks_of_any_size(
    at: Geometry, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fixedpoint_nn.numbers.image_windows.BLOCK_BYTES", size)
    monkeypatch.setattr(convolution, "BLOCK_BYTES", size)
    images, weight = whole((3, 4, 6, 2)), whole((at.taps * 2, 3), 1)
    (top, bottom), (left, right) = at.padding
    framed = np.pad(images, ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows, columns = at.positions(images.shape)
    g = whole((3, rows, columns, 3), 2)
    product_, to_weight, to_images = np.zeros_like(g), np.zeros_like(weight), np.zeros_like(framed)
    for y, x in product(range(rows), range(columns)):
        here = (
            slice(None),
            slice(y * at.stride[0], y * at.stride[0] + at.kernel[0]),
            slice(x * at.stride[1], x * at.stride[1] + at.kernel[1]),
        )
        window = framed[here].reshape(3, -1)
        product_[:, y, x] = window @ weight
        to_weight += window.T @ g[:, y, x]
        to_images[here] += (g[:, y, x] @ weight.T).reshape(3, *at.kernel, 2)
    to_images = to_images[:, top : top + 4, left : left + 6]
    assert np.array_equal(convolution.convolve(images, weight, at), product_)
    assert np.array_equal(convolution.weight_gradient(images, g, at), to_weight)
    assert np.array_equal(convolution.image_gradient(images.shape, weight, g, at), to_images)
