# SPDX-License-Identifier: MIT
"""Resizing of images, by the nearest pixel or by interpolation."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.folding import evaluated
from fixedpoint_nn.interchange.onnx.model import OnnxOperation
from fixedpoint_nn.interchange.onnx.operators.movement import selected
from fixedpoint_nn.interchange.onnx.operators.products import relabelled, times_matrix
from fixedpoint_nn.interchange.onnx.step import OnnxStep, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused

ROUNDS = {
    "round_prefer_floor": lambda x: ceil(x - 0.5),
    "round_prefer_ceil": lambda x: floor(x + 0.5),
    "floor": floor,
    "ceil": ceil,
}
MOST_WEIGHTS, MOST_PIXELS = 1 << 20, 1 << 12  # of one axis


@operator(
    "Resize",
    "Select for the nearest pixel, else Dense along each axis",
    "tf_crop_and_resize; sizes that are computed; linear and cubic of large images",
)
def resize(step: OnnxStep) -> OnnxValue:
    """Convert Resize to the nearest pixel."""
    x = step.value(0)
    mode = step.attribute("mode", "nearest")
    if mode not in ("nearest", "linear", "cubic"):
        raise Refused(f"its mode is {mode!r}")
    rank = len(x.dims)
    axes = [axis_of(int(a), rank) for a in step.attribute("axes", range(rank))]
    where = step.attribute(
        "coordinate_transformation_mode", "half_pixel" if step.opset >= 11 else "asymmetric"
    )
    rule = step.attribute("nearest_mode", "round_prefer_floor" if step.opset >= 11 else "floor")
    policy = step.attribute("keep_aspect_ratio_policy", "stretch")
    scales = step.optional(2 if step.opset >= 11 else 1, "scales")
    sizes = step.optional(3, "sizes")
    more = {name: step.attribute(name) for name in ("antialias", "cubic_coeff_a", "exclude_outside")}
    step.attribute("extrapolation_value")
    if rule not in ROUNDS or where == "tf_crop_and_resize":
        raise Refused(f"its coordinate_transformation_mode is {where!r} and its nearest_mode {rule!r}")
    given = sizes if sizes is not None and sizes.size else scales
    if given is None or given.size != len(axes):
        raise Refused(f"it has no scale or size for each of the axes {axes}")
    if given is sizes:
        if policy != "stretch" and mode != "nearest":
            raise Refused(f"its mode is {mode!r} and its keep_aspect_ratio_policy {policy!r}")
        wanted = _by_policy([x.dims[a] for a in axes], [int(n) for n in sizes], policy)
    else:
        wanted = [(floor(x.dims[a] * float(s)), float(s)) for a, s in zip(axes, given, strict=True)]
    for axis, (size, scale) in zip(axes, wanted, strict=True):
        if axis == x.batch and size == x.dims[axis]:
            continue
        if axis == x.batch:
            raise Refused(
                f"it makes {size} samples of {x.dims[axis]}; where the file has a batch of {size}, say so by `shapes`"
            )
        if size < 1 or size > 1 << 16:
            raise Refused(f"its result has {size} elements along axis {axis}")
        if mode == "nearest":
            places = [_place(i, size, x.dims[axis], scale, where) for i in range(size)]
            indices = [min(max(ROUNDS[rule](place), 0), x.dims[axis] - 1) for place in places]
            if indices != list(range(x.dims[axis])):
                x = selected(step, x, axis, indices)
        elif size != x.dims[axis] or scale != 1:
            about = {"mode": mode, "coordinate_transformation_mode": where, **more}
            x = _interpolated(step, x, axis, size, None if given is sizes else scale, about)
    return x


def _interpolated(
    step: OnnxStep, x: OnnxValue, axis: int, size: int, scale: float | None, about: dict[str, Any]
) -> OnnxValue:
    """Interpolation along one axis as a matrix product; the weights are those of ONNX's reference."""
    count = x.dims[axis]
    if count * size > MOST_WEIGHTS or count > MOST_PIXELS:
        raise Refused(f"it interpolates {count} elements to {size} along axis {axis}, which is too much")
    pixels = np.eye(count, dtype=np.float32)
    names, given = ["x", ""], [pixels, None]
    if scale is None:
        names, given = [*names, "", "sizes"], [*given, None, np.array([size], np.int64)]
    else:
        names, given = [*names, "scales"], [*given, np.array([scale], np.float32)]
    attributes = {name: value for name, value in about.items() if value is not None}
    part = OnnxOperation(step.name, "Resize", tuple(names), ("y",), {**attributes, "axes": [1]})
    (weights,) = evaluated(part, given, max(step.opset, 18))
    rank = len(x.dims)
    last = (*(a for a in range(rank) if a != axis), axis)
    made = times_matrix(step, relabelled(x, last), weights, None)
    return relabelled(made, tuple(last.index(a) for a in range(rank)))


@operator("Upsample", "Select", "mode linear")
def upsample(step: OnnxStep) -> OnnxValue:
    """Convert Upsample to the nearest pixel."""
    x = step.value(0)
    step.must_be("mode", "nearest")
    scales = step.attribute("scales") or step.constant(1, "scales").tolist()
    if len(scales) != len(x.dims):
        raise Refused(f"its scales are {list(scales)}")
    for axis, scale in enumerate(scales):
        size = floor(x.dims[axis] * scale)
        if not 1 <= size <= 1 << 16:
            raise Refused(f"its result has {size} elements along axis {axis}")
        indices = [min(floor(i / scale), x.dims[axis] - 1) for i in range(size)]
        if indices != list(range(x.dims[axis])):
            x = selected(step, x, axis, indices)
    return x


def _by_policy(dims: list[int], sizes: list[int], policy: str) -> list[tuple[int, float]]:
    """(size, scale) of each axis; a policy keeps the aspect ratio."""
    scales = [size / dim for size, dim in zip(sizes, dims, strict=True)]
    if policy == "stretch":
        return list(zip(sizes, scales, strict=True))
    if policy not in ("not_larger", "not_smaller"):
        raise Refused(f"its keep_aspect_ratio_policy is {policy!r}")
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [(floor(scale * dim + 0.5), scale) for dim in dims]


def _place(i: int, size: int, before: int, scale: float, where: str) -> float:
    """The position in the input of pixel i of the result."""
    if where == "asymmetric":
        return float(np.float32(i / scale))
    if where == "align_corners":
        return i * (before - 1) / (size - 1) if size > 1 else 0.0
    if where == "pytorch_half_pixel":
        return (i + 0.5) / scale - 0.5 if size > 1 else 0.0
    if where == "half_pixel_symmetric":
        offset = before / 2 * (1 - size / (scale * before))
        return offset + (i + 0.5) / scale - 0.5
    if where == "half_pixel":
        return (i + 0.5) / scale - 0.5
    raise Refused(f"its coordinate_transformation_mode is {where!r}")
