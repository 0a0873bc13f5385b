# SPDX-License-Identifier: MIT
"""What windows that are not copied yet know of themselves."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numbers.fixed.windows import WindowedInts
from fixedpoint_nn.numbers.image_windows import Geometry
from fixedpoint_nn.numerics.bounded_ints import BoundedInts

GEOMETRY = Geometry((2, 2), (1, 1), ((1, 0), (0, 1)))


@pytest.mark.parametrize(
    ("signed", "fill", "bound", "is_signed"),
    [
        (False, 0, 7, False),
        (False, 5, 7, False),
        (False, -1, 7, True),
        (False, -9, 9, True),
        (True, 0, 7, True),
    ],
)
def test_windows_are_bounded_by_their_images_and_their_edges(
    signed: bool, fill: int, bound: int, is_signed: bool
) -> None:
    images = np.arange(2 * 3 * 3 * 2, dtype=np.float32).reshape(2, 3, 3, 2) % 8
    windows = WindowedInts(BoundedInts(images, 7, signed), GEOMETRY, fill)
    assert (windows.bound, windows.signed) == (bound, is_signed)
    assert windows.shape == windows.array.shape == (2, 3, 3, 4, 2)
    assert (windows.array[:, 0, :, :2] == fill).all() and (windows.array[:, :, -1, 1::2] == fill).all()
    assert windows.within(min(0, fill), max(7, fill))
    assert not windows.within(min(0, fill) + 1, max(7, fill))
    assert not windows.within(min(0, fill), max(7, fill) - 1)
    flat = windows.reshaped((2, 3, 3, 8))
    assert flat is not None and (flat.fill, flat.flat, flat.shape) == (fill, True, (2, 3, 3, 8))
    assert windows.reshaped((2, 3, 3, 2, 4)) is None
    assert (flat.rows() is None) is (fill != 0) and windows.rows() is None
    assert windows.pools(3, False)
    assert not windows.pools(3, True) and not windows.pools(2, False) and not flat.pools(3, False)
