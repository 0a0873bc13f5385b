# SPDX-License-Identifier: MIT
"""One operation during conversion: its operands and attributes, and the nodes that it adds to the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.builder import GraphBuilder
from fixedpoint_nn.interchange.onnx.model import OnnxOperation
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

Operand = OnnxValue | Array | None
Result = OnnxValue | Array
Convert = Callable[["OnnxStep"], "Result | Sequence[Result]"]


@dataclass(frozen=True)
class OperatorConverter:
    """The converter of an operator; `becomes` and `limits` are for the documentation."""

    convert: Convert
    becomes: str
    limits: str = ""


OPERATORS: dict[str, OperatorConverter] = {}


def operator(name: str, becomes: str, limits: str = "") -> Callable[[Convert], Convert]:
    """A decorator that registers the converter of an operator."""

    def register(convert: Convert) -> Convert:
        OPERATORS[name] = OperatorConverter(convert, becomes, limits)
        return convert

    return register


@dataclass
class OnnxStep:
    """An operation to convert; every attribute must be read, an unread one is refused."""

    operation: OnnxOperation
    operands: Sequence[Operand]
    builder: GraphBuilder
    opset: int
    free: frozenset[str]  # the file's inputs, which can be fixed as constants
    asked: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The name of the node."""
        return self.operation.name

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node, or the specification's default."""
        self.asked.add(name)
        return self.operation.attributes.get(name, default)

    def needed(self, name: str) -> Any:
        """An attribute without a default; raises Refused if it is missing."""
        value = self.attribute(name)
        if value is None:
            raise Refused(f"its attribute {name} is missing")
        return value

    def must_be(self, name: str, *allowed: Any) -> None:
        """Raise Refused unless the attribute has one of these values or is absent."""
        value = self.attribute(name, allowed[0])
        if value not in allowed:
            text = " or ".join(repr(one) for one in allowed)
            raise Refused(f"its attribute {name} is {value!r}, and only {text} is supported")

    def check_attributes(self) -> None:
        """Raise Refused if an attribute was not read."""
        left = [name for name in self.operation.attributes if name not in self.asked]
        if left:
            raise Refused(f"its attribute {left[0]} is not supported")

    # ---- operands -----------------------------------------------------------------------------------------

    def given(self, index: int) -> bool:
        """Whether this operand is present."""
        return index < len(self.operands) and self.operands[index] is not None

    def value(self, index: int, kind: str = "float") -> OnnxValue:
        """A computed operand, of the kind "float" or `kind`, '' for any; raises Refused."""
        operand = self.operands[index] if self.given(index) else None
        if operand is None:
            raise Refused(f"its input {index} is missing")
        if not isinstance(operand, OnnxValue):
            raise Refused(f"its input {index} is a constant, and a computed value is needed")
        if kind and operand.kind != kind:
            raise Refused(_unlike(kind, operand.kind))
        return operand

    def constant(self, index: int, what: str) -> Array:
        """A constant operand; raises Refused if it is computed."""
        found = self.optional(index, what)
        if found is None:
            raise Refused(f"its {what} are missing")
        return found

    def optional(self, index: int, what: str) -> Array | None:
        """A constant operand, or None if it is absent."""
        if not self.given(index):
            return None
        operand = self.operands[index]
        if isinstance(operand, OnnxValue):
            name = self.operation.inputs[index]
            raise Refused(
                f"its {what} ({name!r}) are computed, and must be constant", name if name in self.free else ""
            )
        return operand

    def integers(self, index: int, attribute: str) -> list[int] | None:
        """A list of integers, an input in newer operator sets and an attribute in older ones."""
        listed = self.attribute(attribute)
        if listed is not None:
            return [int(x) for x in np.ravel(listed)]
        found = self.optional(index, attribute)
        if found is not None and found.dtype.kind not in "iu":
            raise Refused(f"its {attribute} are {found.dtype.name}, and not whole numbers")
        return None if found is None else [int(x) for x in np.ravel(found)]

    # ---- results ------------------------------------------------------------------------------------------

    def unary(self, layer: Any, v: OnnxValue) -> OnnxValue:
        """The layer applied element by element."""
        return replace(v, node=self.builder.add(self.name, layer, v.node), flat=None)

    def made(
        self,
        layer: Any,
        takes: Sequence[OnnxValue | str],
        dims: tuple[int, ...],
        axes: tuple[int | None, ...],
    ) -> OnnxValue:
        """A new value by a layer."""
        names = [take if isinstance(take, str) else take.node for take in takes]
        kind = next((take.kind for take in takes if isinstance(take, OnnxValue)), "float")
        return OnnxValue(self.builder.add(self.name, layer, *names), dims, axes, kind)


def _unlike(wanted: str, given: Any) -> str:
    """The reason why a value of this kind is refused."""
    if given in ("int", "bool") and wanted == "float":
        name = "whole numbers (int)" if given == "int" else "truth values"
        return f"it computes with {name}; cast them to FLOAT before"
    if isinstance(given, str):
        return f"its input is of the kind {given}, and {wanted} is needed"
    return str(getattr(given, "reason", f"it computes with whole numbers ({given})"))


def axis_of(axis: int, rank: int) -> int:
    """The axis as a non-negative index; raises Refused."""
    if not -rank <= axis < rank:
        raise Refused(f"its axis {axis} is none of the {rank} axes")
    return axis % rank
