# SPDX-License-Identifier: MIT
"""Which indices `take` accepts, and how often `add_at` adds."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer, Tensor
from fixedpoint_nn.numbers.indices import add_at, checked_indices

MASKED = np.ma.array([0, 1], mask=[False, True])
TENSOR = Tensor(np.arange(6.0).reshape(2, 3))
FIXED = FixedArray.from_float(TENSOR.data, Quantizer(Q(4, 4)))


@pytest.mark.parametrize("rows", [TENSOR, FIXED], ids=["Tensor", "FixedArray"])
@pytest.mark.parametrize(
    ("indices", "axis", "error", "sentence"),
    [
        ([1.9], 0, TypeError, "indices are integers, not float64"),
        ([1.0], 0, TypeError, "indices are integers, not float64"),
        ([True, False], 0, TypeError, "indices are integers, not bool"),
        ([-1], 0, IndexError, "index -1 is outside of the 2 rows, 0 to 1"),
        ([0, 2, 5], 0, IndexError, "index 5 is outside of the 2 rows, 0 to 1"),
        ([[3]], 1, IndexError, "index 3 is outside of the 3 rows, 0 to 2"),
        (-3, -1, IndexError, "index -3 is outside of the 3 rows, 0 to 2"),
        (
            MASKED,
            0,
            TypeError,
            "1 of 2 elements of a masked array are masked, and a mask would be ignored; "
            "fill them first, by .filled(value)",
        ),
    ],
)
def test_float_and_fixed_refuse_an_index_with_the_same_sentence(
    rows: Tensor | FixedArray, indices: object, axis: int, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        rows.take(indices, axis)


@pytest.mark.parametrize("value", [1.5, -0.25, np.nan, np.inf])
def test_a_tensor_of_indices_holds_whole_numbers(value: float) -> None:
    sentence = f"indices are whole numbers, not {value}; round them first"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        TENSOR.take(Tensor([0.0, value]))
    assert TENSOR.take(Tensor([1.0, 0.0])).data.tolist() == [[3, 4, 5], [0, 1, 2]]


def test_indices_keep_their_shape_and_their_type() -> None:
    ids = checked_indices(np.array([[0, 1]], np.uint8), 2)
    assert ids.dtype == np.uint8 and ids.shape == (1, 2)
    assert checked_indices(np.zeros((0,), int), 3).shape == (0,)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([0, 0, 1], [2, 1, 0]),
        (([0, 0, 1],), [2, 1, 0]),
        (np.array([-1, 2, -1]), [0, 0, 3]),
        (np.array([True, False, True]), [1, 0, 1]),
        (slice(1, None), [0, 1, 1]),
        (1, [0, 1, 0]),
        (np.int64(-1), [0, 0, 1]),
        (..., [1, 1, 1]),
        (True, [1, 1, 1]),
        (False, [0, 0, 0]),
    ],
)
def test_an_element_gets_a_share_for_every_time_that_it_is_named(index: object, expected: list[int]) -> None:
    total = np.zeros(3)
    add_at(total, index, np.ones(total[index].shape))  # type: ignore[index]
    assert total.tolist() == expected


@pytest.mark.parametrize(
    ("indices", "worst"),
    [([1, 5], 5), ([0, 7], 7), ([-1, 4], -1), ([-2, 9], -2), ([2, -5, -1], -5), ([5], 5), (-1, -1)],
)
def test_the_index_that_is_named_is_outside(indices, worst) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(IndexError) as caught:
        checked_indices(indices, 5)
    assert str(caught.value) == f"index {worst} is outside of the 5 rows, 0 to 4"


def test_every_row_may_be_named_and_none_at_all() -> None:
    for indices in ([0], [4], [0, 1, 2, 3, 4], [], 3):
        ids = np.array(indices, np.int64)
        assert np.array_equal(checked_indices(ids, 5), ids)
