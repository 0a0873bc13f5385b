# SPDX-License-Identifier: MIT
"""Real numbers to integers that are worth scale * (q - zero)."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q
from fixedpoint_nn.interchange.affine.quantizer import AffineQuantizer


def test_floats_are_divided_rounded_away_from_zero_and_shifted() -> None:
    quantizer = AffineQuantizer.of("int8", 0.5, 3)
    x = FixedArray.from_float([0.0, 0.25, -0.25, 0.74, 1e6, -1e6], quantizer)
    assert x.ints.tolist() == [3, 4, 2, 4, 127, -128]
    assert x.format == Q(8, 0)
    assert quantizer.to_floats([3, 4, -128]).tolist() == [0.0, 0.5, -65.5]


def test_integers_are_taken_as_they_are() -> None:
    quantizer = AffineQuantizer.of("int16", 1e-3, 0)
    assert quantizer.from_floats(np.array([5, -7])).tolist() == [5, -7]


def test_a_float_that_is_no_number_raises() -> None:
    with pytest.raises(ValueError, match="nan"):
        AffineQuantizer.of("int8", 0.5, 3).from_floats([np.nan])


def test_impossible_scales_and_formats_are_refused() -> None:
    with pytest.raises(ValueError) as refused:
        AffineQuantizer.of("int8", 0.0, 3)
    assert str(refused.value) == "the scale of an affine quantizer is positive, not 0.0"
    with pytest.raises(ValueError) as fraction:
        AffineQuantizer(Q(4, 4), scale=1.0)
    assert str(fraction.value) == "an affine quantizer has a format of whole numbers, not Q(4, 4)"


def test_it_says_what_it_is() -> None:
    assert repr(AffineQuantizer.of("int8", 0.5, 3, "x")) == (
        "AffineQuantizer(Q(8, 0), name='x', scale=0.5, zero=3)"
    )
