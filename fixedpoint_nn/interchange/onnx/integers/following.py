# SPDX-License-Identifier: MIT
"""The quantiser that follows an operation, and what stands between; a node that computes both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.integers.chain import Link, Within
from fixedpoint_nn.interchange.onnx.integers.meaning import Meaning
from fixedpoint_nn.interchange.onnx.integers.qonnx import quant_rounds
from fixedpoint_nn.interchange.onnx.integers.quantizing import quantize_attributes
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounds
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.model import OnnxModel, OnnxOperation
from fixedpoint_nn.interchange.onnx.reader import OnnxConversion
from fixedpoint_nn.interchange.onnx.step import OnnxStep, Operand
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.quantizer import Quantizer


class FollowedConversion(OnnxConversion):
    """A conversion whose nodes may compute the quantiser behind them, too."""

    def __init__(
        self,
        model: OnnxModel,
        batched: bool,
        shapes: Mapping[str, Sequence[int]],
        constants: Mapping[str, Any],
        given: Mapping[str, Quantizer],
        alone: bool = False,
    ) -> None:
        self.quantizers: dict[str, Quantizer] = {}
        self.entries: dict[str, tuple[Rounds, OnnxValue]] = {}
        self.done: set[str] = set()  # outputs whose rounding the node before has computed
        self.hidden: set[str] = set()  # values that no node computes, because their rounding is fused
        self.ids: set[str] = set()  # inputs that choose rows of a table
        self.rows = 1  # of the largest table
        self.given = given
        self.results: dict[str, Meaning] = {}
        super().__init__(model, batched, shapes, constants, alone)
        self.users = model.users()

    def _rounds(self, step: OnnxStep) -> Rounds:
        if step.operation.op == "QuantizeLinear":
            return quantize_attributes(step)[0]
        if step.operation.op == "BipolarQuant":
            raise Refused(
                "it rounds an input to its sign; give `input`, a quantizer for what comes before it"
            )
        return quant_rounds(step, tuple(np.ravel(step.constant(1, "scales")).astype(float).tolist()))

    def _following(self, operation: OnnxOperation) -> tuple[Rounds | None, tuple[Link, ...]]:
        """(quantiser that is the only consumer of the result, clipping before it)."""
        links: list[Link] = []
        for taker in self._chain(operation):
            operands: list[Operand] = [self.operands.get(name) if name else None for name in taker.inputs]
            if any(
                operand is None and name for operand, name in zip(operands[1:], taker.inputs[1:], strict=True)
            ):
                return None, ()
            step = IntegerStep(taker, operands, self.builder, self.model.opset, self.free)
            try:
                if taker.op == "Relu":
                    links.append(Within(0.0))
                    continue
                if any(isinstance(operand, OnnxValue) for operand in operands[1:]):
                    return None, ()
                rounds = self._rounds(step)
                return (rounds if len(rounds.scales) == 1 else None), tuple(links)
            except Refused:
                return None, ()
        return None, ()

    def _chain(self, operation: OnnxOperation) -> list[OnnxOperation]:
        """The operations up to the next quantiser, if each is the only consumer of the one before."""
        found: list[OnnxOperation] = []
        ends = {output.name for output in self.model.outputs}
        name = operation.outputs[0]
        while name not in ends and len(self.users.get(name, [])) == 1:
            (taker,) = self.users[name]
            if taker.inputs[0] != name or taker.op not in ("Relu", "QuantizeLinear", "Quant"):
                break
            found.append(taker)
            if taker.op != "Relu":
                return found
            name = taker.outputs[0]
        return []

    def _skip(self, operation: OnnxOperation) -> None:
        """Mark the operations up to the quantiser as computed."""
        self.hidden.add(operation.outputs[0])
        for taker in self._chain(operation):
            self.done.add(taker.outputs[0])
            if taker.op == "Relu":
                self.hidden.add(taker.outputs[0])
