# SPDX-License-Identifier: MIT
"""Gradients of matrix products against sums written out element by element."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numbers.tensor.matmul_gradient import row_gradient, weight_gradient


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_gradients_of_a_matrix_equal_the_sums(batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, w, g = rng.integers(-9, 9, (*batch, 4)), rng.integers(-9, 9, (4, 5)), rng.integers(-9, 9, (*batch, 5))
    assert np.array_equal(
        weight_gradient(x, w, g), np.einsum("bk,bn->kn", x.reshape(-1, 4), g.reshape(-1, 5))
    )
    assert np.array_equal(row_gradient(x, w, g), np.einsum("...n,kn->...k", g, w))


def test_gradients_of_a_vector_equal_the_sums() -> None:
    rng = np.random.default_rng(1)
    x, w, g = rng.integers(-9, 9, (3, 4)), rng.integers(-9, 9, 4), rng.integers(-9, 9, 3)
    assert np.array_equal(weight_gradient(x, w, g), np.einsum("bk,b->k", x, g))
    assert np.array_equal(row_gradient(x, w, g), np.einsum("b,k->bk", g, w))


@pytest.mark.parametrize("batch", [(2,), (2, 3)])
def test_gradients_of_groups_equal_the_sums_group_by_group(batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    x, w, g = (rng.integers(-9, 9, shape) for shape in ((*batch, 3, 4), (3, 4, 5), (*batch, 15)))
    by_group = g.reshape(*batch, 3, 5)
    expected = np.einsum("bgk,bgn->gkn", x.reshape(-1, 3, 4), g.reshape(-1, 3, 5))
    assert np.array_equal(weight_gradient(x, w, g), expected)
    assert np.array_equal(row_gradient(x, w, g), np.einsum("...gn,gkn->...gk", by_group, w))
