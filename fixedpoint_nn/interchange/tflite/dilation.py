# SPDX-License-Identifier: MIT
"""SPACE_TO_BATCH_ND, convolutions, BATCH_TO_SPACE_ND: how TensorFlow writes a dilated convolution.

Of an image, each batch has every n-th pixel. So the image stays whole here, padded, and a convolution between the two
operators has n times its dilation; what acts on each pixel alone stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.numerics.arrays import Ints

CONVOLUTIONS = "CONV_2D", "DEPTHWISE_CONV_2D"
RESHAPES = "RESHAPE", "SQUEEZE", "EXPAND_DIMS"
BY_PIXEL = (
    "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "PRELU", "ELU", "GELU", "HARD_SWISH", "LOGISTIC",
    "TANH", "ABS", "NEG", "EXP", "LOG", "RSQRT", "SQRT", "SQUARE", "QUANTIZE", "DEQUANTIZE", "SOFTMAX", "ADD", "SUB",
    "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE",
)  # fmt: skip
SAME, VALID = 0, 1
MOST_BLOCK = 1 << 10
Block = tuple[int, ...]  # of each axis between the batch and the channels


def with_dilations(model: TfliteModel) -> TfliteModel:
    """The model without batches of every n-th pixel."""
    if not any(operator.kind == "SPACE_TO_BATCH_ND" for operator in model.operators):
        return model
    return _Rewritten(model).model()


class _Rewritten:
    """The rewritten operators so far, and the whole images that stand for batches of pixels."""

    def __init__(self, model: TfliteModel) -> None:
        self.source = model
        self.tensors = list(model.tensors)
        self.operators: list[TfliteOperator] = []
        self.whole: dict[int, tuple[int, Block]] = {}  # by tensor: the one that stands for it, and its block

    def model(self) -> TfliteModel:
        """All operators rewritten; raises Unsuited."""
        for operator in self.source.operators:
            if operator.kind == "SPACE_TO_BATCH_ND":
                self._begin(operator)
            elif not self.whole.keys() & set(operator.inputs):
                self.operators.append(operator)
            elif operator.kind == "BATCH_TO_SPACE_ND":
                self._end(operator)
            else:
                self._inside(operator)
        if self.whole.keys() & set(self.source.outputs):
            raise Unsuited("ends between a SPACE_TO_BATCH_ND and its BATCH_TO_SPACE_ND")
        return replace(self.source, tensors=tuple(self.tensors), operators=tuple(self.operators))

    def _begin(self, operator: TfliteOperator) -> None:
        """A padding."""
        image, block, edges = self._about(operator)
        if operator.inputs[0] in self.whole or image.shape[0] != 1:
            raise Unsuited(f"{_called(operator, self.tensors)} of several batches")
        sizes = [size + int(edge.sum()) for size, edge in zip(image.shape[1:-1], edges, strict=True)]
        if any(size % n for size, n in zip(sizes, block, strict=True)):
            raise Unsuited(
                f"{_called(operator, self.tensors)} of {sizes} places, and takes every {list(block)}"
            )
        padded = self._stands_for(operator.outputs[0], block)
        self._pad(operator, operator.inputs[0], padded, edges)

    def _end(self, operator: TfliteOperator) -> None:
        """A slice."""
        source, block, crops = self._about(operator)
        whole, found = self.whole[source.index]
        result = self.tensors[operator.outputs[0]]
        if found != block or result.shape[:1] != (1,):
            raise Unsuited(
                f"{_called(operator, self.tensors)} of blocks {list(block)}, and has {list(found)}"
            )
        begins = self._constant(np.array([0, *crops[:, 0], 0]))
        sizes = self._constant(np.array(result.shape))
        self._add(operator, "SLICE", (whole, begins, sizes), result.index)

    def _inside(self, operator: TfliteOperator) -> None:
        """The same operator of whole images."""
        given = {place: self.whole[place] for place in operator.inputs if place in self.whole}
        blocks = {block for _, block in given.values()}
        block = blocks.pop()
        kind = operator.kind
        fits = (
            not blocks
            and len(operator.outputs) == 1
            and all(place in given or self._for_each_pixel(place) for place in operator.inputs[1:])
        )
        inputs = tuple(given[place][0] if place in given else place for place in operator.inputs)
        if kind in CONVOLUTIONS and not blocks and operator.inputs[0] in given:
            self._convolution(operator, inputs, block)
        elif kind in RESHAPES and not blocks:
            result = self._stands_for(operator.outputs[0], self._moved(operator, block))
            self._add(operator, "RESHAPE", inputs[:1], result)
        elif fits and (kind in BY_PIXEL or (kind == "CONCATENATION" and self._joins_channels(operator))):
            self._add(operator, kind, inputs, self._stands_for(operator.outputs[0], block))
        else:
            raise Unsuited(
                f"{_called(operator, self.tensors)} between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, where "
                "convolutions with a stride of 1 and operators on each pixel can be"
            )

    def _convolution(self, operator: TfliteOperator, inputs: tuple[int, ...], block: Block) -> None:
        """A convolution with a larger dilation; padding becomes an operator of its own."""
        options = dict(operator.options)
        if len(block) != 2 or (options["StrideH"], options["StrideW"]) != (1, 1):
            raise Unsuited(f"{_called(operator, self.tensors)} with a stride, on every {list(block)} pixels")
        if options["Padding"] == SAME:
            kernel = self.tensors[inputs[1]].shape[1:3]
            dilation = options["DilationHFactor"], options["DilationWFactor"]
            reach = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
            edges = np.array(
                [(all_ // 2 * n, (all_ - all_ // 2) * n) for all_, n in zip(reach, block, strict=True)]
            )
            image = self.tensors[inputs[0]]
            sizes = [size + int(edge.sum()) for size, edge in zip(image.shape[1:-1], edges, strict=True)]
            padded = self._tensor(image, (1, *sizes, image.shape[-1]), "padded")
            self._pad(operator, inputs[0], padded, edges)
            inputs = (padded, *inputs[1:])
        options |= {
            "Padding": VALID,
            "DilationHFactor": options["DilationHFactor"] * block[0],
            "DilationWFactor": options["DilationWFactor"] * block[1],
        }
        result = self._stands_for(operator.outputs[0], block)
        self.operators.append(replace(operator, inputs=inputs, outputs=(result,), options=options))

    def _about(self, operator: TfliteOperator) -> tuple[TfliteTensor, Block, Ints]:
        """The operand, the block and the edges of one of the two operators."""
        source, block, edges = (self.tensors[place] for place in operator.inputs)
        axes = len(source.shape) - 2
        if (
            block.data is None
            or edges.data is None
            or block.data.shape != (axes,)
            or edges.data.shape != (axes, 2)
        ):
            raise Unsuited(f"{_called(operator, self.tensors)} by blocks that are not constant")
        if not 1 <= block.data.min() <= block.data.max() <= MOST_BLOCK or edges.data.min() < 0:
            raise Unsuited(f"{_called(operator, self.tensors)} by blocks of {block.data.tolist()}")
        return source, tuple(int(n) for n in block.data), edges.data.astype(np.int64)

    def _stands_for(self, place: int, block: Block) -> int:
        """The tensor of the whole image that stands for one of batches."""
        tensor = self.tensors[place]
        if not tensor.shape or tensor.shape[0] != prod(block):
            raise Unsuited(f"has {tensor.name!r} of shape {tensor.shape}, and blocks of {list(block)}")
        sizes = (size * n for size, n in zip(tensor.shape[1:-1], block, strict=True))
        made = self._tensor(tensor, (1, *sizes, tensor.shape[-1]), "whole")
        self.whole[place] = made, block
        return made

    def _moved(self, operator: TfliteOperator, block: Block) -> Block:
        """The block after an axis of length 1 came or went."""
        before = self.tensors[next(place for place in operator.inputs if place in self.whole)].shape[1:-1]
        after = self.tensors[operator.outputs[0]].shape[1:-1]
        longer, shorter = (before, after) if len(before) > len(after) else (after, before)
        for place, size in enumerate(longer):
            rest = longer[:place] + longer[place + 1 :]
            if size == 1 and rest == shorter and len(before) < len(after):
                return (*block[:place], 1, *block[place:])
            if size == 1 and rest == shorter and block[place] == 1:
                return block[:place] + block[place + 1 :]
        if before == after:
            return block
        raise Unsuited(f"{_called(operator, self.tensors)} of {before} to {after} between batches of pixels")

    def _for_each_pixel(self, place: int) -> bool:
        """Whether an operand is a constant for each channel."""
        return place == -1 or (
            self.tensors[place].data is not None and not any(n > 1 for n in self.tensors[place].shape[:-1])
        )

    def _joins_channels(self, operator: TfliteOperator) -> bool:
        return operator.options["Axis"] in (-1, len(self.tensors[operator.outputs[0]].shape) - 1)

    def _pad(self, operator: TfliteOperator, source: int, result: int, edges: Ints) -> None:
        pads = self._constant(np.concatenate([np.zeros((1, 2)), edges, np.zeros((1, 2))]))
        self._add(operator, "PAD", (source, pads), result)

    def _add(self, operator: TfliteOperator, kind: str, inputs: Sequence[int], result: int) -> None:
        self.operators.append(replace(operator, kind=kind, inputs=tuple(inputs), outputs=(result,)))

    def _tensor(self, like: TfliteTensor, shape: Sequence[int], what: str) -> int:
        index = len(self.tensors)
        self.tensors.append(replace(like, index=index, name=f"{like.name} {what}", shape=tuple(shape)))
        return index

    def _constant(self, data: Ints) -> int:
        index, ints = len(self.tensors), data.astype(np.int32)
        made = TfliteTensor(index, f"constant {index}", ints.shape, "int32", (), (), 0, ints, False)
        self.tensors.append(made)
        return index


def _called(operator: TfliteOperator, tensors: Sequence[TfliteTensor]) -> str:
    return f"has a {operator.kind} ({tensors[operator.outputs[0]].name!r})"
