# SPDX-License-Identifier: MIT
"""Conversion of a quantised ONNX or QONNX file to a network with the file's integers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.centred import Shifted
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact
from fixedpoint_nn.interchange.affine.quantizer import AffineQuantizer
from fixedpoint_nn.interchange.affine.rescale import Fitted
from fixedpoint_nn.interchange.onnx.doors import FLOATS, WHOLE, Door
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.folding import evaluated
from fixedpoint_nn.interchange.onnx.integers import operators  # noqa: F401 - fills the table
from fixedpoint_nn.interchange.onnx.integers.chain import Link, Times, Within, channels, signs
from fixedpoint_nn.interchange.onnx.integers.constants import ScaledConstant, scaled
from fixedpoint_nn.interchange.onnx.integers.hoisting import MOVES, QUANTISERS, REAL_ZERO, hoisted
from fixedpoint_nn.interchange.onnx.integers.lookup import chooses, is_index, rows
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Meaning, Reals, meaning
from fixedpoint_nn.interchange.onnx.integers.outputs import filed_output
from fixedpoint_nn.interchange.onnx.integers.qonnx import DOMAINS, bipolar, quant_rounds, quantised
from fixedpoint_nn.interchange.onnx.integers.quantizing import RANGES, dequantized, quantize_attributes
from fixedpoint_nn.interchange.onnx.integers.resizing import interpolates
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounds
from fixedpoint_nn.interchange.onnx.integers.runtime_kernels import of_constants
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import INTEGERS
from fixedpoint_nn.interchange.onnx.model import Declared, OnnxModel, OnnxOperation
from fixedpoint_nn.interchange.onnx.reader import OnnxConversion, Refusal, sample_by_sample
from fixedpoint_nn.interchange.onnx.runtime_domain import REASONS, with_parts
from fixedpoint_nn.interchange.onnx.step import OPERATORS, OnnxStep, Operand
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

MOST_IMAGES, MOST_VALUES = 64, 1 << 23  # samples at a time, and values of one layer of all of them
CONSTANT_MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Slice", "Gather")
FLOAT: Any = "float"
IDS: Any = "int"
_SEVERAL = (
    "its real numbers are floats, in an order that no integer kernel has; read the file as the float network that was "
    "quantised, by quantised=False or `fixedpoint-nn import --floats`"
)
INEXACT = dict.fromkeys(("LSTM", "GRU", "RNN"), _SEVERAL) | {
    "LogSoftmax": f"{_SEVERAL}; or, at the end, leave it out: softmax=False"
}
SOFTMAXES = "Softmax", "QLinearSoftmax", "LogSoftmax"
QUANTISED_ENDS = ("QuantizeLinear", "DequantizeLinear", "Identity")  # around a softmax at the end


@dataclass(frozen=True)
class Outlet(Door):
    """An output, with the meaning of its integers in the file."""

    meaning: Any = None

    def filed_values(self, ints: Any) -> Any:
        """The file's values of output integers, in the file's order of axes."""
        return self.outward(self.meaning.filed(ints))


@dataclass(frozen=True)
class ImportedIntegers:
    """A quantised network, with the correspondence of its inputs and outputs with the file's."""

    net: Quantized
    inputs: tuple[Door, ...]
    outputs: tuple[Outlet, ...]
    inside: tuple[Outlet, ...] = ()


def has_integers(model: OnnxModel) -> bool:
    """Whether the file computes with integers or quantises values."""
    computed = {declared.name for declared in model.inputs}
    for operation in model.operations:
        if computed.intersection(operation.inputs):
            computed.update(operation.outputs)
            if operation.op in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"):
                return True
            if operation.op.startswith(("QLinear", "QGemm", "DynamicQuantize")) or operation.op.endswith(
                "Integer"
            ):
                return True
        if operation.domain in DOMAINS:
            return True
    return False


def from_qonnx(
    source: str | os.PathLike[str] | bytes,
    *,
    input: Quantizer | Mapping[str, Quantizer] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    softmax: bool = True,
) -> Quantized:
    """The quantised network of a QONNX file (its path or its bytes).

    It takes floats, which the file's first quantiser rounds, and returns the file's integers. A file that does not
    quantise its input needs `input`, a quantizer, or one for each input by name. With `softmax=False` a softmax at the
    end is omitted. The other options are those of `from_onnx`. Raises `UnsupportedModel`.

    >>> fixed = from_qonnx("model.onnx", input=Quantizer(Q(2, 6)))  # doctest: +SKIP
    """
    model = read(source).only(outputs)
    return imported_integers(model, shapes=shapes, quantizers=input, softmax=softmax).net


