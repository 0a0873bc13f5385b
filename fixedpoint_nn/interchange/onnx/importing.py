# SPDX-License-Identifier: MIT
"""`from_onnx`: the network of an ONNX file, over floats, or quantised if the file is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.reader import ImportedIntegers, has_integers, imported_integers
from fixedpoint_nn.interchange.onnx.own_file import restored
from fixedpoint_nn.interchange.onnx.reader import Imported, converted
from fixedpoint_nn.interchange.onnx.writer import model_of
from fixedpoint_nn.layers import Graph
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.quantizer import Quantizer


def from_onnx(
    source: str | os.PathLike[str] | bytes,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    batched: bool = True,
    input: Quantizer | Mapping[str, Quantizer] | None = None,
    softmax: bool = True,
) -> Graph | Quantized:
    """The network of an ONNX file (its path, or its bytes): a graph of float layers, or a quantised network.

    Axis 0 of every input is the batch; without `batched` the file's arrays are one sample, and the batch is a new
    axis before them. Images come in and go out as (batch, height, width, channels), whatever the file has; sequences
    of an LSTM, GRU or RNN as (batch, time, features). `shapes` gives the sizes of axes that the file leaves open, by
    input: `shapes={"x": (1, 3, 32, 32)}`, in the file's order. `outputs` chooses some of the file's outputs.

    A file that rounds to integers (QuantizeLinear, QLinearConv, ConvInteger, QONNX's Quant, ...) becomes a network
    of its integers. `input` quantises its inputs where the file does not, and without `softmax`, a softmax at the
    end is left out.
    """
    found: Any = any_kind(
        source, shapes=shapes, outputs=outputs, batched=batched, input=input, softmax=softmax
    )
    net: Graph | Quantized = found.net
    return net


def any_kind(
    source: str | os.PathLike[str] | bytes,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    batched: bool = True,
    input: Quantizer | Mapping[str, Quantizer] | None = None,
    softmax: bool = True,
) -> Imported | ImportedIntegers:
    """The same, with the arrangement of inputs and outputs."""
    whole = read(source)
    own = restored(whole, lambda net, sizes: read(model_of(net, "float64", sizes).SerializeToString()))
    if own is not None:
        return own
    model = whole.only(outputs)
    if has_integers(model):
        return imported_integers(model, batched=batched, shapes=shapes, quantizers=input, softmax=softmax)
    return converted(model, batched, shapes)
