# SPDX-License-Identifier: MIT
"""Padding rules: rows and columns of padding at the edges of an image."""

from __future__ import annotations

from fixedpoint_nn.numbers.sliding_windows import Padding, Pair

PaddingRule = str | int | Pair | Padding


def _same(size: int, kernel: int, stride: int) -> Pair:
    """(before, after) for ceil(size / stride) windows along one axis; an odd element goes to the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def padding_pairs(rule: PaddingRule, shape: tuple[int, ...], kernel: Pair, stride: Pair) -> Padding:
    """((top, bottom), (left, right)) from "same", "valid", one size, (y, x), or the pairs themselves."""
    if len(shape) != 4:
        raise ValueError(f"an image batch has the shape (batch, height, width, channels), not {shape}")
    if rule == "valid":
        return (0, 0), (0, 0)
    if rule == "same":
        return _same(shape[1], kernel[0], stride[0]), _same(shape[2], kernel[1], stride[1])
    if isinstance(rule, int) and rule >= 0:
        return (rule, rule), (rule, rule)
    if isinstance(rule, tuple) and len(rule) == 2:
        first, second = rule
        if isinstance(first, int) and isinstance(second, int):
            return (first, first), (second, second)
        if isinstance(first, tuple) and isinstance(second, tuple):
            return first, second
    raise ValueError(
        f"padding {rule!r} is not known; "
        "use 'same', 'valid', a size, (y, x) or ((top, bottom), (left, right))"
    )
