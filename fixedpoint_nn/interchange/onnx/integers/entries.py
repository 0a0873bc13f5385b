# SPDX-License-Identifier: MIT
"""Inputs of a quantised file: integers, or floats with the quantiser that rounds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.centred import Shifted
from fixedpoint_nn.interchange.affine.constants import exact
from fixedpoint_nn.interchange.affine.quantizer import AffineQuantizer
from fixedpoint_nn.interchange.affine.rescale import Fitted
from fixedpoint_nn.interchange.onnx.doors import FLOATS, WHOLE
from fixedpoint_nn.interchange.onnx.integers.chain import Times
from fixedpoint_nn.interchange.onnx.integers.following import FollowedConversion
from fixedpoint_nn.interchange.onnx.integers.lookup import is_index
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals
from fixedpoint_nn.interchange.onnx.integers.quantizing import RANGES
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.model import Declared, OnnxOperation
from fixedpoint_nn.interchange.onnx.reader import Refusal
from fixedpoint_nn.interchange.onnx.step import Operand
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

IDS: Any = "int"


class EnteredConversion(FollowedConversion):
    """A conversion with a quantizer for each of its inputs."""

    def _input(self, declared: Declared, given: Sequence[int] | None) -> None:
        """Add an input of the file: integers with their quantizer, or floats that a later node rounds."""
        super()._input(declared, given)
        v = self.operands.get(declared.name)
        if not isinstance(v, OnnxValue):
            return
        if declared.type in WHOLE and is_index(self.model, declared.name):
            self.operands[declared.name] = replace(v, kind=IDS)
            self.ids.add(declared.name)
        elif declared.type in RANGES:
            low, high = RANGES[declared.type]
            format = QFormat.enclosing(low, high, 0, signed=low < 0)
            self.quantizers[v.node] = Quantizer(format, Rounding.HALF_EVEN, Overflow.SATURATE, declared.name)
            kind: Any = Codes(low, high)
            self.operands[declared.name] = replace(v, kind=kind)
        elif declared.name in self.given and declared.type in FLOATS:
            self.operands[declared.name] = self._grid(v, self.given[declared.name])
        elif declared.type not in FLOATS:
            self.refusals.append(
                Refusal(declared.name, "input", f"its type is {declared.type}, which no kernel takes")
            )

    def _grid(self, v: OnnxValue, quantizer: Quantizer) -> OnnxValue:
        """An input of floats, rounded by the caller's quantizer."""
        self.quantizers[v.node] = quantizer
        format = quantizer.format
        low, high = format.int_min, format.int_max
        if isinstance(quantizer, AffineQuantizer):
            low, high, by, scale = (
                low - quantizer.zero,
                high - quantizer.zero,
                -quantizer.zero,
                quantizer.scale,
            )
            layer: Any = Shifted(by, exact(low, high, f"{v.node}.centred"))
        else:
            layer, scale = Fitted(-format.frac_bits, exact(low, high, f"{v.node}.whole")), format.step
        node = self.builder.add(f"{v.node}_whole", layer, v.node)
        kind: Any = Reals(low, high, (Times((scale,)),))
        return replace(v, node=node, kind=kind)

    def _entry(self, operation: OnnxOperation, operands: list[Operand]) -> OnnxValue:
        """The value of an input's quantiser, which becomes the network's input quantizer."""
        v = operands[0]
        assert isinstance(v, OnnxValue)
        step = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
        rounds = self._rounds(step)
        if operation.op == "Quant" and rounds.early and rounds.zero % 2:
            raise Refused(f"its zero point {rounds.zero} is odd, and an input's is even, or 0")
        step.check_attributes()
        name = operation.inputs[0]
        if name not in self.free:
            raise Refused(
                "it rounds floats that were moved for other operators as well; quantise them only here"
            )
        if name in self.entries:
            known, made = self.entries[name]
            if known != rounds:
                raise Refused(f"it rounds the input {name!r} another way than a quantiser before it")
            return made
        if len(rounds.scales) > 1:
            raise Refused("it has a scale for each channel of an input, and one is supported")
        low, high = rounds.low, rounds.high
        symmetric = low < 0 and low == -high
        even = rounds.how is np.rint
        if not even or (low, high) not in (_ends(low, high), (-high, high)):
            raise Refused(f"it rounds an input to {low}..{high} in a way that inputs are not rounded")
        quantizer = AffineQuantizer(
            QFormat.enclosing(low, high, 0, signed=low < 0),
            Rounding.HALF_EVEN,
            Overflow.SATURATE_SYMMETRIC if symmetric else Overflow.SATURATE,
            v.node,
            rounds.scales[0],
            rounds.zero,
            ties_even=True,
        )
        self.quantizers[v.node] = quantizer
        low, high = rounds.centred
        node = v.node
        if rounds.zero:
            node = self.builder.add(
                f"{v.node}_centred", Shifted(-rounds.zero, exact(low, high, "centred")), v.node
            )
        kind: Any = Codes(low, high, rounds.zero)
        if operation.op != "QuantizeLinear":
            kind = Reals(low, high, (Times(rounds.scales),), zero=rounds.zero)
        self.entries[name] = rounds, replace(v, node=node, kind=kind)
        return self.entries[name][1]


def _ends(low: int, high: int) -> tuple[int, int]:
    """(lowest, highest) integer of the smallest format that holds low..high."""
    format = QFormat.enclosing(low, high, 0, signed=low < 0)
    return format.int_min, format.int_max
