# SPDX-License-Identifier: MIT
"""The convolution in blocks against the plain one: all windows at once, one product. Integers, so every bit counts."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.image_windows import Geometry
from fixedpoint_nn.numbers.tensor import convolution
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array

NONE = ((0, 0), (0, 0))
GEOMETRIES = {
    "3x3 padded": Geometry((3, 3), (1, 1), ((1, 1), (1, 1))),
    "3x3 unpadded": Geometry((3, 3), (1, 1), NONE),
    "3x3 stride 2, padded at the end": Geometry((3, 3), (2, 2), ((0, 1), (0, 1))),
    "5x3, stride 1x2, padded unevenly": Geometry((5, 3), (1, 2), ((1, 3), (2, 0))),
    "1x1": Geometry((1, 1), (1, 1), NONE),
    "1x1 stride 2": Geometry((1, 1), (2, 2), NONE),
    "2x2 stride 2": Geometry((2, 2), (2, 2), NONE),
    "2x2 padded wider than itself": Geometry((2, 2), (1, 1), ((2, 2), (2, 2))),
    "7x7 stride 2": Geometry((7, 7), (2, 2), ((3, 3), (3, 3))),
}


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> Geometry:
    return GEOMETRIES[request.param]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float64)


def all_windows(images: Array, at: Geometry, fill: float = 0) -> Array:
    return sliding_windows.windows(images, at.kernel, at.stride, at.padding, 1, fill)


def as_matrix(images: Array, at: Geometry) -> Array:
    return all_windows(images, at).reshape(-1, at.taps * images.shape[-1])


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("block_bytes", [1, 20_000, 1 << 30])
def test_in_blocks_of_any_size_it_is_the_plain_product(
    geometry: Geometry, channels: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "BLOCK_BYTES", block_bytes)
    images, weight = numbers(5, 8, 9, channels), numbers(geometry.taps * channels, 4, seed=1)
    result = convolution.convolve(images, weight, geometry)
    assert np.array_equal(result.reshape(-1, 4), as_matrix(images, geometry) @ weight)

    gradient = numbers(*result.shape, seed=2)
    for_weight = convolution.weight_gradient(images, gradient, geometry)
    assert np.array_equal(for_weight, as_matrix(images, geometry).T @ gradient.reshape(-1, 4))

    for_images = convolution.image_gradient(images.shape, weight, gradient, geometry)
    windows = (gradient.reshape(-1, 4) @ weight.T).reshape(*result.shape[:3], geometry.taps, channels)
    plain = sliding_windows.add_windows(
        windows, images.shape, geometry.kernel, geometry.stride, geometry.padding, 1
    )
    assert np.array_equal(for_images, plain)


@pytest.mark.parametrize("lowest", [True, False])
def test_the_largest_of_each_window_and_its_gradient_to_the_first_of_the_largest(
    geometry: Geometry, lowest: bool
) -> None:
    images = Tensor(numbers(3, 8, 8, 2) // 3)  # few values, so there are ties
    at = geometry
    pooled = images.windows(at.kernel, at.stride, at.padding, lowest=lowest).max(axis=3)
    windows = all_windows(images.data, at, -np.inf if lowest else 0)
    assert np.array_equal(pooled.data, windows.max(3))
    gradient = numbers(*pooled.shape, seed=1)
    pooled.backward(gradient)
    chosen = np.arange(at.taps)[:, None] == windows.argmax(3)[..., None, :]
    plain = sliding_windows.add_windows(
        chosen * gradient[:, :, :, None], images.shape, at.kernel, at.stride, at.padding, 1
    )
    assert np.array_equal(images.grad, plain)


def test_the_sum_of_each_window_and_its_gradient(geometry: Geometry) -> None:
    images, at = Tensor(numbers(3, 8, 8, 2)), geometry
    pooled = images.windows(at.kernel, at.stride, at.padding).sum(axis=3)
    assert np.array_equal(pooled.data, all_windows(images.data, at).sum(3))
    gradient = numbers(*pooled.shape, seed=1)
    pooled.backward(gradient)
    every_tap = np.repeat(gradient[:, :, :, None], at.taps, 3)
    plain = sliding_windows.add_windows(every_tap, images.shape, at.kernel, at.stride, at.padding, 1)
    assert np.array_equal(images.grad, plain)


def test_windows_that_somebody_looks_at_are_an_ordinary_tensor(geometry: Geometry) -> None:
    images, at = Tensor(numbers(2, 8, 8, 3)), geometry
    windows = images.windows(at.kernel, at.stride, at.padding)
    assert windows.shape == windows.data.shape
    assert np.array_equal(windows.data, all_windows(images.data, at))
    (windows * 2.0).sum().backward()
    ones = np.full(windows.shape, 2.0)
    assert np.array_equal(
        images.grad, sliding_windows.add_windows(ones, images.shape, at.kernel, at.stride, at.padding, 1)
    )


def test_flat_windows_serve_as_an_ordinary_tensor_too(geometry: Geometry) -> None:
    images, at = Tensor(numbers(2, 8, 8, 3)), geometry
    windows = images.windows(at.kernel, at.stride, at.padding)
    flat = windows.reshape(*windows.shape[:3], -1)
    exact = windows.reshape(*windows.shape[:3], at.taps * 3)
    assert np.array_equal(flat.data, exact.data)
    (exact + flat).sum().backward()
    ones = np.full(windows.shape, 2.0)
    assert np.array_equal(
        images.grad, sliding_windows.add_windows(ones, images.shape, at.kernel, at.stride, at.padding, 1)
    )


def test_a_constant_image_gets_no_gradient_and_the_weights_do() -> None:
    at = GEOMETRIES["3x3 padded"]
    images, weight = Tensor(numbers(2, 4, 4, 1), needs_gradient=False), Tensor(numbers(9, 2))
    (images.windows(at.kernel, at.stride, at.padding).reshape(2, 4, 4, 9) @ weight).sum().backward()
    assert images.grad is None
    assert weight.grad is not None
