# SPDX-License-Identifier: MIT
"""Augmentations of images (batch, height, width, ...), each called with a batch and a random generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.arrays import Array

Augmentation = Callable[[Array, np.random.Generator], Array]


@dataclass(frozen=True)
class InTurn:
    """Several augmentations, applied one after the other."""

    parts: tuple[Augmentation, ...]

    def __init__(self, *parts: Augmentation) -> None:
        object.__setattr__(self, "parts", parts)

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        for part in self.parts:
            images = part(images, rng)
        return images


@dataclass(frozen=True)
class Crop:
    """A random crop of `height` x `width` pixels of each image, after zero padding of `padding` on each side."""

    height: int
    width: int
    padding: int = 0

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        n, h, w, _ = _sizes(images)
        p = self.padding
        down, right = h + 2 * p - self.height, w + 2 * p - self.width
        if down < 0 or right < 0 or self.height < 1 or self.width < 1 or p < 0:
            raise ValueError(
                f"A window of {self.height} x {self.width} cannot be cut from images of {h} x {w} "
                f"with a padding of {p}."
            )
        padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
        rows = rng.integers(0, down + 1, n)[:, None] + np.arange(self.height)
        columns = rng.integers(0, right + 1, n)[:, None] + np.arange(self.width)
        windows: Array = padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
        return windows


@dataclass(frozen=True)
class Shift:
    """Each image shifted by up to `pixels` vertically and horizontally; zeros come in at the edge."""

    pixels: int

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        _, h, w, _ = _sizes(images)
        return Crop(h, w, self.pixels)(images, rng)


@dataclass(frozen=True)
class Flip:
    """A horizontal flip of each image, with this probability."""

    probability: float = 0.5

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        n, *_ = _sizes(images)
        chosen = rng.random(n) < self.probability
        return np.where(chosen[:, None, None, None], images[:, :, ::-1], images)


@dataclass(frozen=True)
class Cutout:
    """A square of `size` x `size` pixels around a random point of each image set to 0 (DeVries and Taylor, 2017)."""

    size: int

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        n, h, w, _ = _sizes(images)
        top = rng.integers(0, h, n)[:, None] - self.size // 2
        left = rng.integers(0, w, n)[:, None] - self.size // 2
        rows = (np.arange(h) >= top) & (np.arange(h) < top + self.size)
        columns = (np.arange(w) >= left) & (np.arange(w) < left + self.size)
        return np.where((rows[:, :, None] & columns[:, None, :])[..., None], images.dtype.type(0), images)


@dataclass(frozen=True)
class Standardise:
    """(x - mean) / deviation, with the mean and standard deviation of the training set."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, x: Array) -> Standardise:
        """Mean and standard deviation of x; the deviation is 1 if all values are equal."""
        if not x.size:
            raise ValueError(f"An empty array of shape {x.shape} has no mean.")
        return cls(float(x.mean(dtype=np.float64)), float(x.std(dtype=np.float64)) or 1.0)

    def __call__(self, x: Array) -> Array:
        z: Array = (x - x.dtype.type(self.mean)) / x.dtype.type(self.deviation)
        return z

    def undo(self, z: Array) -> Array:
        """The values before they were standardised."""
        x: Array = z * z.dtype.type(self.deviation) + z.dtype.type(self.mean)
        return x


def _sizes(images: Array) -> tuple[int, int, int, int]:
    if images.ndim != 4:
        raise ValueError(f"Images have the shape (n, height, width, channels), and not {images.shape}.")
    n, h, w, c = images.shape
    return n, h, w, c
