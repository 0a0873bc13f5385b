# SPDX-License-Identifier: MIT
"""The zoo's networks in PyTorch, in float32 and in int8: how fast such a network can be on this processor.

Shapes and weights are the zoo's; scales of the int8 network come from the activations of the float one. Strided
convolutions pad on both sides here, so the numbers are not the zoo's: only the time is compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.timing import Engine
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.numerics.arrays import Array

FLOAT, INT8 = "PyTorch float32", "PyTorch int8"


class FloatOps:
    """Layers in float32; while `observing`, the largest value of each result is kept, for the int8 network."""

    def __init__(self, observing: bool = False) -> None:
        self.observing = observing
        self.largest: list[float] = []
        self.parameters: dict[int, Any] = {}

    def _seen(self, y: Any) -> Any:
        if self.observing:
            self.largest.append(float(y.abs().max()))
        return y

    def enter(self, x: Any) -> Any:
        """The network's input."""
        return self._seen(x)

    def conv(self, layer: Any, x: Any, relu: bool) -> Any:
        """A convolution, and ReLU."""
        import torch.nn.functional as F

        if id(layer) not in self.parameters:
            self.parameters[id(layer)] = _conv_parameters(layer)
        weight, bias, padding = self.parameters[id(layer)]
        y = F.conv2d(x, weight, bias, layer.stride, padding)
        return self._seen(F.relu_(y) if relu else y)

    def dense(self, layer: Any, x: Any, relu: bool) -> Any:
        """A dense layer, and ReLU."""
        import torch.nn.functional as F

        if id(layer) not in self.parameters:
            self.parameters[id(layer)] = _dense_parameters(layer)
        y = F.linear(x, *self.parameters[id(layer)])
        return self._seen(F.relu_(y) if relu else y)

    def add_relu(self, x: Any, y: Any) -> Any:
        """max(x + y, 0)."""
        return self._seen((x + y).relu_())


class Int8Ops:
    """The same layers in int8, by PyTorch's own kernels."""

    def __init__(self, largest: list[float]) -> None:
        self.largest, self.at = largest, 0
        self.packed: dict[int, Any] = {}

    def _scale(self) -> float:
        self.at += 1
        return max(self.largest[self.at - 1], 1e-6) / 127

    def enter(self, x: Any) -> Any:
        """The network's input, quantised."""
        import torch

        self.at = 0
        return torch.quantize_per_tensor(x, self._scale(), 128, torch.quint8)

    def conv(self, layer: Any, x: Any, relu: bool) -> Any:
        """A convolution, and ReLU."""
        import torch

        if id(layer) not in self.packed:
            weight, bias, padding = _conv_parameters(layer)
            arguments = (_int8(weight), bias, list(layer.stride), list(padding), [1, 1], 1)
            self.packed[id(layer)] = torch.ops.quantized.conv2d_prepack(*arguments)
        function = torch.ops.quantized.conv2d_relu if relu else torch.ops.quantized.conv2d
        return function(x, self.packed[id(layer)], self._scale(), 128)

    def dense(self, layer: Any, x: Any, relu: bool) -> Any:
        """A dense layer, and ReLU."""
        import torch

        if id(layer) not in self.packed:
            weight, bias = _dense_parameters(layer)
            self.packed[id(layer)] = torch.ops.quantized.linear_prepack(_int8(weight), bias)
        function = torch.ops.quantized.linear_relu if relu else torch.ops.quantized.linear
        return function(x, self.packed[id(layer)], self._scale(), 128)

    def add_relu(self, x: Any, y: Any) -> Any:
        """max(x + y, 0)."""
        import torch

        return torch.ops.quantized.add_relu(x, y, self._scale(), 128)


def _int8(weight: Any) -> Any:
    import torch

    return torch.quantize_per_tensor(weight, float(weight.abs().max()) / 127, 0, torch.qint8)


def _dense_parameters(layer: Any) -> tuple[Any, Any]:
    import torch

    weight, bias = layer.weight.data, layer.bias.data
    return torch.tensor(np.ascontiguousarray(weight.T)), torch.tensor(bias)


