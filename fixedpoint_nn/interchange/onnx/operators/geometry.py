# SPDX-License-Identifier: MIT
"""Windows of ONNX operators: kernels, strides, dilations and pads, of images and sequences."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.step import OnnxStep
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics.arrays import Ints

LARGEST = 1 << 16  # a stride, dilation, kernel or padding


@dataclass(frozen=True)
class Spatial:
    """One spatial axis: its size, and the windows along it."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    ceil: bool = False

    @property
    def reach(self) -> int:
        """The span from the first to the last tap, in elements."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def count(self) -> int:
        """The number of windows.

        With `ceil` the last one may exceed the padded axis if it starts before the end padding.
        """
        room = self.size + self.before + self.after - self.reach
        if room < 0:
            raise Refused(
                f"a window of {self.reach} does not fit into {self.size} elements "
                f"padded by {self.before} and {self.after}"
            )
        if not self.ceil:
            return room // self.stride + 1
        count = -(-room // self.stride) + 1
        return count - 1 if (count - 1) * self.stride >= self.size + self.before else count

    @property
    def edges(self) -> Pair:
        """The padding (before, after) that yields exactly these windows."""
        return self.before, max((self.count - 1) * self.stride + self.reach - self.size - self.before, 0)

    def inside(self, with_padding: bool) -> Ints:
        """The number of valid taps of each window, with or without padding."""
        low, high = (-self.before, self.size + self.after) if with_padding else (0, self.size)
        first = np.arange(self.count) * self.stride - self.before
        begin = np.clip(-((first - low) // self.dilation), 0, self.kernel)  # the first tap at or after low
        end = np.clip(-((first - high) // self.dilation), 0, self.kernel)
        counted: Ints = np.maximum(end - begin, 0)
        return counted


def spatial(
    step: OnnxStep, sizes: tuple[int, ...], kernel: tuple[int, ...] | None, ceil: bool = False
) -> list[Spatial]:
    """The spatial axes of a convolution or pooling; raises Refused."""
    count = len(sizes)
    if count not in (1, 2):
        raise Refused(f"it has {count} spatial axes, and 1 or 2 are supported")
    said = _listed(step, "kernel_shape", count, kernel)
    if said is None:
        raise Refused("its kernel_shape is missing")
    if kernel is not None and said != kernel:
        raise Refused(f"its kernel_shape {list(said)} is not that of its weights, {list(kernel)}")
    strides = _listed(step, "strides", count, (1,) * count)
    dilations = _listed(step, "dilations", count, (1,) * count)
    assert strides is not None and dilations is not None
    pads = step.attribute("pads", [0] * 2 * count)
    automatic = step.attribute("auto_pad", "NOTSET")
    if len(pads) != 2 * count or min(pads) < 0 or max(pads) > LARGEST:
        raise Refused(f"its pads {list(pads)} are not two small sizes for each spatial axis")
    axes = []
    for i, size in enumerate(sizes):
        axis = Spatial(size, said[i], strides[i], dilations[i], int(pads[i]), int(pads[count + i]), ceil)
        axes.append(_automatic(axis, automatic))
    return axes


def _automatic(axis: Spatial, rule: str) -> Spatial:
    """The axis with the padding of `auto_pad`."""
    if rule == "NOTSET":
        return axis
    if rule == "VALID":
        return replace(axis, before=0, after=0)
    if rule not in ("SAME_UPPER", "SAME_LOWER"):
        raise Refused(f"its auto_pad is {rule!r}")
    total = max((-(-axis.size // axis.stride) - 1) * axis.stride + axis.reach - axis.size, 0)
    less, more = total // 2, total - total // 2
    return (
        replace(axis, before=less, after=more)
        if rule == "SAME_UPPER"
        else replace(axis, before=more, after=less)
    )


def _listed(step: OnnxStep, name: str, count: int, default: tuple[int, ...] | None) -> tuple[int, ...] | None:
    value = step.attribute(name)
    if value is None:
        return default
    if len(value) != count or min(value) < 1 or max(value) > LARGEST:
        raise Refused(f"its {name} {list(value)} are not {count} small positive numbers")
    return tuple(int(x) for x in value)


def as_image(step: OnnxStep, x: OnnxValue) -> OnnxValue:
    """The file's value (batch, channels, ...) with channels last."""
    if len(x.dims) < 3:
        raise Refused(f"its input has the shape {list(x.dims)}, and no spatial axes")
    return step.builder.channels_last(x)


def over_images(step: OnnxStep, x: OnnxValue, layer: object, channels: int, sizes: list[int]) -> OnnxValue:
    """The layer applied to images; a sequence is an image of one row."""
    dims, axes = (x.dims[0], channels, *sizes), x.axes
    if len(sizes) == 2:
        return step.made(layer, [x], dims, axes)
    image = step.builder.add(f"{step.name}_image", layers.Reshape((1, x.dims[2], x.dims[1])), x.node)
    made = step.builder.add(step.name, layer, image)
    rows = step.builder.add(f"{step.name}_rows", layers.Reshape((sizes[0], channels)), made)
    return OnnxValue(rows, dims, axes, x.kind)


def pair(values: list[int]) -> Pair:
    """(rows, columns) from the numbers of an image or a sequence, which is an image of one row."""
    return (values[0], values[1]) if len(values) == 2 else (1, values[0])


def paddings(edges: list[Pair]) -> Padding:
    """((top, bottom), (left, right)) from the paddings of an image or a sequence."""
    return (edges[0], edges[1]) if len(edges) == 2 else ((0, 0), edges[0])
