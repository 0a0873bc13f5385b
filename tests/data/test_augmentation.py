# SPDX-License-Identifier: MIT
"""Augmentations against loops that do one image at a time."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.data import Crop, Cutout, Flip, InTurn, Shift, Standardise

IMAGES = np.arange(1, 1 + 40 * 6 * 5 * 2, dtype=np.float32).reshape(40, 6, 5, 2)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    out = np.zeros_like(image)
    h, w, _ = image.shape
    for y in range(h):
        for x in range(w):
            if 0 <= y - down < h and 0 <= x - right < w:
                out[y, x] = image[y - down, x - right]
    return out


def test_a_shift_moves_each_image_by_its_own_few_pixels_and_zeros_come_in() -> None:
    shifted = Shift(2)(IMAGES, rng())
    offsets = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    seen = set()
    for before, after in zip(IMAGES, shifted):
        fits = [offset for offset in offsets if np.array_equal(moved(before, *offset), after)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 15
    assert shifted.dtype == IMAGES.dtype


def test_a_crop_is_a_window_of_each_image() -> None:
    windows = Crop(4, 3)(IMAGES, rng())
    assert windows.shape == (40, 4, 3, 2)
    seen = set()
    for image, window in zip(IMAGES, windows):
        fits = [
            (y, x) for y in range(3) for x in range(3) if np.array_equal(image[y : y + 4, x : x + 3], window)
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert seen == {(y, x) for y in range(3) for x in range(3)}


def test_a_flip_turns_about_half_of_the_images() -> None:
    flipped = Flip()(IMAGES, rng())
    turned = [np.array_equal(after, before[:, ::-1]) for before, after in zip(IMAGES, flipped)]
    kept = [np.array_equal(after, before) for before, after in zip(IMAGES, flipped)]
    assert all(a != b for a, b in zip(turned, kept))
    assert 10 < sum(turned) < 30
    assert np.array_equal(Flip(0.0)(IMAGES, rng()), IMAGES)
    assert np.array_equal(Flip(1.0)(IMAGES, rng()), IMAGES[:, :, ::-1])


def test_a_cutout_is_one_square_of_zeros_cut_off_at_the_edge() -> None:
    holes = Cutout(3)(IMAGES, rng())
    corners = set()
    for before, after in zip(IMAGES, holes):
        zero = (after == 0).all(-1)
        assert np.array_equal(after[~zero], before[~zero])
        rows, columns = np.nonzero(zero)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert zero.sum() == height * width
        assert 2 <= height <= 3
        assert 2 <= width <= 3
        corners.add((rows[0], columns[0]))
    assert len(corners) > 10
    assert holes.dtype == IMAGES.dtype


def test_augmentations_follow_one_another_and_the_generator_decides() -> None:
    both = InTurn(Shift(1), Flip())
    assert np.array_equal(both(IMAGES, rng()), both(IMAGES, rng()))
    generator = rng()
    assert np.array_equal(both(IMAGES, rng()), Flip()(Shift(1)(IMAGES, generator), generator))


def test_standardised_data_has_mean_0_and_deviation_1_and_comes_back() -> None:
    standardise = Standardise.of(IMAGES)
    z = standardise(IMAGES)
    assert z.dtype == np.float32
    assert abs(z.mean(dtype=float)) < 1e-5
    assert abs(z.std(dtype=float) - 1) < 1e-5
    assert np.abs(standardise.undo(z) - IMAGES).max() < 1e-2
    assert Standardise.of(np.full((2, 3), 5.0)) == Standardise(5.0, 1.0)


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (
            lambda: Crop(7, 3)(IMAGES, rng()),
            "A window of 7 x 3 cannot be cut from images of 6 x 5 with a padding of 0.",
        ),
        (
            lambda: Flip()(IMAGES[0], rng()),
            "Images have the shape (n, height, width, channels), and not (6, 5, 2).",
        ),
        (lambda: Standardise.of(np.zeros((0, 4))), "An empty array of shape (0, 4) has no mean."),
    ],
)
def test_what_cannot_be_is_one_sentence(act, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError) as error:
        act()
    assert str(error.value) == sentence
