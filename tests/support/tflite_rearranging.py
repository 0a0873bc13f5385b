# SPDX-License-Identifier: MIT
"""Random models of one operator that rearranges values or chooses among them; drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.support.tflite_models import options


def common(d: Any, x: int) -> dict[str, Any]:
    """The type, scale and zero point of a value."""
    about = d.model.tensors[x].quantization
    return {"dtype": d.dtype, "scale": about.scale[0], "zero": about.zeroPoint[0]}


def split(d: Any) -> int:
    """SPLIT or SPLIT_V, of which one part is the output."""
    image = d.image()
    axis, count = d.integer(1, 3), d.integer(1, 3)
    image = tuple(size * count if place == axis - 1 else size for place, size in enumerate(image))
    x = d.input(image)
    shape = [1, *image]
    shape[axis] //= count
    where = d.model.constant(np.array([axis - d.choice(0, 4)], np.int32))
    parts = d.model.operator_of_several(
        "SPLIT", [where, x], [shape] * count, options("Split", numSplits=count), **common(d, x)
    )
    return parts[d.integer(0, count - 1)]


def split_v(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    axis = d.integer(1, 3)
    total = image[axis - 1]
    sizes, left = [], total
    while left:
        sizes.append(d.integer(1, left))
        left -= sizes[-1]
    shapes = [[1, *(n if place == axis - 1 else size for place, size in enumerate(image))] for n in sizes]
    if d.choice(True, False):
        sizes[d.integer(0, len(sizes) - 1)] = -1
    inputs = [x, d.model.constant(np.array(sizes, np.int32)), d.model.constant(np.array([axis], np.int32))]
    made = options("SplitV", numSplits=len(sizes))
    parts = d.model.operator_of_several("SPLIT_V", inputs, shapes, made, **common(d, x))
    return parts[d.integer(0, len(parts) - 1)]


def transpose(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    order = [0, *d.choice((1, 2, 3), (3, 1, 2), (2, 1, 3), (1, 3, 2), (3, 2, 1), (2, 3, 1))]
    places = d.model.constant(np.array(order, np.int32))
    shape = [(1, *image)[axis] for axis in order]
    return d.model.operator("TRANSPOSE", [x, places], shape, options("Transpose"), **common(d, x))


def pack(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    other = d.model.operator("RELU", [x], (1, *image), **common(d, x))
    parts, axis = d.choice([x, other], [other, x, x], [x]), d.choice(1, 2, 3, 4, -1, -2)
    shape = [1, *image]
    shape.insert(axis % 5, len(parts))
    made = options("Pack", axis=axis, valuesCount=len(parts))
    return d.model.operator("PACK", parts, shape, made, **common(d, x))


def unpack(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    axis = d.integer(1, 3)
    shape = [1, *image]
    count = shape.pop(axis)
    made = options("Unpack", axis=axis - d.choice(0, 4), num=count)
    parts = d.model.operator_of_several("UNPACK", [x], [shape] * count, made, **common(d, x))
    return parts[d.integer(0, count - 1)]


def gather(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    axis = d.integer(1, 3)
    places = [d.integer(0, image[axis - 1] - 1) for _ in range(d.integer(1, 4))]
    shape = [1, *image]
    shape[axis] = len(places)
    made = options("Gather", axis=axis - d.choice(0, 4))
    return d.model.operator(
        "GATHER", [x, d.model.constant(np.array(places, np.int32))], shape, made, **common(d, x)
    )


def depth_to_space(d: Any) -> int:
    (height, width, channels), size = d.image(), d.integer(1, 3)
    x = d.input((height, width, channels * size**2))
    shape = (1, height * size, width * size, channels)
    return d.model.operator(
        "DEPTH_TO_SPACE", [x], shape, options("DepthToSpace", blockSize=size), **common(d, x)
    )


def space_to_depth(d: Any) -> int:
    (height, width, channels), size = d.image(), d.integer(1, 3)
    x = d.input((height * size, width * size, channels))
    shape = (1, height, width, channels * size**2)
    return d.model.operator(
        "SPACE_TO_DEPTH", [x], shape, options("SpaceToDepth", blockSize=size), **common(d, x)
    )


def pad_with(d: Any) -> int:
    rank = d.integer(2, 4)
    shape = d.image()[: rank - 1]
    x = d.input(shape)
    edges = np.array([(0, 0), *((d.integer(0, 2), d.integer(0, 2)) for _ in shape)])
    padded = [size + int(edge.sum()) for size, edge in zip((1, *shape), edges, strict=True)]
    same = common(d, x)
    value = d.model.constant(d.codes((1,)), scale=same["scale"], zero=same["zero"])
    inputs = [x, d.model.constant(edges.astype(np.int32)), value]
    return d.model.operator("PADV2", inputs, padded, options("PadV2"), **same)


def mirror_pad(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    mode = d.choice(0, 1)
    most = [min(size - 1 + mode, 3) for size in image]
    edges = np.array([(0, 0), *((d.integer(0, n), d.integer(0, n)) for n in most)])
    padded = [size + int(edge.sum()) for size, edge in zip((1, *image), edges, strict=True)]
    inputs = [x, d.model.constant(edges.astype(np.int32))]
    return d.model.operator("MIRROR_PAD", inputs, padded, options("MirrorPad", mode=mode), **common(d, x))


def tile(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    times = [1, *(d.integer(1, 3) for _ in image)]
    shape = [size * count for size, count in zip((1, *image), times, strict=True)]
    inputs = [x, d.model.constant(np.array(times, np.int32))]
    return d.model.operator("TILE", inputs, shape, options("Tile"), **common(d, x))


def reverse(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    inputs = [x, d.model.constant(np.array([d.integer(1, 3)], np.int32))]
    return d.model.operator("REVERSE_V2", inputs, (1, *image), options("ReverseV2"), **common(d, x))


def resize_nearest(d: Any) -> int:
    height, width, channels = d.image()
    x = d.input((height, width, channels))
    wanted = d.integer(1, 3 * height), d.integer(1, 3 * width)
    corners = d.choice(True, False)
    made = options(
        "ResizeNearestNeighbor", alignCorners=corners, halfPixelCenters=not corners and d.choice(True, False)
    )
    sizes = d.model.constant(np.array(wanted, np.int32))
    return d.model.operator(
        "RESIZE_NEAREST_NEIGHBOR", [x, sizes], (1, *wanted, channels), made, **common(d, x)
    )


def compared(kind: str) -> Callable[[Any], int]:
    """MAXIMUM or MINIMUM of a value and a constant, or what a rectifier makes of it."""

    def make(d: Any) -> int:
        image = d.image()
        x = d.input(image)
        same = common(d, x)
        if d.choice(True, False):
            shape = d.choice((1, *image), image[-1:], (1, 1, 1, image[-1]), (1,), (), (1, image[0], 1, 1))
            turned = d.model.constant(d.codes(shape), scale=same["scale"], zero=same["zero"])
        else:
            turned = d.model.operator("RELU", [x], (1, *image), **same)
        pair = [x, turned] if d.choice(True, False) else [turned, x]
        return d.model.operator(kind, pair, (1, *image), options("MaximumMinimum"), **same)

    return make


MAKERS: dict[str, Callable[[Any], int]] = {
    "DEPTH_TO_SPACE": depth_to_space,
    "GATHER": gather,
    "MAXIMUM": compared("MAXIMUM"),
    "MINIMUM": compared("MINIMUM"),
    "MIRROR_PAD": mirror_pad,
    "PACK": pack,
    "PADV2": pad_with,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "SPACE_TO_DEPTH": space_to_depth,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "REVERSE_V2": reverse,
    "TILE": tile,
    "TRANSPOSE": transpose,
    "UNPACK": unpack,
}
