# SPDX-License-Identifier: MIT
"""Restoring a network from a file that `to_onnx` wrote.

The file's metadata describe the layers, their formats, and the constant of each parameter. The description is accepted
only if it is verified: the network is written again, and every node and constant must equal the file's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.doors import Door
from fixedpoint_nn.interchange.onnx.integers.conversion import ImportedIntegers, Outlet
from fixedpoint_nn.interchange.onnx.model import OnnxError, OnnxModel
from fixedpoint_nn.interchange.onnx.nodes import Nodes
from fixedpoint_nn.interchange.onnx.value import BATCH, MOST_ELEMENTS
from fixedpoint_nn.network.encoding import decoded, encoded
from fixedpoint_nn.network.json_shapes import (
    JsonAny,
    JsonList,
    JsonMap,
    JsonObject,
    JsonText,
    ShapeError,
    demand,
    parsed,
)
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat

KEY = "fixedpoint_nn"
FIELDS = JsonObject({"net": JsonAny(), "numbers": JsonMap(JsonText()), "shapes": JsonList(JsonAny())})
MOST_AXES = 8


@dataclass(frozen=True)
class FormatMeaning:
    """The meaning of integers of a format."""

    format: QFormat

    def filed(self, ints: Any) -> Any:
        """The exact real numbers."""
        return np.ldexp(np.asarray(ints, np.float64), -self.format.frac_bits)


def description(fixed: Quantized, shapes: Sequence[tuple[int, ...]], nodes: Nodes) -> dict[str, str]:
    """Metadata with the network as text; parameters that no node uses directly are added as constants.

    Empty for a network with layers that cannot be saved, such as a user's own.
    """
    arrays: dict[str, Array] = {}
    try:
        structure = encoded(fixed, "", arrays)
    except TypeError:
        return {}
    formats: dict[str, QFormat] = {}
    _collect(structure, formats)
    numbers = {
        path: nodes.constant(np.ldexp(arrays[path].astype(np.float64), -format.frac_bits))
        for path, format in formats.items()
    }
    about = {"net": structure, "numbers": numbers, "shapes": [list(shape) for shape in shapes]}
    return {KEY: json.dumps(about)}


def _collect(code: Any, formats: dict[str, QFormat]) -> None:
    """Collect the format of each array, by path."""
    if isinstance(code, dict) and isinstance(code.get("fixed"), str):
        formats[code["fixed"]] = QFormat.parse(code["format"])
    elif isinstance(code, dict | list):
        for part in code.values() if isinstance(code, dict) else code:
            _collect(part, formats)


def restored(
    model: OnnxModel, write: Callable[[Quantized, Sequence[tuple[int, ...]]], OnnxModel]
) -> ImportedIntegers | None:
    """The network of a file written by this project; None for any other. `write` converts a network to a model."""
    about = model.about.get(KEY)
    if about is None:
        return None
    try:
        net, shapes = _described(about, model.constants)
        again = write(net, shapes)
    except (ShapeError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, MemoryError) as error:
        raise OnnxError(
            f"its description of the network is damaged: {' '.join(str(error).split())[:200]}"
        ) from None
    except RecursionError:
        raise OnnxError("its description of the network is nested too deeply") from None
    if not same(model, again):
        raise OnnxError(
            "its nodes are not those of the network that it describes; whoever changed them leaves out the "
            f"metadata {KEY!r}"
        )
    results = net(*(np.zeros((1, *shape)) for shape in shapes))
    outputs = results if isinstance(results, tuple) else (results,)
    doors = tuple(_door(declared.name, shape) for declared, shape in zip(model.inputs, shapes, strict=True))
    outlets = tuple(
        Outlet(**vars(_door(declared.name, y.shape[1:])), meaning=FormatMeaning(y.format))
        for declared, y in zip(model.outputs, outputs, strict=True)
    )
    return ImportedIntegers(net, doors, outlets)


def _described(about: str, constants: Mapping[str, Array]) -> tuple[Quantized, list[tuple[int, ...]]]:
    """(network, shapes of its inputs) from the metadata and the constants that it names."""
    header = parsed(about, constants=True)
    demand(header, FIELDS)
    formats: dict[str, QFormat] = {}
    _collect(header["net"], formats)
    arrays = {}
    for path, format in formats.items():
        scaled = np.ldexp(np.asarray(constants[header["numbers"][path]], np.float64), format.frac_bits)
        arrays[path] = scaled.astype(np.int64)
    shapes = [tuple(int(size) for size in shape) for shape in header["shapes"]]
    if any(len(s) > MOST_AXES or min(s, default=1) < 1 or prod(s) > MOST_ELEMENTS for s in shapes):
        raise ValueError(f"its shapes are {shapes}")
    net = decoded(header["net"], arrays)
    if not isinstance(net, Quantized):
        raise TypeError(f"it is a {type(net).__name__}, and no quantised network")
    return net, shapes


def _door(name: str, shape: tuple[int, ...]) -> Door:
    return Door(name, name, tuple(range(len(shape) + 1)), (BATCH, *shape))


def same(one: OnnxModel, two: OnnxModel) -> bool:
    """Whether two models have equal nodes in equal order, constants, inputs and outputs."""
    if (one.inputs, one.outputs, one.opset) != (two.inputs, two.outputs, two.opset):
        return False
    if one.constants.keys() != two.constants.keys() or len(one.operations) != len(two.operations):
        return False
    if not all(_equal(value, two.constants[name]) for name, value in one.constants.items()):
        return False
    for first, second in zip(one.operations, two.operations, strict=True):
        plain = [(o.op, o.inputs, o.outputs, o.domain) for o in (first, second)]
        a, b = first.attributes, second.attributes
        if plain[0] != plain[1] or a.keys() != b.keys() or not all(_equal(a[key], b[key]) for key in a):
            return False
    return True


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)