def imported_integers(
    model: OnnxModel,
    *,
    batched: bool = True,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Any] | None = None,
    quantizers: Quantizer | Mapping[str, Quantizer] | None = None,
    softmax: bool = True,
) -> ImportedIntegers:
    """The conversion of any quantised file, with the correspondence of axes of inputs and outputs."""
    given: Mapping[str, Quantizer] = {}
    if isinstance(quantizers, Quantizer):
        given = {declared.name: quantizers for declared in model.inputs}
    elif quantizers is not None:
        given = quantizers
    if not softmax:
        model = _without_softmax(model)
    filed = {name for operation in model.operations for name in operation.outputs}
    early = hoisted(_plain_domains(model))
    found = sample_by_sample(
        lambda alone: IntegerConversion(early, batched, shapes or {}, constants or {}, given, alone),
        IntegerConversion.integers,
    )
    return replace(found, inside=tuple(door for door in found.inside if door.name in filed))


def _plain_domains(model: OnnxModel) -> OnnxModel:
    """The model with QONNX's quantisers in ONNX's domain, and onnxruntime's operators as their parts."""
    return replace(
        with_parts(model),
        operations=tuple(
            replace(o, domain="") if o.domain in DOMAINS else o for o in with_parts(model).operations
        ),
    )


def _without_softmax(model: OnnxModel) -> OnnxModel:
    """The model without a softmax at its end."""
    ends = {output.name for output in model.outputs}
    kept, instead = [], {}
    makers = {name: operation for operation in model.operations for name in operation.outputs}
    for name in list(ends):
        maker, passed = makers.get(name), name
        while maker is not None and maker.op in (*QUANTISED_ENDS, *SOFTMAXES):
            passed = maker.inputs[0]
            if maker.op in SOFTMAXES:
                instead[name] = passed
            maker = makers.get(passed)
    kept = [replace(output, name=instead.get(output.name, output.name)) for output in model.outputs]
    return replace(model, outputs=tuple(kept)).only(None)


