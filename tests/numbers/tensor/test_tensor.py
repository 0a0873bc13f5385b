# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.numbers.tensor.dot_graph import to_dot
from fixedpoint_nn.numbers.tensor.tensor import record, stack
from tests.support.finite_differences import worst_gradient_error

RNG = np.random.default_rng(7)


def draw(*shape: int) -> Tensor:
    return Tensor(RNG.standard_normal(shape))


def test_the_example_of_micrograd_gives_its_published_figures() -> None:
    a, b = Tensor(-4.0), Tensor(2.0)
    c = a + b
    d = a * b + b**3
    c = c + (c + 1)
    c = c + (1 + c + (-a))
    d = d + (d * 2 + (b + a).relu())
    d = d + (3 * d + (b - a).relu())
    e = c - d
    f = e**2
    g = f / 2.0
    g = g + 10.0 / f
    g.backward()
    assert f"{g.data.item():.4f}" == "24.7041"
    assert f"{a.grad.item():.4f}" == "138.8338"
    assert f"{b.grad.item():.4f}" == "645.5773"


OPERATIONS = {
    "add": lambda a, b, m: a + b,
    "add_broadcast": lambda a, b, m: a + m[0],
    "add_matrix": lambda a, b, m: a.reshape(2, 2, 3) + b.reshape(2, 2, 3)[0],
    "multiply_matrix": lambda a, b, m: a.reshape(2, 2, 3) * b.reshape(2, 2, 3)[1],
    "subtract": lambda a, b, m: a - b[:, :1],
    "multiply": lambda a, b, m: a * b[:1],
    "divide": lambda a, b, m: a / (b * b + 1),
    "power": lambda a, b, m: (a * a + 0.5) ** 1.5,
    "negate": lambda a, b, m: -a,
    "one_minus": lambda a, b, m: 1 - a,
    "one_over": lambda a, b, m: 1 / (a * a + 1),
    "scaled": lambda a, b, m: a.scaled(-3),
    "matmul": lambda a, b, m: a @ m,
    "dot_continues": lambda a, b, m: b.dot(m, None, a @ m),
    "dot_vector": lambda a, b, m: a.dot(m[:, 0]),
    "dot_groups": lambda a, b, m: a.reshape(3, 2, 2).dot(m.reshape(2, 2, 4)),
    "relu": lambda a, b, m: a.relu(),
    "maximum": lambda a, b, m: a.maximum(b),
    "minimum": lambda a, b, m: a.minimum(b),
    "minimum_broadcast": lambda a, b, m: a.minimum(b[:1]),
    "matmul_batches": lambda a, b, m: a.reshape(2, 3, 2).matmul(b.reshape(2, 2, 3)),
    "matmul_broadcast": lambda a, b, m: a.reshape(2, 3, 2).matmul(b[0].reshape(1, 2, 2)),
    "transpose": lambda a, b, m: a.reshape(3, 2, 2).transpose(2, 0, 1),
    "sigmoid": lambda a, b, m: a.lookup("sigmoid"),
    "tanh": lambda a, b, m: a.tanh(),
    "exp": lambda a, b, m: a.exp(),
    "reciprocal": lambda a, b, m: (a * a + 1).lookup("reciprocal"),
    "log": lambda a, b, m: (a * a + 1).log(),
    "sum": lambda a, b, m: a.sum(axis=1),
    "sum_kept": lambda a, b, m: a.sum(axis=0, keepdims=True),
    "mean": lambda a, b, m: a.mean(axis=(0, 1)),
    "max": lambda a, b, m: a.max(axis=1),
    "max_kept": lambda a, b, m: a.max(axis=-1, keepdims=True),
    "log_softmax": lambda a, b, m: a.log_softmax(),
    "reshape": lambda a, b, m: a.reshape(2, 6),
    "index": lambda a, b, m: a[1:, ::2],
    "overlapping_indices": lambda a, b, m: a[:2] * a[1:],
    "take": lambda a, b, m: a.take([[2, 0], [2, 2]]),
    "take_columns": lambda a, b, m: a.take([3, 3, 1], axis=1),
    "concat": lambda a, b, m: a.concat([b, a], axis=1),
    "split": lambda a, b, m: a.split(2)[0] * a.split(2)[1],
    "stack": lambda a, b, m: stack([a, b, a], axis=1),
    "windows": lambda a, b, m: a.reshape(1, 3, 2, 2).windows((2, 2), (1, 1), ((1, 0), (0, 1))),
    "windows_groups": lambda a, b, m: a.reshape(1, 3, 2, 2).windows(
        (2, 1), (1, 1), ((0, 0), (0, 0)), groups=2
    ),
    "windows_dilated": lambda a, b, m: a.reshape(1, 3, 2, 2).windows(
        (2, 2), (1, 1), ((1, 0), (0, 1)), groups=2, dilation=(2, 1)
    ),
    "standardized": lambda a, b, m: a.standardized(1e-5)[0],
    "scan": lambda a, b, m: a.reshape(1, 3, 4).scan(lambda x, s: (x * s, x + s), b[:1])[0],
    "scan_each": lambda a, b, m: a.reshape(1, 3, 4).scan(
        lambda x, s: (x, x + s), b[:1], each=lambda x: x @ m
    )[1],
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient_equals_finite_differences(name: str) -> None:
    a, b, m = draw(3, 4), draw(3, 4), draw(4, 4)
    used = {"a": a, "b": b, "m": m}
    operation = OPERATIONS[name]
    result = operation(a, b, m)
    leaves = [leaf for leaf in used.values() if any(leaf is node for node in _ancestors(result))]
    assert leaves
    assert worst_gradient_error(lambda: operation(a, b, m), leaves) < 1e-7


def _ancestors(result: Tensor) -> list[Tensor]:
    found, stack_ = [], [result]
    while stack_:
        node = stack_.pop()
        if not any(node is other for other in found):
            found.append(node)
            stack_.extend(node.parents)
    return found


def test_a_mask_of_a_masked_array_is_no_index() -> None:
    with pytest.raises(TypeError, match="masked"):
        Tensor([1.0, 2.0])[np.ma.array([0, 1], mask=[True, False])]


def test_gradients_add_up_over_several_calls() -> None:
    a = Tensor([1.0, 2.0])
    a.sum().backward()
    (a * 3).sum().backward()
    assert np.array_equal(a.grad, [4.0, 4.0])


def test_a_gradient_that_two_operands_share_is_not_changed_in_place() -> None:
    a, b = Tensor([1.0]), Tensor([2.0])
    total = a + b
    (total + total + a).sum().backward()
    assert np.array_equal(a.grad, [3.0]) and np.array_equal(b.grad, [2.0])


def test_single_precision_stays_single_precision() -> None:
    a = Tensor(np.ones((2, 3), np.float32))
    result = ((a * 2 + 1) / 3.0 - 1).relu().lookup("sigmoid").scaled(2) @ Tensor(np.ones((3, 1), np.float32))
    result.sum().backward()
    assert result.data.dtype == np.float32 and a.grad.dtype == np.float32


def test_dropout_scales_what_it_keeps() -> None:
    x = Tensor(np.ones((100, 100)))
    dropped = x.dropped(0.25, np.random.default_rng(1))
    assert set(np.unique(dropped.data).round(9)) == {0.0, round(4 / 3, 9)}
    assert abs(dropped.data.mean() - 1) < 0.02
    assert x.dropped(0.25, None) is x


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Tensor(["a"]), "a Tensor holds floats, not <U1; convert the data to numbers first"),
        (
            lambda: Tensor([1.0, 2.0]).backward(),
            "backward() starts from one number, not from shape (2,); sum it first or pass the gradient",
        ),
        (lambda: np.asarray(Tensor([1.0])), "a Tensor is not turned into an array silently; take its .data"),
        (lambda: Tensor(np.ones((2, 5))).split(2), "5 elements do not split into 2 equal parts"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(make, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(sentence)}$"):
        make()


def test_the_graph_is_drawn_with_values_gradients_and_operations() -> None:
    a, b = Tensor(2.0), Tensor(-3.0)
    product = a * b
    result = product + 1
    result.backward(keep=True)
    dot = to_dot(result, {"a": a, "b": b})
    assert dot.startswith("digraph tape {") and dot.endswith("}\n")
    assert 'label="a | value 2 | grad -3"' in dot and 'label="b | value -3 | grad 2"' in dot
    assert 'label="value -6 | grad 1"' in dot and 'label="*", shape=circle' in dot


def test_constants_get_no_gradient_and_record_nothing() -> None:
    constant, leaf = Tensor([[1.0, 2.0]], needs_gradient=False), Tensor([[3.0, 4.0]])
    made = (constant * 2).relu().concat([constant])
    assert not made.needs_gradient
    assert made.parents == ()
    result = (constant * leaf)[:, :1] + constant.dot(leaf.reshape(2, 1))
    assert result.needs_gradient
    result.backward()
    assert constant.grad is None
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[2.0, 2.0]]


