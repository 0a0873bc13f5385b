# SPDX-License-Identifier: MIT
"""Views move no data: the words that they walk through are those of NumPy's own views."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.strided_view import (
    ZERO_REGISTER,
    Atom,
    Buffer,
    Register,
    View,
    Window,
    dense_axes,
    merge,
)
from fixedpoint_nn.numbers.sliding_windows import windows
from fixedpoint_nn.numerics.qformat import Q


def walked(atoms: Any) -> np.ndarray:
    """The offsets of a walk, the outermost loop first."""
    total = np.zeros(1, np.int64)
    for atom in atoms:
        total = (total[:, None] + np.arange(atom.size) * atom.stride).reshape(-1)
    return total


def words(view: View) -> np.ndarray:
    """The words of a value, in its shape."""
    return (view.place[1] + walked([atom for axis in view.axes for atom in axis])).reshape(view.shape)


def dense(*shape: int, offset: int = 5) -> tuple[View, np.ndarray]:
    strides = np.cumprod([1, *shape[:0:-1]])[::-1]
    view = View(Buffer("x", 1 << 20), offset, dense_axes(shape, [int(n) for n in strides]), Q(4, 4))
    return view, offset + np.arange(int(np.prod(shape))).reshape(shape)


def test_a_part_of_a_buffer_stands_at_its_offset_and_moves_with_it() -> None:
    register, own = Register(8), Register(4)
    root = Buffer("root", 100, loop_register=register)
    part = Buffer("part", 40, root, 10)
    inner = Buffer("inner", 5, part, 7, own)
    alone = Buffer("alone", 3)
    assert (root.root, part.root, inner.root) == (root, root, root)
    assert (root.place, part.place, inner.place) == (0, 10, 17)
    assert (root.register, part.register, inner.register) == (register, register, own)
    assert (alone.root, alone.place, alone.register) == (alone, 0, None)
    assert View(inner, 2, ((), (Atom(3, 1),)), Q(4, 0)).place == (root, 19)
    assert ZERO_REGISTER.stride == ZERO_REGISTER.span == 0


def test_merging_walks_the_same_way_in_fewer_atoms() -> None:
    assert merge([Atom(2, 12), Atom(3, 4), Atom(4, 1)]) == [Atom(24, 1)]
    assert merge([Atom(2, 13), Atom(3, 4), Atom(4, 1)]) == [Atom(2, 13), Atom(12, 1)]
    assert merge([Atom(2, 12), Atom(1, 99), Atom(3, 4)]) == [Atom(6, 4)]
    assert merge([Atom(1, 7)]) == merge([]) == []
    assert merge([Atom(3, 2, "y"), Atom(2, 1)]) == [Atom(3, 2, "y"), Atom(2, 1)]
    assert merge([Atom(3, 2), Atom(2, 1, "x")]) == [Atom(3, 2), Atom(2, 1, "x")]
    assert merge([Atom(2, 0), Atom(3, 0)]) == [Atom(6, 0)]
    for strides in product((0, 1, 2, 3, 6), repeat=3):
        atoms = [Atom(size, stride) for size, stride in zip((2, 3, 2), strides, strict=True)]
        assert np.array_equal(walked(merge(atoms)), walked(atoms))


def test_dense_axes_leave_out_what_is_one() -> None:
    assert dense_axes((1, 3, 1, 2), (0, 4, 4, 1)) == ((), (Atom(3, 4),), (), (Atom(2, 1),))


@pytest.mark.parametrize(
    "shape",
    [
        (1, 24),
        (1, 2, 12),
        (1, 4, 6),
        (1, 2, 3, 4),
        (1, 1, 24, 1),
        (1, 12, 2),
    ],
)
def test_reshapes_are_numpys(shape: tuple[int, ...]) -> None:
    view, numbers = dense(1, 4, 3, 2)
    assert np.array_equal(words(view.reshape(shape)), numbers.reshape(shape))
    assert np.array_equal(words(view.reshape(shape).reshape((1, 4, 3, 2))), numbers)
    apart = View(view.buffer, 3, ((), (Atom(4, 100),), (Atom(6, 2),)), view.format)
    for own in ((1, 4, 6), (1, 2, 2, 6), (1, 24), (1, 8, 3), (1, 4, 2, 3), (1, 2, 12)):
        assert np.array_equal(words(apart.reshape(own)), words(apart).reshape(own))


@pytest.mark.parametrize("shape", [(1, 4, 3), (1, 4, 3, 2, 2), (2, 4, 3, 2), (1, 0), (1, 4, 3, -2)])
def test_a_reshape_keeps_the_number_of_elements(shape: tuple[int, ...]) -> None:
    view, _ = dense(1, 4, 3, 2)
    with pytest.raises(ValueError) as caught:
        view.reshape(shape)
    assert str(caught.value) == f"{view.shape} and {shape} do not have as many elements"


def test_a_reshape_that_cuts_through_an_axis_is_refused() -> None:
    apart = View(Buffer("x", 999), 0, ((), (Atom(4, 100),), (Atom(6, 2),)), Q(4, 4))
    with pytest.raises(
        LoweringError,
        match=r"cuts through an axis by reshaping \(1, 4, 6\) to \(1, 3, 8\); keep its axes whole",
    ):
        apart.reshape((1, 3, 8))
    labelled = View(Buffer("x", 999), 0, ((), (Atom(6, 2, "y"),)), Q(4, 4))
    assert labelled.reshape((1, 1, 6)).shape == (1, 1, 6)
    with pytest.raises(LoweringError, match="cuts through an axis"):
        labelled.reshape((1, 2, 3))


INDICES: list[Any] = [
    (slice(None), 1),
    (slice(None), -1),
    (slice(None), slice(1, 3)),
    (slice(None), slice(None, None, 2)),
    (slice(None), slice(None, None, -1)),
    (slice(None), slice(3, 0, -2)),
    (slice(None), slice(2, 3)),
    (..., 0),
    (..., slice(1, None)),
    (slice(None), ..., 1),
    (slice(None), 1, ...),
    (slice(None), 2, 1, 0),
    (slice(None), slice(1, 2), 2),
    slice(None),
    (...,),
    (slice(None), slice(None), slice(0, 3, 2), slice(1, 2)),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indices_are_numpys(index: Any) -> None:
    view, numbers = dense(1, 4, 3, 2)
    chosen = numbers[index]
    taken = view.index(index)
    kept = list(taken.axes)
    assert len(kept) == chosen.ndim
    assert np.array_equal(words(taken), chosen)


def test_an_axis_of_one_element_is_indexed() -> None:
    view, numbers = dense(1, 1, 3)
    assert np.array_equal(words(view.index((slice(None), 0))), numbers[:, 0])
    assert np.array_equal(words(view.index((slice(None), slice(0, 1)))), numbers)


def test_a_part_of_a_flattened_axis_is_refused() -> None:
    apart = View(Buffer("x", 999), 0, ((), (Atom(4, 100), Atom(6, 2))), Q(4, 4))
    assert np.array_equal(words(apart.index((slice(None), slice(None)))), words(apart))
    with pytest.raises(
        LoweringError,
        match=r"takes \[3\] of a flattened axis, which is not lowered; index before the reshape",
    ):
        apart.index((slice(None), 3))


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 0), (0, 2)), ((0, 0), (2, 0)), ((0, 1), (0, 0))])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("lowest", [False, True])
def test_windows_are_numpys_and_know_what_hangs_over(kernel, stride, padding, groups, lowest) -> None:  # type: ignore[no-untyped-def]
    view, numbers = dense(1, 5, 6, 4, offset=1000)
    slid = view.windows(kernel, stride, padding, groups, lowest)
    expected = windows(numbers, kernel, stride, padding, groups, -1)
    assert slid.shape == expected.shape
    at = words(slid)
    inside = expected >= 0
    assert np.array_equal(at[inside], expected[inside])
    bounded = any(map(sum, padding))
    labels = {atom.label for axis in slid.axes for atom in axis} - {""}
    if not bounded:
        assert slid.window is None
        assert labels == set()
        return
    assert slid.window == Window(-padding[1][0], -padding[0][0], stride[1], stride[0], 6, 5, lowest)
    assert labels == {"x", "y", "kx", "ky"}
    # What the engine calls outside by the window's counters are the padded elements.
    rows, columns = expected.shape[1:3]
    for row, column, ky, kx in product(range(rows), range(columns), range(kernel[0]), range(kernel[1])):
        y = slid.window.y_origin + row * slid.window.y_step + ky
        x = slid.window.x_origin + column * slid.window.x_step + kx
        element = expected[0, row, column].reshape(groups, -1, 4 // groups)[0, ky * kernel[1] + kx, 0]
        assert (0 <= y < slid.window.y_limit and 0 <= x < slid.window.x_limit) is bool(element >= 0)


def test_windows_over_flattened_axes_are_refused() -> None:
    flat = View(Buffer("x", 999), 0, ((), (Atom(2, 100), Atom(3, 2)), (Atom(4, 1),), ()), Q(4, 4))
    with pytest.raises(
        LoweringError,
        match="takes windows over a flattened axis, which is not lowered; keep the image's axes apart",
    ):
        flat.windows((1, 1), (1, 1), ((0, 0), (0, 0)), 1, False)
    channels = View(
        Buffer("x", 999), 0, ((), (Atom(2, 100),), (Atom(4, 1),), (Atom(2, 50), Atom(3, 9))), Q(4, 4)
    )
    with pytest.raises(LoweringError, match="takes groups of a flattened axis"):
        channels.windows((1, 1), (1, 1), ((0, 0), (0, 0)), 2, False)