class IntegerConversion(OnnxConversion):
    """The state of the conversion of a quantised file; values carry the meaning of their integers."""

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

    def integers(self) -> ImportedIntegers:
        """Convert everything; raises `UnsupportedModel`."""
        found = self.run()
        for door in found.inputs:
            if door.name in self.ids:
                format = QFormat.enclosing(0, self.rows - 1, 0, signed=False)
                self.quantizers[door.node] = Quantizer(
                    format, Rounding.HALF_EVEN, Overflow.SATURATE, door.name
                )
        bare = [door.name for door in found.inputs if door.node not in self.quantizers]
        if bare:
            reason = (
                "it is floats that no quantiser takes; say how they are rounded: "
                f"from_qonnx(path, input=Quantizer(Q(2, 14))), or quantise {bare[0]!r} in the file"
            )
            raise UnsupportedModel.of(
                "node", [Refusal(name, "input", reason, name) for name in bare], "imported"
            )
        values = [v for v in self.operands.values() if isinstance(v, OnnxValue)]
        largest = max((prod(v.sample) for v in values), default=1)
        rows = min(max(MOST_VALUES // max(largest, 1), 1), MOST_IMAGES)
        first, *further = (self.quantizers[door.node] for door in found.inputs)
        shape = found.inputs[0].sample if len(found.inputs) == 1 else None
        net = Quantized(found.net, first, rows, tuple(further), shape)
        outlets = tuple(
            Outlet(door.name, door.node, door.axes, door.dims, self.results[door.name])
            for door in found.outputs
        )
        kinds = {name: v.kind for name, v in self.operands.items() if isinstance(v, OnnxValue)}
        inside = tuple(
            Outlet(door.name, door.node, door.axes, door.dims, kinds[door.name])
            for door in found.inside
            if isinstance(kinds.get(door.name), Codes | Reals)
            and door.name not in self.hidden
            and door.axes[0] is not None
        )
        return ImportedIntegers(net, found.inputs, outlets, inside)

    # ---- nodes --------------------------------------------------------------------------------------------

    def _supports(self, operation: OnnxOperation) -> bool:
        return (operation.op in INTEGERS or operation.op in MOVES) and not operation.domain

    def _is_defined(self, operation: OnnxOperation) -> bool:
        return False  # the runtime computes it with floats

    def _unknown(self, operation: OnnxOperation) -> str:
        if operation.op in REASONS or operation.domain:
            return super()._unknown(operation)
        return INEXACT.get(operation.op, "it has no exact form for integers")

    def _results(
        self, operation: OnnxOperation, operands: list[Operand], supported: bool
    ) -> Sequence[Operand]:
        """The results of a node: constants, integers with their meaning, or what the float converter makes of them."""
        values = [operand for operand in operands if isinstance(operand, OnnxValue)]
        if operation.outputs and operation.outputs[0] in self.done:
            return [operands[0]]
        if not values:
            return self._constant(operation, operands)
        if operation.op in ("Shape", "Size"):
            return super()._results(operation, operands, supported)
        if operation.op in REASONS:
            raise Refused(REASONS[operation.op])
        if operation.domain:
            raise Refused(self._unknown(operation))
        if operation.op == "Gather" and chooses(operands):
            step = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
            self.rows = max(self.rows, len(np.asarray(operands[0])))
            return [rows(step)]
        if operation.op in QUANTISERS and values[0].kind == "float" and values[0] is operands[0]:
            return [self._entry(operation, operands)]
        if operation.op in INTEGERS and (operation.op not in MOVES or interpolates(operation)):
            rounding, between = self._following(operation)
            step = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
            step.rounding, step.between = rounding, between
            result = INTEGERS[operation.op].convert(step)
            if isinstance(result, OnnxValue) and isinstance(result.kind, Codes) and rounding is not None:
                self._skip(operation)
                if self._chain(operation)[-1].op != "QuantizeLinear":
                    codes = result.kind
                    worth: Any = Reals(codes.low, codes.high, (Times(rounding.scales),), zero=codes.zero)
                    result = replace(result, kind=worth)
        elif operation.op in MOVES:
            step = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
            result = self._moved(step, values[0])
        else:
            raise Refused(self._unknown(operation))
        step.check_attributes()
        return [result] if isinstance(result, OnnxValue | np.ndarray) else list(result)

    def _constant(self, operation: OnnxOperation, operands: list[Operand]) -> Sequence[Operand]:
        """The results of a node with constant operands only, which keep integers and scales apart."""
        step = OnnxStep(operation, operands, self.builder, self.model.opset, self.free)
        match operation.op:
            case "DequantizeLinear":
                return [dequantized(step)]
            case "Quant":
                return [quantised(step)]
            case "BipolarQuant":
                return [bipolar(step)]
            case "QLinearAdd" | "QLinearMul":
                alone = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
                return [of_constants(alone)]
        first = operands[0] if operands else None
        parts = scaled(first) if isinstance(first, ScaledConstant) else None
        if parts is not None and operation.op in CONSTANT_MOVES:
            arrays: list[Any] = list(operands)
            ints, scales = (evaluated(operation, [part, *arrays[1:]], self.model.opset)[0] for part in parts)
            return [ScaledConstant.of(ints, scales)]
        return super()._results(operation, operands, True)

    def _moved(self, step: IntegerStep, v: OnnxValue) -> Any:
        """The result of an operator that only moves elements, by the converter of the float operator."""
        kind: Any = meaning(v)
        pooled = step.operation.op in ("MaxPool", "GlobalMaxPool", "ReduceMax")
        if isinstance(kind, Reals):
            if pooled and not (signs(kind.chain) > 0).all():
                raise Refused("it takes the maximum of values with a negative scale; quantise them before")
            if not pooled and channels(kind.chain) > 1:
                raise Refused("it moves channels that have scales of their own; quantise them before")
        attributes = dict(step.operation.attributes)
        if step.operation.op == "Pad":
            real = attributes.pop(REAL_ZERO, None) or isinstance(kind, Reals)
            given = step.optional(2, "value")
            value = 0 if given is None or not np.size(given) else np.ravel(given)[0]
            if attributes.get("mode", "constant") == "constant" and value != (0 if real else kind.zero):
                raise Refused(f"it pads with {value}, and zeros, or the zero point, are supported")
            kind = replace(kind, low=min(kind.low, 0), high=max(kind.high, 0))
            step.operands = [*step.operands[:2], None, *step.operands[3:]]
        step.operation = replace(step.operation, attributes=attributes)
        step.operands = [replace(x, kind=FLOAT) if isinstance(x, OnnxValue) else x for x in step.operands]
        result = OPERATORS[step.operation.op].convert(step)
        if isinstance(result, OnnxValue):
            return replace(result, kind=kind)
        return [replace(one, kind=kind) if isinstance(one, OnnxValue) else one for one in result]

    # ---- quantisers ---------------------------------------------------------------------------------------

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

    def _output(self, declared: Declared) -> Door | None:
        """Add an output of the file; values that are no integers or have no exact form are refused."""
        operand = self.operands.get(declared.name)
        if not isinstance(operand, OnnxValue) or not isinstance(operand.kind, Codes | Reals):
            if isinstance(operand, OnnxValue):
                self.refusals.append(Refusal(declared.name, "output", "it is no integer"))
                return None
            return super()._output(declared)
        try:
            made = filed_output(self.builder, operand)
        except (Refused, Unsuited) as reason:
            self.refusals.append(Refusal(declared.name, "output", str(reason)))
            return None
        self.results[declared.name] = made.kind
        self.operands[f"{declared.name} as filed"] = made
        operands, self.operands = self.operands, {declared.name: made}
        try:
            return super()._output(declared)
        finally:
            self.operands = operands


def _ends(low: int, high: int) -> tuple[int, int]:
    """(lowest, highest) integer of the smallest format that holds low..high."""
    format = QFormat.enclosing(low, high, 0, signed=low < 0)
    return format.int_min, format.int_max
