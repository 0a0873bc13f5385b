# SPDX-License-Identifier: MIT
"""Conversion of an ONNX file to a graph of layers, node by node."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.interchange.onnx import operators  # noqa: F401 - fills the table
from fixedpoint_nn.interchange.onnx.builder import GraphBuilder
from fixedpoint_nn.interchange.onnx.classical import DOMAIN, GIVE_LABELS, LABELS
from fixedpoint_nn.interchange.onnx.definitions import DEFINED, definition
from fixedpoint_nn.interchange.onnx.doors import FLOATS, WHOLE, Door, arrangement, fixed_input
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.folding import computed
from fixedpoint_nn.interchange.onnx.masks import Masked
from fixedpoint_nn.interchange.onnx.model import Branch, Declared, OnnxError, OnnxModel, OnnxOperation
from fixedpoint_nn.interchange.onnx.runtime_domain import REASONS
from fixedpoint_nn.interchange.onnx.step import OPERATORS, OnnxStep, Operand
from fixedpoint_nn.interchange.onnx.tidying import tidy
from fixedpoint_nn.interchange.onnx.value import BATCH, JOINED, OnnxValue, Refused
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from fixedpoint_nn.layers import Graph, Node
from fixedpoint_nn.numerics.arrays import Array

Made = TypeVar("Made")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Refusal:
    """A node that cannot be converted, with the reason; `wants` is an input that would have to be constant."""

    node: str
    operator: str
    reason: str
    wants: str = ""

    def __str__(self) -> str:
        return f"{self.node!r} ({self.operator}): {self.reason}"


@dataclass(frozen=True)
class Imported:
    """A graph of layers, with the correspondence of its inputs and outputs with the file's."""

    net: Graph
    inputs: tuple[Door, ...]
    outputs: tuple[Door, ...]
    inside: tuple[Door, ...] = ()  # every value of the file that a node of the graph computes


def imported(
    source: str | os.PathLike[str] | bytes,
    *,
    batched: bool = True,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    constants: Mapping[str, ArrayLike] | None = None,
) -> Imported:
    """The float network of a file, with the correspondence of axes of inputs and outputs.

    `constants` fixes inputs, such as weights; the other options are those of `from_onnx`.
    """
    return converted(read(source).only(outputs), batched, shapes, constants)


def converted(
    model: OnnxModel,
    batched: bool = True,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, ArrayLike] | None = None,
) -> Imported:
    """The same of a model that is read."""
    return sample_by_sample(
        lambda alone: OnnxConversion(model, batched, shapes or {}, constants or {}, alone), OnnxConversion.run
    )


def sample_by_sample(make: Callable[[bool], Made], run: Callable[[Made], Result]) -> Result:
    """Everything converted, or `UnsupportedModel`.

    Where the file joins the batch with other axes, as attention with several heads does, each sample is a batch
    of one: that is what the file computes of it, and nothing is joined.
    """
    try:
        return run(make(False))
    except UnsupportedModel as first:
        if not any(refusal.reason == JOINED for refusal in first.refusals):
            raise
        try:
            return run(make(True))
        except UnsupportedModel as still:
            if all(refusal.operator == "output" and refusal.reason == JOINED for refusal in still.refusals):
                raise first from None  # which says the nodes that join it
            raise still from None


