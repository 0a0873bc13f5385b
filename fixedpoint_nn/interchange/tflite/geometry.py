# SPDX-License-Identifier: MIT
"""Padding and output sizes of windows, and limits on a layer's work."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.step import TfliteStep
from fixedpoint_nn.layers.padding import padding_pairs
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair

MOST_PRODUCTS = 1 << 31  # of one layer and one sample
MOST_COPIES = 1 << 28  # the same if windows are copied channel by channel
RULES = {0: "same", 1: "valid"}


def padding_of(
    options: Mapping[str, Any], image: tuple[int, ...], kernel: Pair
) -> tuple[Pair, Padding, Pair]:
    """(stride, padding, output size) of a convolution or pooling."""
    stride = options["StrideH"], options["StrideW"]
    if min(stride) < 1 or min(kernel) < 1 or options["Padding"] not in RULES:
        raise Unsuited(f"has the stride {stride}, the kernel {kernel} and the padding {options['Padding']}")
    rule = RULES[options["Padding"]]
    padding = padding_pairs(rule, (1, *image, 1), kernel, stride)
    if rule == "same":
        size = -(-image[0] // stride[0]), -(-image[1] // stride[1])
    else:
        size = (image[0] - kernel[0]) // stride[0] + 1, (image[1] - kernel[1]) // stride[1] + 1
    if min(size) < 1:
        raise Unsuited(f"has the kernel {kernel}, which is larger than its image {image}")
    return stride, padding, size


def transposed_padding_of(
    options: Mapping[str, Any], image: tuple[int, ...], kernel: Pair, size: tuple[int, ...]
) -> tuple[Pair, Padding]:
    """(stride, padding) of a transposed convolution whose result has `size` pixels.

    The padding is around the image with stride - 1 zeros between its pixels; before it are as many places as the
    convolution from the result to the image leaves.
    """
    stride, forward, _ = padding_of(options, size, kernel)
    edges = []
    for axis in (0, 1):
        spread = (image[axis] - 1) * stride[axis] + 1  # pixels with the zeros between them
        before = kernel[axis] - 1 - forward[axis][0]
        edges.append((before, size[axis] + kernel[axis] - 1 - spread - before))
    return stride, (edges[0], edges[1])


def check_work(step: TfliteStep, shape: tuple[int, ...], taps: int, most: int = MOST_PRODUCTS) -> None:
    """Raise Unsuited unless the output has this shape, and count the products within the limit."""
    output = step.output()
    if prod(output.shape) != prod(shape):
        raise Unsuited(f"declares an output of shape {output.shape}, and gives {shape}")
    step.work = prod(shape) * taps
    if step.work > most:
        raise Unsuited(f"takes {step.work} products for each sample, and {most} is the most")