def test_an_operation_made_elsewhere_joins_the_tape() -> None:
    a = Tensor([2.0, 3.0])
    cubed = record(a.data**3, "cube", (a,), lambda g: a.add_gradient(g * 3 * a.data**2))
    (cubed * 2).sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [24.0, 54.0]


def test_t_has_the_axes_in_reverse_order_and_its_gradient() -> None:
    x = Tensor(np.arange(6.0).reshape(1, 2, 3))
    factor = np.arange(6.0).reshape(3, 2, 1)
    assert np.array_equal(x.T.data, x.data.T)
    (x.T * Tensor(factor)).sum().backward()
    assert np.array_equal(x.grad, factor.T)


@pytest.mark.parametrize("lowest", [False, True])
def test_windows_that_are_not_copied_are_those_that_are(lowest: bool) -> None:
    """Shapes, values, products, pools and gradients, flat or not."""
    geometry = ((2, 3), (1, 2), ((1, 0), (0, 2)))
    images = Tensor(np.random.default_rng(0).normal(size=(2, 4, 5, 3)))
    weight = Tensor(np.random.default_rng(1).normal(size=(18, 4)))
    square = Tensor(np.random.default_rng(2).normal(size=(3, 2)))
    slid = images.windows(*geometry, lowest=lowest)
    copied = np.zeros((2, 5, 7, 3)) - (np.inf if lowest else 0)
    copied[:, 1:, :5] = images.data
    expected = np.stack(
        [
            np.stack([copied[:, y : y + 2, x : x + 3].reshape(2, 6, 3) for x in (0, 2, 4)], axis=1)
            for y in range(4)
        ],
        axis=1,
    )
    assert (slid.ndim, slid.shape) == (5, (2, 4, 3, 6, 3))
    assert np.array_equal(slid.data, expected)
    for shape in ((2, 4, 3, 18), (-1, 4, 3, 18)):
        flat = slid.reshape(*shape)
        assert type(flat) is type(slid) and (flat.ndim, flat.shape) == (4, (2, 4, 3, 18))
        assert np.array_equal(flat.data, expected.reshape(2, 4, 3, 18))
    other = slid.reshape(2, 12, 18)
    assert type(other) is Tensor and np.array_equal(other.data, expected.reshape(2, 12, 18))
    assert np.array_equal(slid.max(3).data, expected.max(axis=3))
    assert np.array_equal(slid.max(4).data, expected.max(axis=4))
    assert np.array_equal(slid.max(3, True).data, expected.max(axis=3, keepdims=True))
    if lowest:
        return
    assert np.allclose(slid.sum(3).data, expected.sum(axis=3))
    assert np.allclose(slid.sum(4, True).data, expected.sum(axis=4, keepdims=True))
    assert np.allclose(flat.dot(weight).data, expected.reshape(2, 4, 3, 18) @ weight.data)
    assert np.allclose(
        flat.dot(weight, initial=Tensor(np.ones(4))).data, expected.reshape(2, 4, 3, 18) @ weight.data + 1
    )
    assert np.allclose(slid.dot(square).data, expected @ square.data)
    flat.dot(weight).sum().backward()
    taps = np.broadcast_to(weight.data.sum(axis=1), (2, 4, 3, 18)).reshape(expected.shape)
    counted = np.zeros((2, 5, 7, 3))
    for y in range(4):
        for x in range(3):
            counted[:, y : y + 2, 2 * x : 2 * x + 3] += taps[:, y, x].reshape(2, 2, 3, 3)
    assert np.allclose(images.grad, counted[:, 1:, :5])


def test_a_quotient_and_its_gradients() -> None:
    x, y = Tensor(np.array([1.0, -2.0, 3.0])), Tensor(np.array([2.0, 4.0, -5.0]))
    quotient = x / y
    assert np.allclose(quotient.data, x.data / y.data)
    quotient.sum().backward()
    assert np.allclose(x.grad, 1 / y.data) and np.allclose(y.grad, -x.data / y.data**2)
    assert np.allclose((x / 4.0).data, x.data / 4)


def test_a_number_is_an_operand_of_maximum_and_minimum() -> None:
    x = draw(3, 4)
    assert np.array_equal(x.maximum(0.25).data, np.maximum(x.data, 0.25))
    assert np.array_equal(x.minimum(1).data, np.minimum(x.data, 1))
    assert x.maximum(1).data.dtype == x.data.dtype
    (x.maximum(0.25) + x.minimum(1)).sum().backward()
    assert np.array_equal(x.grad, (x.data >= 0.25) * 1.0 + (x.data <= 1))
