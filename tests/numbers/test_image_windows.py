# SPDX-License-Identifier: MIT
"""Windows in blocks, as rows, pooled and turned around, against windows cut out one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fixedpoint_nn.numbers import image_windows
from fixedpoint_nn.numbers.fixed.windows import ConvolutionRows, WindowedInts
from fixedpoint_nn.numbers.image_windows import Geometry, WindowBlocks, padded, pool
from fixedpoint_nn.numerics.bounded_ints import BoundedInts

GEOMETRIES = [
    Geometry((1, 1), (1, 1), ((0, 0), (0, 0))),
    Geometry((1, 1), (2, 1), ((0, 0), (0, 0))),
    Geometry((1, 1), (1, 1), ((0, 1), (0, 0))),
    Geometry((3, 2), (1, 1), ((1, 2), (0, 1))),
    Geometry((2, 3), (2, 3), ((0, 0), (0, 0))),
    Geometry((2, 3), (2, 3), ((0, 0), (1, 2))),
    Geometry((2, 3), (1, 2), ((0, 1), (1, 0))),
    Geometry((4, 6), (4, 6), ((0, 0), (0, 0))),
]


def cut_out(images: np.ndarray, at: Geometry, fill: float = 0) -> np.ndarray:
    """(batch, y, x, taps, channels), a window at a time."""
    (top, bottom), (left, right) = at.padding
    batch, height, width, channels = images.shape
    whole = np.full((batch, height + top + bottom, width + left + right, channels), fill, images.dtype)
    whole[:, top : top + height, left : left + width] = images
    rows = [y for y in range(0, whole.shape[1], at.stride[0]) if y + at.kernel[0] <= whole.shape[1]]
    columns = [x for x in range(0, whole.shape[2], at.stride[1]) if x + at.kernel[1] <= whole.shape[2]]
    result = np.empty((batch, len(rows), len(columns), at.kernel[0] * at.kernel[1], channels), images.dtype)
    for (i, y), (j, x) in product(enumerate(rows), enumerate(columns)):
        window = whole[:, y : y + at.kernel[0], x : x + at.kernel[1]]
        result[:, i, j] = window.reshape(batch, -1, channels)
    return result


def pictures(channels: int, count: int = 5, height: int = 4, width: int = 6) -> np.ndarray:
    return (
        np.random.default_rng(channels).integers(-8, 8, (count, height, width, channels)).astype(np.float32)
    )


@pytest.mark.parametrize("at", GEOMETRIES, ids=str)
@pytest.mark.parametrize("channels", [1, 4, 5])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_blocks_hold_every_window_once(
    at: Geometry, channels: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pictures(channels)
    expected = cut_out(images, at)
    per_image = 4 * int(np.prod(expected.shape[1:]))
    monkeypatch.setattr(image_windows, "BLOCK_BYTES", per_image * size if size > 1 else 1)
    blocks = WindowBlocks(images, at)
    assert blocks.size == size
    assert (blocks.length, blocks.width) == (
        expected.shape[1] * expected.shape[2],
        expected.shape[3] * channels,
    )
    assert list(blocks.starts()) == list(range(0, 5, size))
    got = np.concatenate([blocks.rows(start).copy() for start in blocks.starts()])
    assert np.array_equal(got, expected.reshape(len(got), -1))


@pytest.mark.parametrize("at", GEOMETRIES, ids=str)
def test_windows_tile_if_each_pixel_is_in_one_of_them(at: Geometry) -> None:
    for height, width in ((4, 6), (4, 7), (5, 6), (6, 6), (8, 12), (7, 9)):
        numbers = np.arange(height * width, dtype=np.int64).reshape(1, height, width, 1) + 1
        seen = cut_out(numbers, at).reshape(-1)
        once = sorted(seen.tolist()) == list(range(1, height * width + 1))
        assert at.tiles((1, height, width, 1)) is once
        assert at.positions((1, height, width, 1)) == cut_out(numbers, at).shape[1:3]
    assert at.taps == at.kernel[0] * at.kernel[1]
    assert at.pointwise is (at == GEOMETRIES[0])


@pytest.mark.parametrize("at", GEOMETRIES, ids=str)
@pytest.mark.parametrize("fill", [0, -8])
def test_pooling_combines_the_taps_of_each_window(at: Geometry, fill: int) -> None:
    images = pictures(3)
    windows = cut_out(images, at, fill)
    assert np.array_equal(pool(images, at, np.maximum, fill), windows.max(axis=3))
    assert np.array_equal(pool(images, at, np.add, fill), windows.sum(axis=3))
    before = images.copy()
    assert padded(images, at, fill).shape == (5, 4 + sum(at.padding[0]), 6 + sum(at.padding[1]), 3)
    assert np.array_equal(images, before)


@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 2), (0, 1)), ((2, 0), (1, 1))])
def test_the_windows_turned_around_give_the_images_gradient(padding) -> None:  # type: ignore[no-untyped-def]
    at = Geometry((3, 2), (1, 1), padding)
    images, weight = pictures(1)[:1], np.random.default_rng(0).integers(-4, 4, 6).astype(np.float32)
    grad = np.random.default_rng(1).integers(-4, 4, (1, *at.positions(images.shape), 1)).astype(np.float32)
    around = at.reversed()
    gradient = (cut_out(grad, around)[..., 0] * weight[::-1]).sum(axis=-1)
    for y, x in product(range(4), range(6)):
        one = np.zeros_like(images)
        one[0, y, x, 0] = 1
        expected = ((cut_out(one, at)[..., 0] * weight).sum(axis=-1) * grad[..., 0]).sum()
        assert gradient[0, y, x] == expected


@pytest.mark.parametrize("at", GEOMETRIES, ids=str)
@pytest.mark.parametrize("fill", [0, -8, 3])
def test_windowed_integers_are_windows_that_are_not_copied(at: Geometry, fill: int) -> None:
    images = pictures(3)
    windowed = WindowedInts(BoundedInts(images, 8), at, fill)
    expected = cut_out(images, at, fill)
    assert windowed.shape == expected.shape
    assert windowed.ndim == 5
    assert np.array_equal(windowed.array, expected)
    flat = (*expected.shape[:3], expected.shape[3] * 3)
    for shape in (flat, (*flat[:3], flat[3], 1), (flat[0], -1), (flat[1], flat[0], *flat[2:])):
        assert (windowed.reshaped(shape) is not None) is (shape == flat)
    turned = windowed.reshaped(flat)
    assert turned is not None
    assert turned.shape == flat
    assert np.array_equal(turned.array, expected.reshape(flat))
    assert windowed.rows() is None
    assert (turned.rows() is not None) is (fill == 0)
    for axis, keepdims in ((3, False), (3, True), (2, False), (4, False), (-2, False), (None, False)):
        assert windowed.pools(axis, keepdims) is (axis == 3 and not keepdims)
        assert not turned.pools(axis, keepdims)
    largest, total = windowed.pooled(np.maximum, 8), windowed.pooled(np.add, 8 * at.taps)
    assert np.array_equal(largest.array, expected.max(axis=3))
    assert np.array_equal(total.array, expected.sum(axis=3))
    assert (largest.bound, total.bound) == (8, 8 * at.taps)


@pytest.mark.parametrize("fill", [-9, -1, 0, 1, 9])
def test_the_fill_counts_among_the_windows_integers(fill: int) -> None:
    at = Geometry((2, 2), (1, 1), ((1, 0), (0, 1)))
    images = np.array([1, 2, 3, 4], np.float32).reshape(1, 2, 2, 1)
    windowed = WindowedInts(BoundedInts(images, 4, signed=False), at, fill)
    assert windowed.bound == max(4, abs(fill))
    assert windowed.signed is (fill < 0)
    for low, high in product(range(-10, 6), range(11)):
        assert windowed.within(low, high) is (low <= min(fill, 1) and max(fill, 4) <= high)
    wide = WindowedInts(BoundedInts(images, 4), at, 1 << 30)
    assert wide.array.max() == 1 << 30
    assert wide.array.dtype == np.float64


@pytest.mark.parametrize("at", GEOMETRIES, ids=str)
def test_rows_of_a_convolution_are_the_windows(at: Geometry, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(3)
    rows = ConvolutionRows(images, at)
    expected = cut_out(images, at)
    flat = expected.reshape(-1, expected.shape[3] * 3)
    assert rows.count == len(flat)
    for size in (1, 1 << 11, 1 << 20):
        monkeypatch.setattr(image_windows, "BLOCK_BYTES", size)
        at_row = 0
        for start, block in rows.blocks(7):
            assert start == at_row
            assert np.array_equal(block, flat[start : start + len(block)])
            at_row += len(block)
        assert at_row == rows.count
    source = rows.source()
    assert (source.rows, source.taps, source.positions) == (len(flat), flat.shape[1], expected.shape[1:3])
    assert np.array_equal(source.array, padded(images, at, 0))