def _conv_parameters(layer: Any) -> tuple[Any, Any, tuple[int, int]]:
    """Weights as (outputs, inputs, rows, columns)."""
    import torch

    (kh, kw), weight = layer.kernel, layer.weight.data
    turned = weight.reshape(kh, kw, -1, weight.shape[-1]).transpose(3, 2, 0, 1)
    tensor = torch.tensor(np.ascontiguousarray(turned)).contiguous(memory_format=torch.channels_last)
    return tensor, torch.tensor(layer.bias.data), (kh // 2, kw // 2)


Ops = FloatOps | Int8Ops


def _mlp(net: Any, ops: Ops, x: Any) -> Any:
    x = ops.dense(net["fc1"], ops.enter(x.reshape(len(x), -1)), True)
    return ops.dense(net["fc3"], ops.dense(net["fc2"], x, True), False)


def _flat(x: Any) -> Any:
    return x.permute(0, 2, 3, 1).reshape(len(x), -1)


def _lenet(net: Any, ops: Ops, x: Any) -> Any:
    import torch.nn.functional as F

    x = F.max_pool2d(ops.conv(net["conv1"], ops.enter(x), True), 2)
    x = F.avg_pool2d(ops.conv(net["conv2"], x, True), 2)
    return ops.dense(net["fc2"], ops.dense(net["fc1"], _flat(x), True), False)


def _resnet8(net: Any, ops: Ops, x: Any) -> Any:
    import torch.nn.functional as F

    x = ops.conv(net["conv"], ops.enter(x), True)
    for block in (net["block1"], net["block2"], net["block3"]):
        y = ops.conv(block.body["conv2"], ops.conv(block.body["conv1"], x, True), False)
        shortcut = block.shortcut
        if shortcut is not None:
            x = ops.conv(shortcut["conv"] if hasattr(shortcut, "parts") else shortcut, x, False)
        x = ops.add_relu(y, x)
    return ops.dense(net["head"], _flat(F.adaptive_avg_pool2d(x, 1)), False)


FEED_FORWARD = {"fashion_mlp": _mlp, "lenet": _lenet, "resnet8": _resnet8}


def _recurrent(name: str, net: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """PyTorch's own LSTM or GRU of the same shape, and its dynamically quantised form."""
    import torch
    from torch import nn

    kind, layer = (nn.LSTM, net["lstm"]) if name == "mnist_lstm" else (nn.GRU, net["gru"])
    (cell,) = layer.cells

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loop = kind(len(cell.input_weight.data), cell.hidden, batch_first=True)
            self.head = nn.Linear(cell.hidden, net["head"].weight.shape[1])

        def forward(self, x: Any) -> Any:
            return self.head(self.loop(x)[0][:, -1])

    plain = Network().eval()
    quantised = torch.ao.quantization.quantize_dynamic(plain, {kind, nn.Linear}, dtype=torch.qint8)
    return plain, quantised


def ceilings(
    name: str, net: Any, x: Array, amount: float, repeated: Callable[[Callable[[Any], Any], Any], Any]
) -> Iterator[Engine]:
    """PyTorch on one thread in float32 and in int8; nothing where it is not installed."""
    try:
        import torch
    except ImportError:
        return
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
    warnings.filterwarnings("ignore", message=".*deprecated.*")
    torch.set_num_threads(1)
    net = fold(net)
    if name not in FEED_FORWARD:
        rows = torch.from_numpy(np.ascontiguousarray(x.reshape(len(x), 28, 28)))
        plain, quantised = _recurrent(name, net)
    else:
        images = np.moveaxis(x.reshape(len(x), 28, 28, 1), 3, 1)
        rows = torch.from_numpy(np.ascontiguousarray(images)).contiguous(memory_format=torch.channels_last)
        network, float32 = FEED_FORWARD[name], FloatOps(observing=True)
        with torch.inference_mode():
            network(net, float32, rows)
        float32.observing = False
        int8 = Int8Ops(float32.largest)

        def plain(values: Any) -> Any:
            return network(net, float32, values)

        def quantised(values: Any) -> Any:
            return network(net, int8, values)

    def without_gradient(model: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(values: Any) -> Any:
            with torch.inference_mode():
                return model(values)

        return call

    for label, model in ((FLOAT, plain), (INT8, quantised)):
        yield Engine(label, repeated(without_gradient(model), rows), amount)
