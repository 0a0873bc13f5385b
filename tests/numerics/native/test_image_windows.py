# SPDX-License-Identifier: MIT
"""The kernels' gradients of windows are NumPy's, bit for bit, at every level of instructions that this machine has."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.image_windows import Geometry
from fixedpoint_nn.numbers.tensor import convolution
from fixedpoint_nn.numerics.native import image_windows as native
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.numerics.native.image_windows import WindowShape, self_test
from fixedpoint_nn.numerics.native.library import VARIABLE, Kernels, available

LEVELS = available()
pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
GEOMETRIES = [
    Geometry((3, 3), (1, 1), ((1, 1), (1, 1))),
    Geometry((2, 3), (2, 1), ((0, 1), (2, 0))),
    Geometry((5, 2), (3, 2), ((4, 4), (0, 0))),
    Geometry((1, 1), (2, 2), ((0, 0), (0, 0))),
    Geometry((2, 2), (1, 3), ((3, 2), (3, 3))),  # some windows hold no pixel
]


@pytest.fixture(params=LEVELS, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("at", GEOMETRIES)
@pytest.mark.parametrize("channels", [1, 17])
def test_sums_of_windows(
    kernels: Kernels, at: Geometry, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "numpy")
    rng = np.random.default_rng(channels)
    images = (3, 7, 8, channels)
    shape = sliding_windows.windows_shape(images, at.kernel, at.stride, at.padding, 1)
    windows = rng.standard_normal(shape, np.float32)
    added = np.full(images, np.nan, np.float32)
    native.add_windows(kernels, at.window_shape(images), windows, added)
    total = sliding_windows.add_windows(windows, images, at.kernel, at.stride, at.padding, 1)
    assert np.array_equal(added.view(np.uint32), np.ascontiguousarray(total).view(np.uint32))


@pytest.mark.parametrize("channels", [1, 16, 70])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 1)])
def test_the_gradient_of_max_pooling(
    kernels: Kernels, channels: int, kernel: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(channels)
    at = Geometry(kernel, kernel, ((0, 0), (0, 0)))
    images = rng.integers(-2, 3, (3, 6, 6, channels)).astype(np.float32)  # many of them equal
    largest = sliding_windows.windows(images, kernel, kernel, at.padding).max(3)
    gradient = rng.standard_normal(largest.shape, np.float32)
    gradient[0, 0, 0, 0] = -0.0
    out = np.full(images.shape, np.nan, np.float32)
    native.pool_max_gradient(kernels, at.window_shape(images.shape), images, largest, gradient, out)
    monkeypatch.setenv(VARIABLE, "numpy")
    wanted = convolution.pool_max_gradient(images, largest, gradient, at, -np.inf)
    assert np.array_equal(out.view(np.uint32), wanted.view(np.uint32))


@pytest.mark.parametrize("at", GEOMETRIES)
@pytest.mark.parametrize(("groups", "dilation"), [(1, (1, 1)), (2, (1, 1)), (1, (2, 1)), (1, (1, 2))])
def test_who_adds_windows_or_pools_notices_no_difference(
    at: Geometry, groups: int, dilation: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = (3, 9, 9, 6)
    shape = sliding_windows.windows_shape(images, at.kernel, at.stride, at.padding, groups, dilation)
    rng = np.random.default_rng(0)
    windows = rng.standard_normal(shape, np.float32)
    x, pooled = rng.integers(-2, 3, (2, 4, 6, 5)), Geometry((2, 3), (2, 3), ((0, 0), (0, 0)))
    x = x.astype(np.float32)
    largest = sliding_windows.windows(x, pooled.kernel, pooled.stride, pooled.padding).max(3)
    found = []
    for kernels in ("", "numpy"):
        monkeypatch.setenv(VARIABLE, kernels)
        found.append(
            (
                sliding_windows.add_windows(
                    windows, images, at.kernel, at.stride, at.padding, groups, dilation
                ),
                convolution.pool_max_gradient(x, largest, largest + 1, pooled, -np.inf),
            )
        )
    assert found[0][0].shape == images and np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1]) and found[0][1].any()


def test_only_contiguous_float32_arrays_are_for_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    floats = np.zeros((2, 3), np.float32)
    assert native.kernels_for(floats) is library.chosen().kernels
    assert native.kernels_for(floats, floats.T) is None
    assert native.kernels_for(floats.astype(np.float64)) is None
    monkeypatch.setenv(VARIABLE, "numpy")
    assert native.kernels_for(floats) is None


class Wrong:
    """Kernels whose function `name` spoils its result."""

    def __init__(self, kernels: Kernels, name: str) -> None:
        self.kernels, self.name = kernels, name

    def windows(self, name: str, described: object, *arrays: np.ndarray) -> None:
        self.kernels.windows(name, described, *arrays)  # type: ignore[arg-type]
        if name == self.name:
            arrays[-1].flat[-1] += 1


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("add_windows", "sums of windows of 1 channels"),
        ("pool_max_gradient", "the gradient of pooling of 1 channels"),
    ],
)
def test_the_self_test_notices_what_is_wrong(name: str, failure: str) -> None:
    assert [self_test(level) for level in LEVELS] == [""] * len(LEVELS)
    assert self_test(Wrong(LEVELS[-1], name)) == failure  # type: ignore[arg-type]


def test_the_structure_lists_its_numbers_in_order() -> None:
    shape = WindowShape((1, 2, 3, 4), (5, 6), (7, 8), (9, 10), (11, 12))
    described = shape.described()
    assert [getattr(described, name) for name, _ in described._fields_] == list(range(1, 13))
    names = " ".join(name for name, _ in described._fields_)
    assert (
        names == "images height width channels rows columns kernel_rows kernel_columns down across top left"
    )
