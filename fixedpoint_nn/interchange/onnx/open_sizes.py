# SPDX-License-Identifier: MIT
"""Sizes that a file leaves open, from samples of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fixedpoint_nn.interchange.onnx.doors import arrangement
from fixedpoint_nn.interchange.onnx.model import Declared, OnnxModel


def shapes_of(
    model: OnnxModel, samples: Mapping[str, tuple[int, ...]], fixed: Iterable[str] = ()
) -> dict[str, tuple[int, ...]]:
    """For each input with open sizes, its shape for arrays of samples of these shapes, in the file's order.

    Arrays have the network's order of axes (images channels-last), or the file's. Those that fit neither are left out.
    """
    inputs = [declared for declared in model.inputs if declared.name not in fixed]
    if len(inputs) == 1 and inputs[0].name not in samples and "x" in samples:
        samples = {inputs[0].name: samples["x"]}
    found = {}
    for declared in inputs:
        axes = arrangement(model, declared, True)
        if declared.name not in samples or not axes:
            continue
        shape = _shape(declared, axes, samples[declared.name])
        if shape is not None and any(
            isinstance(size, str) for a, size in enumerate(declared.axes) if a != axes[0]
        ):
            found[declared.name] = shape
    return found


def _shape(
    declared: Declared, axes: tuple[int | None, ...], shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The shape of one sample in the file's order, with a batch of one."""
    if len(shape) != len(declared.axes) or axes[0] is None:
        return None
    turned = [0] * len(shape)
    for size, axis in zip(shape, axes, strict=True):
        turned[axis or 0] = size
    for candidate in (turned, list(shape)):
        candidate[axes[0]] = 1
        if all(
            isinstance(known, str) or axis == axes[0] or known == size
            for axis, (known, size) in enumerate(zip(declared.axes, candidate, strict=True))
        ):
            return tuple(candidate)
    return None
