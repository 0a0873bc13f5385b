# SPDX-License-Identifier: MIT
"""MNIST and Fashion-MNIST by split, loaded once, for the networks that classify images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from fixedpoint_nn import data
from fixedpoint_nn.zoo.entry import Examples, check_split


@cache
def mnist(split: str) -> Examples:
    """Images (n, 28, 28, 1) and labels (n,) of one split of MNIST."""
    return _of(data.mnist, split)


@cache
def fashion_mnist(split: str) -> Examples:
    """Images (n, 28, 28, 1) and labels (n,) of one split of Fashion-MNIST."""
    return _of(data.fashion_mnist, split)


def _of(load: Callable[[], tuple[data.Examples, data.Examples]], split: str) -> Examples:
    check_split(split, "images are")
    chosen = load()[split == "test"]
    return chosen.x, chosen.y
