# SPDX-License-Identifier: MIT
"""Networks as JSON and arrays, and back: every branch of `encoded` has its inverse in `decoded`.

Only the classes in `CLASSES`, and registered ones, are ever instantiated: a file cannot run code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.layers.fields import INLINE
from fixedpoint_nn.network.field_types import made
from fixedpoint_nn.network.json_shapes import (
    JsonAny,
    JsonList,
    JsonMap,
    JsonObject,
    JsonText,
    demand,
    shown,
)
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.subnormals import flushed
from fixedpoint_nn.numerics.table import Table
from fixedpoint_nn.numerics.value_table import ValueTable

VALUES = (Accumulator, ChannelQuantizer, Quantized, Quantizer, Table, ValueTable)
LAYERS = tuple(getattr(layers, name) for name in layers.__all__)
CLASSES: dict[str, type] = {cls.__name__: cls for cls in (*VALUES, *LAYERS)}
ENUMS: dict[str, type[Enum]] = {"Rounding": Rounding, "Overflow": Overflow}


def register(*classes: type) -> None:
    """Add dataclasses that files may contain; for rooms above this one, which have layers of their own."""
    for cls in classes:
        if CLASSES.setdefault(cls.__name__, cls) is not cls:
            raise ValueError(f"files know another {cls.__name__}, {CLASSES[cls.__name__].__module__}'s")


def encoded(value: Any, path: str, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """A network or a part of it as JSON values; its numbers are put into `arrays`, keyed by path."""

    def inside(name: str, part: Any) -> Any:
        return encoded(part, f"{path}.{name}" if path else name, arrays)

    if isinstance(value, Tensor):
        arrays[path] = np.asarray(flushed(value.data), order="C")
        return {"tensor": path}
    if isinstance(value, FixedArray):
        arrays[path] = np.asarray(_smallest(value.ints), order="C")
        return {"fixed": path, "format": repr(value.format)}
    if isinstance(value, QFormat):
        return {"format": repr(value)}
    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "name": value.name}
    if is_dataclass(value) and type(value).__name__ in CLASSES:
        parts = {}
        for f in (f for f in fields(value) if f.init):
            part = getattr(value, f.name)
            parts[f.name] = encoded(part, path, arrays) if f.metadata.get(INLINE) else inside(f.name, part)
        return {"class": type(value).__name__, "fields": parts}
    if isinstance(value, Mapping):
        return {"parts": {key: inside(key, part) for key, part in value.items()}}
    if isinstance(value, tuple | list):
        return {"items": [inside(str(index), part) for index, part in enumerate(value)]}
    if isinstance(value, np.random.Generator):
        return None  # a resumed training has its own generator
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{path or 'the network'} holds a {type(value).__name__}, which a file cannot hold; "
        f"layers that can be saved are {', '.join(sorted(layers.__all__))}"
    )


SHAPES: dict[str, JsonObject] = {
    "tensor": JsonObject({"tensor": JsonText()}),
    "fixed": JsonObject({"fixed": JsonText(), "format": JsonText()}),
    "format": JsonObject({"format": JsonText()}),
    "enum": JsonObject({"enum": JsonText(), "name": JsonText()}),
    "class": JsonObject({"class": JsonText(), "fields": JsonMap(JsonAny())}),
    "parts": JsonObject({"parts": JsonMap(JsonAny())}),
    "items": JsonObject({"items": JsonList(JsonAny())}),
}


def decoded(code: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """The inverse of `encoded`: the network or part from its JSON values and arrays."""
    if not isinstance(code, dict):
        return code
    kind = next((name for name in SHAPES if name in code), None)
    if kind is None:
        raise ValueError(f"an object in it is none of {', '.join(SHAPES)}")
    demand(code, SHAPES[kind], kind)
    if kind == "tensor":
        return Tensor(_array(code["tensor"], arrays, "f"))
    if kind == "fixed":
        return FixedArray.from_ints(_array(code["fixed"], arrays, "iu"), QFormat.parse(code["format"]))
    if kind == "format":
        return QFormat.parse(code["format"])
    if kind == "enum":
        return _known(_known(ENUMS, code["enum"]).__members__, code["name"])
    if kind == "class":
        fields_ = {name: decoded(part, arrays) for name, part in code["fields"].items()}
        return made(_known(CLASSES, code["class"]), fields_)
    if kind == "parts":
        return {key: decoded(part, arrays) for key, part in code["parts"].items()}
    return tuple(decoded(part, arrays) for part in code["items"])


def _known(known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise ValueError(f"it asks for {shown(name)}, which this release does not know")
    return known[name]


def _array(name: str, arrays: Mapping[str, np.ndarray[Any, Any]], kinds: str) -> np.ndarray[Any, Any]:
    if name not in arrays:
        raise ValueError(f"the numbers of {shown(name)} are missing")
    if arrays[name].dtype.kind not in kinds:
        raise ValueError(f"the numbers of {shown(name)} are {arrays[name].dtype}, which do not belong there")
    return arrays[name]


def _smallest(ints: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The integers in the smallest dtype that holds them."""
    for dtype in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if ints.size == 0 or (ints.min() >= bounds.min and ints.max() <= bounds.max):
            return ints.astype(dtype)
    return ints.astype(np.int64)
