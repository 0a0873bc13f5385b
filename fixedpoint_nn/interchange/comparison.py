# SPDX-License-Identifier: MIT
"""Comparison of this project with another runtime, tensor by tensor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.interchange.load import kind_of
from fixedpoint_nn.numerics.arrays import Array

OF_ONE = 2.0**-22  # of a sigmoid, which onnxruntime computes to that accuracy, however small it is
SHARE = 1e-4  # of a tensor's largest value: the margin of floats that are summed in another order
SHOWN = 3  # differing values of a tensor that are shown


@dataclass(frozen=True)
class ComparedTensor:
    """A tensor of the file, computed by both; `margin` is the allowed difference (0 for integers)."""

    name: str
    theirs: Array
    ours: Array
    margin: float

    @property
    def differing(self) -> Array:
        """The indices of differing values, (values, axes); one empty row if the shapes differ."""
        if self.theirs.shape != self.ours.shape:
            return np.zeros((1, 0), np.int64)
        theirs, ours = self.theirs, self.ours
        same = theirs == ours
        if self.margin:
            with np.errstate(invalid="ignore"):
                near = np.abs(theirs - ours) <= self.margin
            same = same | near | (np.isnan(theirs) & np.isnan(ours))
        return np.argwhere(~same)

    def __str__(self) -> str:
        if self.theirs.shape != self.ours.shape:
            return f"{self.name}: its shape is {self.theirs.shape} there and {self.ours.shape} here"
        places = self.differing
        if not len(places):
            return f"{self.name}: {self.theirs.size:,} values equal"
        shown = "; ".join(
            f"[{', '.join(map(str, place))}] {self.theirs[tuple(place)]} there, {self.ours[tuple(place)]} here"
            for place in places[:SHOWN]
        )
        more = f"; and {len(places) - SHOWN:,} more" if len(places) > SHOWN else ""
        return f"{self.name}: {len(places):,} of {self.theirs.size:,} values differ: {shown}{more}"


@dataclass(frozen=True)
class RuntimeComparison:
    """All compared tensors in the order of computation; `judge` is the name of the other runtime."""

    judge: str
    exact: bool  # integers, with no margin
    samples: int
    pairs: tuple[ComparedTensor, ...]

    @property
    def first(self) -> ComparedTensor | None:
        """The first differing tensor, if any."""
        return next((pair for pair in self.pairs if len(pair.differing)), None)

    @property
    def equal(self) -> bool:
        """Whether no tensor differs."""
        return self.first is None

    def __str__(self) -> str:
        values = sum(pair.theirs.size for pair in self.pairs)
        if self.first is not None:
            return f"DIFFERENT from {self.judge}, first in {self.first}"
        how = "in every bit" if self.exact else f"within {SHARE:g} of each tensor's largest value"
        return f"EQUAL to {self.judge} {how}: {len(self.pairs)} tensors, {values:,} values, {self.samples} samples"


def compare(
    path: str | os.PathLike[str],
    x: Array | Sequence[Array],
    *,
    optimised: bool = False,
    constants: Mapping[str, ArrayLike] | None = None,
    outputs: Sequence[str] | None = None,
) -> RuntimeComparison:
    """Run a .tflite or .onnx file on samples here and in its own runtime, and compare every tensor that both have.

    Samples are as for the network of `load_model`, or in the order of axes of an ONNX file; a sequence of arrays for
    several inputs. Integers must be equal; floats of ONNX have a margin, because onnxruntime sums in another order. A
    quantised ONNX file runs without graph optimisations, which change its results; `optimised` leaves them on.
    `constants` fixes inputs of an ONNX file, and `outputs` selects what is computed, as in `from_onnx`. A TFLite model
    that keeps variables is run over the samples one after the other.
    """
    xs = (x,) if isinstance(x, np.ndarray) else tuple(x)
    if not xs or any(len(samples) == 0 for samples in xs):
        raise ValueError("a comparison takes at least one sample")
    if len({len(samples) for samples in xs}) > 1:
        raise ValueError(f"the inputs have different numbers of samples: {[len(samples) for samples in xs]}")
    kind = kind_of(path)
    if constants and kind != "onnx":
        raise ValueError(f"{path} is no .onnx file, whose inputs could be fixed by constants")
    approximate: frozenset[str] = frozenset()
    if kind == "tflite":
        from fixedpoint_nn.interchange.tflite.interpreter import JUDGE as judge
        from fixedpoint_nn.interchange.tflite.interpreter import tensors

        found = tensors(path, xs, outputs)
    elif kind == "onnx":
        from fixedpoint_nn.interchange.onnx.runtime import JUDGE as judge
        from fixedpoint_nn.interchange.onnx.runtime import sigmoids
        from fixedpoint_nn.interchange.onnx.runtime import tensors as onnx_tensors

        approximate = sigmoids(path)
        found = onnx_tensors(path, xs, optimised, constants, outputs)
    else:
        raise ValueError(f"{path} is this project's own file, and no other runtime reads it")
    pairs = tuple(
        ComparedTensor(
            name, theirs, ours, 0 if exact else max(_margin(theirs), OF_ONE if name in approximate else 0)
        )
        for name, theirs, ours, exact in found
    )
    if not pairs:
        raise ValueError(f"{path} computes nothing that can be compared")
    return RuntimeComparison(judge, not any(pair.margin for pair in pairs), len(xs[0]), pairs)


def _margin(theirs: Array) -> float:
    """The allowed difference: a share of the largest float, 0 for integers."""
    if theirs.dtype.kind != "f":
        return 0
    finite = np.abs(theirs[np.isfinite(theirs)])
    return SHARE * float(finite.max()) if finite.size else 0
