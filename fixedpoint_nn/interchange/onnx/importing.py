# SPDX-License-Identifier: MIT
"""`from_onnx`: the network of an ONNX file, over floats or quantised."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from fixedpoint_nn.interchange.onnx.as_floats import as_floats
from fixedpoint_nn.interchange.onnx.dynamic import with_real_values
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.conversion import ImportedIntegers
from fixedpoint_nn.interchange.onnx.integers.reader import has_integers, imported_integers
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
    constants: Mapping[str, ArrayLike] | None = None,
    outputs: Sequence[str] | None = None,
    batched: bool = True,
    input: Quantizer | Mapping[str, Quantizer] | None = None,
    softmax: bool = True,
    quantised: bool = True,
) -> Graph | Quantized:
    """The network of an ONNX file (its path or its bytes): a graph of float layers, or a quantised network.

    Axis 0 of every input is the batch; with `batched=False` the file's arrays are single samples, and a batch axis is
    added. Images are (batch, height, width, channels), whatever their order in the file; sequences of an LSTM, GRU or
    RNN are (batch, time, features). `shapes` gives sizes that the file leaves open, in the file's order: `shapes={"x":
    (1, 3, 32, 32)}`. `constants` fixes inputs, such as a sampling rate: `constants={"sr": 16000}`. `outputs` selects
    outputs by name, or values inside of the file, and what only other outputs need is not read.

    A file with QuantizeLinear, QLinearConv, ConvInteger, QONNX's Quant, ... becomes a quantised network with the
    file's integers. `input` is the quantizer of inputs that the file does not quantise. With `softmax=False` a softmax
    at the end is omitted. With `quantised=False` a file with QuantizeLinear and DequantizeLinear becomes the float
    network that was quantised, whose values keep the quantisers' ranges: for operators that have no exact form for
    integers, such as an LSTM between quantisers, and for files whose scales depend on the data
    (DynamicQuantizeLinear), whose weights are dequantised.

    Raises `UnsupportedModel`, which names every node that cannot be converted.

    >>> net = from_onnx("model.onnx")  # doctest: +SKIP
    >>> y = net(images)  # doctest: +SKIP
    """
    found: Any = any_kind(
        source,
        shapes=shapes,
        constants=constants,
        outputs=outputs,
        batched=batched,
        input=input,
        softmax=softmax,
        quantised=quantised,
    )
    net: Graph | Quantized = found.net
    return net


def any_kind(
    source: str | os.PathLike[str] | bytes,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, ArrayLike] | None = None,
    outputs: Sequence[str] | None = None,
    batched: bool = True,
    input: Quantizer | Mapping[str, Quantizer] | None = None,
    softmax: bool = True,
    quantised: bool = True,
) -> Imported | ImportedIntegers:
    """Like `from_onnx`, with the correspondence of axes of inputs and outputs."""
    whole = read(source)
    own = restored(whole, lambda net, sizes: read(model_of(net, "float64", sizes).SerializeToString()))
    if own is not None:
        return own
    model = whole.only(outputs)
    if not quantised:
        return converted(as_floats(with_real_values(model)), batched, shapes, constants)
    if has_integers(model):
        return imported_integers(
            model, batched=batched, shapes=shapes, constants=constants, quantizers=input, softmax=softmax
        )
    return converted(model, batched, shapes, constants)
