# SPDX-License-Identifier: MIT
"""NumPy's functions on a FixedArray: the verbs under NumPy's names, with NumPy's defaults."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q

X = FixedArray.from_ints(np.arange(-6, 6).reshape(3, 4), Q(6, 2))


def test_numpy_is_told_of_operands_that_no_operation_takes() -> None:
    with pytest.raises(TypeError, match="returned NotImplemented"):
        np.add(X, object())


def test_an_axis_may_be_given_by_its_place() -> None:
    assert np.concatenate([X, X], 1).shape == (3, 8)  # type: ignore[call-overload]
    assert np.stack([X, X], 1).shape == (3, 2, 4)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["sum", "max", "amax", "min", "amin"])
def test_a_reduction_drops_its_axis_unless_it_is_told_to_keep_it(name: str) -> None:
    function, verb = getattr(np, name), name.removeprefix("a")
    for axis in (None, 0, 1, -1):
        found, ints = function(X, axis), getattr(X.ints, verb)(axis)
        assert found.shape == ints.shape
        assert np.array_equal(found.ints, ints)
        assert function(X, axis=axis, keepdims=True).shape == getattr(X.ints, verb)(axis, keepdims=True).shape
    assert function(X).shape == ()


def test_one_of_two_choices_may_be_an_integer() -> None:
    truths = X.ints > 0
    assert np.where(truths, X, 3).ints.tolist() == np.where(truths, X.ints, 12).tolist()
    assert np.where(truths, 3, X).ints.tolist() == np.where(truths, 12, X.ints).tolist()
    assert np.where(truths, X, -X).ints.tolist() == abs(X.ints).tolist()