class OnnxConversion:
    """The state of one conversion: the operands and nodes so far."""

    def __init__(
        self,
        model: OnnxModel,
        batched: bool,
        shapes: Mapping[str, Sequence[int]],
        constants: Mapping[str, ArrayLike],
        alone: bool = False,
    ) -> None:
        self.batched, self.alone = batched, alone
        known = [declared.name for declared in model.inputs]
        for name in (*shapes, *constants):
            if name not in known:
                raise OnnxError(f"the model has no input {name!r}; its inputs are {', '.join(known)}")
        open_ = tuple(declared for declared in model.inputs if declared.name not in constants)
        self.model = replace(model, inputs=open_)  # a constant says nothing about the batch
        self.operands: dict[str, Operand] = dict(model.constants)
        self.operands |= {
            declared.name: fixed_input(declared, constants[declared.name])
            for declared in model.inputs
            if declared.name in constants
        }
        self.builder = GraphBuilder()
        self.refusals: list[Refusal] = []
        self.sizes: set[str] = set()  # values that are computed from the shapes of refused nodes
        self.hidden: set[str] = set()  # values in branches, which the file's runtime does not show
        self.inputs: list[Door] = []
        used = {name for operation in model.operations for name in operation.inputs}
        used.update(output.name for output in model.outputs)
        self.at_once = self._at_once(shapes)
        for declared in open_:
            if declared.name in used:
                self._input(declared, shapes.get(declared.name))
        self.free = frozenset(door.name for door in self.inputs)

    def _at_once(self, shapes: Mapping[str, Sequence[int]]) -> int:
        """The batch of inputs that leave it open: the one that `shapes` gives to the others, else any size."""
        found = set()
        for declared in self.model.inputs:
            axis = arrangement(self.model, declared, self.batched)[0]
            if axis is not None and len(shapes.get(declared.name, ())) == len(declared.axes):
                found.add(int(shapes[declared.name][axis]))
        return found.pop() if len(found) == 1 else BATCH

    def _input(self, declared: Declared, given: Sequence[int] | None) -> None:
        """Add an input of the file as an input of the graph, with its axes rearranged."""
        axes = arrangement(self.model, declared, self.batched)
        dims = list(declared.axes) if given is None else [int(size) for size in given]
        if len(dims) != len(declared.axes):
            raise OnnxError(
                f"input {declared.name!r} has {len(declared.axes)} axes, and shapes says {len(dims)}"
            )
        kind = "float" if declared.type in FLOATS else "int" if declared.type in WHOLE else ""
        try:
            if not kind:
                raise Refused(
                    f"an input of {declared.type} is not supported, only tensors of floats and whole numbers"
                )
            for axis, size in enumerate(dims):
                if isinstance(size, str) and axis == axes[0]:
                    dims[axis] = 1 if self.alone else self.at_once
                elif isinstance(size, str):
                    open_ = f"axis {axis} ({size!r})" if size else f"axis {axis}"
                    raise Refused(
                        f"its {open_} has no size in the file; give its shape: shapes={{{declared.name!r}: (...)}}, or "
                        f"--shape {declared.name}=... on the command line"
                    )
            node = self.builder.free(declared.name)
            sizes = tuple(int(size) for size in dims)
            self.operands[declared.name] = OnnxValue(node, sizes, axes, kind)
            self.inputs.append(Door(declared.name, node, axes, sizes))
        except Refused as refused:
            self.refusals.append(Refusal(declared.name, "input", refused.reason, declared.name))

    def run(self) -> Imported:
        """Convert everything; raises `UnsupportedModel`."""
        for operation in self.model.operations:
            self._convert(operation)
        outputs = [self._output(declared) for declared in self.model.outputs]
        if self.refusals:
            raise UnsupportedModel.of("node", self.refusals, "imported")
        doors = [door for door in outputs if door is not None]
        parts, instead = tidy(self.builder.parts, [door.node for door in doors])
        doors = [replace(door, node=instead.get(door.node, door.node)) for door in doors]
        taken = {name for node in parts.values() for name in node.takes} | {door.node for door in doors}
        inputs = tuple(door for door in self.inputs if door.node in taken)
        net = Graph(parts, tuple(door.node for door in inputs), tuple(door.node for door in doors))
        return Imported(net, inputs, tuple(doors), self._inside(parts, instead))

    def _inside(self, parts: Mapping[str, Node], instead: Mapping[str, str]) -> tuple[Door, ...]:
        """The inner values of the file; a product that absorbed other nodes has the value of the last of them."""
        last = {node: name for name, node in instead.items()}
        given = {name: name for name in parts if name not in last} | {
            name: node for node, name in last.items()
        }
        return tuple(
            Door(name, given[value.node], value.axes, value.dims)
            for name, value in self.operands.items()
            if isinstance(value, OnnxValue)
            and value.node in given
            and name not in self.hidden
            and not isinstance(value.kind, Masked)
        )

    def _convert(self, operation: OnnxOperation) -> None:
        """Convert one node, or record why it is refused; a node whose operands were refused is skipped."""
        if operation.op == "If" and not operation.domain:
            self._choose(operation)
            return
        try:
            supported = self._supports(operation) or self._is_defined(operation)
            operands: list[Operand] = []
            for name in operation.inputs:
                if name and name not in self.operands:  # its node was refused
                    if not supported and operation.op != "Shape" and name not in self.sizes:
                        raise Refused(self._unknown(operation))
                    if operation.op == "Shape" or name in self.sizes:
                        self.sizes.update(operation.outputs)
                    return
                operands.append(self.operands[name] if name else None)
            if self._is_defined(operation) and any(isinstance(x, OnnxValue) for x in operands):
                self._convert_inside(definition(operation, operands, self.model.opset), operation)
                return
            with np.errstate(all="ignore"):
                results = self._results(operation, operands, supported)
        except Refused as refused:
            self.refusals.append(Refusal(operation.name, operation.op, refused.reason, refused.wants))
            return
        except (TypeError, ValueError, IndexError, KeyError, ArithmeticError) as error:  # a broken file
            reason = f"it is not as its specification says: {' '.join(str(error).split())[:200]}"
            self.refusals.append(Refusal(operation.name, operation.op, reason))
            return
        for name, result in zip(operation.outputs, results, strict=False):
            if name:
                self.operands[name] = result
        missing = [name for name in operation.outputs[len(results) :] if name]
        if missing:
            reason = f"its output {len(results)} ({missing[0]!r}) is not computed"
            self.refusals.append(Refusal(operation.name, operation.op, reason))

    def _choose(self, operation: OnnxOperation) -> None:
        """Convert the branch of an If that its condition chooses, which is a constant."""
        condition = operation.inputs[0] if operation.inputs else ""
        if condition not in self.operands:  # its node was refused
            return
        chosen = self.operands[condition]
        if not isinstance(chosen, np.ndarray) or chosen.size != 1:
            reason = f"its condition ({condition!r}) is computed, and must be constant"
            wants = condition if condition in self.free else ""
            self.refusals.append(Refusal(operation.name, operation.op, reason, wants))
            return
        branch = operation.attributes.get("then_branch" if chosen.any() else "else_branch")
        if not isinstance(branch, Branch) or len(branch.outputs) < len(operation.outputs):
            reason = "it is not as its specification says: a branch lacks results"
            self.refusals.append(Refusal(operation.name, operation.op, reason))
            return
        self._convert_inside(branch, operation)

    def _convert_inside(self, branch: Branch, operation: OnnxOperation) -> None:
        """Convert the operations that stand for this one."""
        self.operands.update(branch.constants)
        for inner in branch.operations:
            self.hidden.update(inner.outputs)
            self._convert(inner)
        names = [name for name in operation.outputs if name]
        for name, result in zip(names, branch.outputs, strict=False):
            if result in self.operands:
                self.operands[name] = self.operands[result]

    def _supports(self, operation: OnnxOperation) -> bool:
        """Whether there is a converter for this kind of node."""
        return operation.op in OPERATORS and not operation.domain

    def _is_defined(self, operation: OnnxOperation) -> bool:
        """Whether such nodes are read as the operators that define them."""
        return operation.op in DEFINED and not operation.domain

    def _results(
        self, operation: OnnxOperation, operands: list[Operand], supported: bool
    ) -> Sequence[Operand]:
        """The results of a node: constants where all operands are constant, else layers."""
        values = [operand for operand in operands if isinstance(operand, OnnxValue)]
        if operation.op == "Shape" and values:
            first, last = operation.attributes.get("start", 0), operation.attributes.get("end")
            return [np.array(values[0].dims[first:last], np.int64)]
        if operation.op == "Size" and values:
            return [np.array(int(np.prod(values[0].dims, dtype=np.int64)))]
        if not values and not operation.domain:
            arrays: list[Array | None] = [x for x in operands if not isinstance(x, OnnxValue)]
            return computed(operation, arrays, self.model.opset)
        if not supported:
            raise Refused(self._unknown(operation))
        step = OnnxStep(operation, operands, self.builder, self.model.opset, self.free)
        result = OPERATORS[operation.op].convert(step)
        step.check_attributes()
        return [result] if isinstance(result, OnnxValue | np.ndarray) else list(result)

    def _output(self, declared: Declared) -> Door | None:
        """The correspondence of an output; None if it was refused."""
        operand = self.operands.get(declared.name)
        if operand is None:
            return None
        if not isinstance(operand, OnnxValue):
            self.refusals.append(Refusal(declared.name, "output", "it is a constant"))
            return None
        if isinstance(operand.kind, Masked):
            self.refusals.append(Refusal(declared.name, "output", "it has elements of minus infinity"))
            return None
        if operand.batch is None and operand.dims[:1] == (1,) and (self.alone or self._takes_one()):
            operand = self.builder.with_batch(operand, 0)
        at = operand.batch
        if self.alone and (at is None or (declared.axes and isinstance(declared.axes[at], int))):
            self.refusals.append(Refusal(declared.name, "output", JOINED))  # it has no batch axis
            return None
        if operand.order != (*range(2, len(operand.dims)), 1) or operand.batch != 0:
            operand = self.builder.plain(operand)
        return Door(declared.name, operand.node, operand.axes, operand.dims)

    def _takes_one(self) -> bool:
        """Whether the file takes one sample at a time, so that its other axes may be joined with the batch's."""
        return all(door.axes[0] is not None and door.dims[door.axes[0]] == 1 for door in self.inputs)

    def _unknown(self, operation: OnnxOperation) -> str:
        """Why there is no layer for such nodes."""
        if operation.op in REASONS:
            return REASONS[operation.op]
        if operation.domain == DOMAIN and operation.op in GIVE_LABELS:
            return LABELS
        if operation.domain:
            return f"operators of the domain {operation.domain!r} are not supported"
        return "the operator is not supported"
