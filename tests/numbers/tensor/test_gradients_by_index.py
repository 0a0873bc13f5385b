# SPDX-License-Identifier: MIT
"""Gradients of every verb over repeated, negative, boolean, sliced and broadcast indices.

Two judges: finite differences, and an oracle that follows each element by its number: the same index applied to
`arange` says where every element of the result comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import Tensor
from fixedpoint_nn.numbers.tensor.tensor import stack
from tests.support.finite_differences import worst_gradient_error

SHAPE = (3, 4)
INDICES: dict[str, Any] = {
    "repeated": [0, 0, 1],
    "repeated_array": np.array([2, 2, 2]),
    "repeated_matrix": np.array([[0, 1], [1, 0], [0, 0]]),
    "negative": -1,
    "negative_array": np.array([-1, 2, -1, 0]),
    "repeated_by_sign": np.array([-3, 0, 1, -2]),
    "boolean_rows": np.array([True, False, True]),
    "boolean_list": [True, False, True],
    "boolean_elements": np.arange(12).reshape(SHAPE) % 3 == 0,
    "boolean_nothing": np.zeros(SHAPE, bool),
    "sliced": (slice(None, None, -1), slice(1, None, 2)),
    "sliced_and_repeated": (slice(1, None), [3, 3, 0]),
    "repeated_and_sliced": ([1, 1], slice(None, None, 2)),
    "pairs": ([0, 0, 2], [1, 1, -1]),
    "broadcast": (np.array([[0], [0], [2]]), np.array([1, 1, -1])),
    "broadcast_with_a_number": (1, [0, 0, 3]),
    "boolean_and_repeated": (np.array([True, False, True]), [1, 1]),
    "new_axis": (None, [0, 0], ..., None),
    "ellipsis": (..., [-1, -1]),
    "numpy_integer": np.int64(-2),
    "nothing": [],
    "everything": ...,
}
# Each verb on a selection s of any shape of at least one axis.
VERBS: dict[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda s: s,
    "+": lambda s: s + s * 2,
    "-": lambda s: 1 - s,
    "*": lambda s: s * s,
    "/": lambda s: 1 / (s * s + 1),
    "**": lambda s: (s * s + 1) ** 0.5,
    "neg": lambda s: -s,
    "scaled": lambda s: s.scaled(2),
    "relu": lambda s: s.relu(),
    "maximum": lambda s: s.maximum(-s),
    "lookup": lambda s: s.lookup("sigmoid"),
    "log": lambda s: (s * s + 1).log(),
    "sum": lambda s: s.sum(-1),
    "sum_all": lambda s: s.sum(),
    "reshape": lambda s: s.reshape(-1),
    "concat": lambda s: s.concat([s, s]),
    "stack": lambda s: stack([s, s], axis=0),
    "mean": lambda s: s.mean(-1, keepdims=True),
    "max": lambda s: s.max(-1),
    "log_softmax": lambda s: s.log_softmax(),
    "index": lambda s: s[..., [0, 0]],
    "take": lambda s: s.take([0, 0, 0], axis=-1),
    "take_matrix": lambda s: s.take([[0, 0], [0, 0]], axis=0),
    "split": lambda s: s.split(1)[0],
    "matmul": lambda s: s.reshape(1, -1) @ s.reshape(-1, 1),
    "scan": lambda s: s.reshape(1, -1, 1).scan(lambda x, c: (x * c, c + x), Tensor(np.ones((1, 1))))[0],
    "windows": lambda s: s.reshape(1, -1, 1, 1).windows((1, 1), (1, 1), ((1, 0), (0, 0))),
    "standardized": lambda s: s.reshape(-1, 1).standardized(1e-2)[0],
}


EMPTY = {"boolean_nothing", "nothing"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", [name for name in INDICES if name not in EMPTY])
def test_gradients_over_an_index_equal_finite_differences(name: str, verb: str) -> None:
    a = Tensor(np.random.default_rng(3).standard_normal(SHAPE))
    assert worst_gradient_error(lambda: VERBS[verb](a[INDICES[name]]), [a], samples=12) < 1e-6


def oracle_gradient(places: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """One addition for every element of the result, at the element that it came from."""
    total = np.zeros(12)
    for place, share in zip(places.reshape(-1), shares.reshape(-1), strict=True):
        total[place] += share
    return total.reshape(SHAPE)


@pytest.mark.parametrize("name", INDICES)
def test_gradients_of_an_index_equal_the_slow_oracle(name: str) -> None:
    a, places = Tensor(np.ones(SHAPE)), np.arange(12).reshape(SHAPE)[INDICES[name]]
    shares = np.random.default_rng(4).integers(-9, 9, np.shape(places)).astype(float)
    a[INDICES[name]].backward(shares)
    assert np.array_equal(a.grad, oracle_gradient(places, shares))


def test_a_row_that_is_named_twice_gets_both_gradients() -> None:
    a = Tensor([1.0, 2.0, 3.0])
    a[[0, 0, 1]].sum().backward()
    assert a.grad is not None and a.grad.tolist() == [2, 1, 0]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_gradients_of_any_index_equal_the_slow_oracle(data: st.DataObject) -> None:
    def part(size: int) -> st.SearchStrategy[Any]:
        number = st.integers(-size, size - 1)
        masks = st.lists(st.booleans(), min_size=size, max_size=size).map(np.array)
        arrays = st.lists(number, min_size=2, max_size=2).map(np.array)
        return st.one_of(number, st.slices(size), arrays, arrays.map(lambda x: x[:, None]), masks)

    index = data.draw(st.tuples(part(3), part(4)) | part(3))
    try:
        places = np.arange(12).reshape(SHAPE)[index]
    except IndexError:  # a mask of one length and an array of another
        return
    a = Tensor(np.ones(SHAPE))
    shares = np.arange(1.0, places.size + 1).reshape(np.shape(places))
    (a[index] * 1.0).backward(shares)
    assert np.array_equal(a.grad, oracle_gradient(places, shares))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=5), st.sampled_from([0, 1, -1, -2]))
def test_gradients_of_take_equal_the_slow_oracle(ids: list[int], axis: int) -> None:
    places = np.arange(12).reshape(SHAPE).take(ids, axis)
    a, shares = Tensor(np.ones(SHAPE)), np.arange(1.0, places.size + 1).reshape(places.shape)
    a.take(ids, axis).backward(shares)
    assert np.array_equal(a.grad, oracle_gradient(places, shares))
    b = Tensor(np.ones(SHAPE))
    b.take(np.array([ids, ids]), axis).backward(np.stack([shares, shares], axis if axis >= 0 else axis - 1))
    assert np.array_equal(b.grad, 2 * oracle_gradient(places, shares))


BROADCAST = [(3, 4), (4,), (1, 4), (3, 1), (1, 1), (1,), ()]


@pytest.mark.parametrize("shape", BROADCAST)
@pytest.mark.parametrize("verb", ["+", "-", "*", "/", "maximum", "reversed -", "reversed *"])
def test_gradients_over_broadcast_operands_equal_finite_differences(
    verb: str, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(5)
    a, b = Tensor(rng.standard_normal(SHAPE)), Tensor(rng.standard_normal(shape))
    functions: dict[str, Callable[[], Tensor]] = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a / (b * b + 1),
        "maximum": lambda: a.maximum(b),
        "reversed -": lambda: b - a,
        "reversed *": lambda: b * a,
    }
    assert worst_gradient_error(functions[verb], [a, b]) < 1e-7
