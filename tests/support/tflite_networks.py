# SPDX-License-Identifier: MIT
"""Small TFLite models in the shapes of well-known networks, with random weights and scales that fit them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.tflite_models import ModelBuilder, options

NONE, RELU, RELU6 = 0, 1, 3
SAME, VALID = 0, 1


class Network:
    """Layers one after the other; each gets a scale that makes its outputs fill the range of 8 or 16 bits."""

    def __init__(self, seed: int, shape: tuple[int, ...], bits: int = 8) -> None:
        self.rng = np.random.default_rng(seed)
        self.model = ModelBuilder()
        self.bits = bits
        self.shape = shape
        self.input = self.model.input(
            (1, *shape), f"int{bits}", scale=self._random(0.01, 0.1), zero=self._zero()
        )

    def _random(self, low: float, high: float) -> float:
        return float(np.float32(self.rng.uniform(low, high)))

    def _zero(self, fused: int = NONE) -> int:
        if self.bits == 16:
            return 0
        return -128 if fused in (RELU, RELU6) else int(self.rng.integers(-30, 30))

    def _scale(self, tensor: int) -> float:
        return float(self.model.tensors[tensor].quantization.scale[0])

    def _size(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.model.tensors[tensor].shape)

    def about(self, scale: float, fused: int = NONE) -> dict[str, Any]:
        return {"dtype": f"int{self.bits}", "scale": float(np.float32(scale)), "zero": self._zero(fused)}

    def _parameters(self, x: int, shape: tuple[int, ...], outputs: int, axis: int) -> tuple[list[int], float]:
        """Weights and bias; the scale that the sums need."""
        taps = np.prod(shape) / outputs if axis == 0 else np.prod(shape[1:3])
        size = 1 / (40 * np.sqrt(taps))  # so that values neither grow nor shrink from layer to layer
        scales = (size * self.rng.uniform(0.5, 1.5, outputs)).astype(np.float32)
        weight = self.model.constant(
            self.rng.integers(-127, 128, shape).astype(np.int8), scale=scales, axis=axis
        )
        ints = self.rng.integers(-2000, 2001, outputs).astype(np.int32 if self.bits == 8 else np.int64)
        bias = self.model.constant(ints, scale=scales * np.float32(self._scale(x)))
        return [weight, bias], self._scale(x)

    def conv(self, x: int, outputs: int, kernel: Any = (3, 3), stride: int = 1, fused: int = NONE) -> int:
        _, height, width, inputs = self._size(x)
        parameters, scale = self._parameters(x, (outputs, *kernel, inputs), outputs, 0)
        made = options("Conv2D", padding=SAME, strideH=stride, strideW=stride, fusedActivationFunction=fused)
        size = (1, -(-height // stride), -(-width // stride), outputs)
        return self.model.operator("CONV_2D", [x, *parameters], size, made, **self.about(scale, fused))

    def depthwise(self, x: int, kernel: Any = (3, 3), stride: int = 1, fused: int = NONE) -> int:
        _, height, width, channels = self._size(x)
        parameters, scale = self._parameters(x, (1, *kernel, channels), channels, 3)
        made = options(
            "DepthwiseConv2D",
            padding=SAME,
            strideH=stride,
            strideW=stride,
            depthMultiplier=1,
            fusedActivationFunction=fused,
        )
        size = (1, -(-height // stride), -(-width // stride), channels)
        return self.model.operator(
            "DEPTHWISE_CONV_2D", [x, *parameters], size, made, **self.about(scale, fused)
        )

    def add(self, x: int, y: int, fused: int = NONE) -> int:
        made = options("Add", fusedActivationFunction=fused, potScaleInt16=False)
        scale = max(self._scale(x), self._scale(y))
        return self.model.operator("ADD", [x, y], self._size(x), made, **self.about(scale, fused))

    def global_average(self, x: int) -> int:
        _, height, width, channels = self._size(x)
        about = self.model.tensors[x].quantization
        made = options("Pool2D", padding=VALID, strideH=1, strideW=1, filterHeight=height, filterWidth=width)
        pooled = self.model.operator(
            "AVERAGE_POOL_2D",
            [x],
            (1, 1, 1, channels),
            made,
            f"int{self.bits}",
            scale=about.scale[0],
            zero=about.zeroPoint[0],
        )
        return self.model.operator(
            "RESHAPE",
            [pooled],
            (1, channels),
            options("Reshape", newShape=[1, channels]),
            f"int{self.bits}",
            scale=about.scale[0],
            zero=about.zeroPoint[0],
        )

    def dense(self, x: int, outputs: int) -> int:
        parameters, scale = self._parameters(x, (outputs, self._size(x)[1]), outputs, 0)
        return self.model.operator(
            "FULLY_CONNECTED",
            [x, *parameters],
            (1, outputs),
            options("FullyConnected"),
            **self.about(scale / 4),
        )

    def finish(self, x: int, softmax: bool) -> bytes:
        if softmax:
            scale, zero = (1 / 256, -128) if self.bits == 8 else (1 / 32768, 0)
            made = options("Softmax", beta=1.0)
            x = self.model.operator(
                "SOFTMAX", [x], self._size(x), made, f"int{self.bits}", scale=scale, zero=zero
            )
        return self.model.finish([x])

    def samples(self, count: int) -> np.ndarray:
        about = np.iinfo(f"int{self.bits}")
        return self.rng.integers(about.min, about.max + 1, (count, *self.shape)).astype(about.dtype)


def resnet8(
    seed: int = 0, size: int = 16, channels: int = 8, bits: int = 8, softmax: bool = True
) -> tuple[bytes, np.ndarray]:
    """Three blocks of two convolutions with a shortcut, as in MLPerf Tiny's image classification; 200 samples."""
    net = Network(seed, (size, size, 3), bits)
    x = net.conv(net.input, channels, fused=RELU)
    for stride in (1, 2, 2):
        outputs = channels if stride == 1 else 2 * net._size(x)[3]
        y = net.conv(x, outputs, stride=stride, fused=RELU)
        y = net.conv(y, outputs)
        shortcut = x if stride == 1 else net.conv(x, outputs, (1, 1), stride)
        x = net.add(shortcut, y, RELU)
    return net.finish(net.dense(net.global_average(x), 10), softmax), net.samples(200)


def ds_cnn(
    seed: int = 0, size: tuple[int, int] = (25, 10), channels: int = 8, bits: int = 8, softmax: bool = True
) -> tuple[bytes, np.ndarray]:
    """Depthwise separable convolutions, as in MLPerf Tiny's keyword spotting; 200 samples."""
    net = Network(seed, (*size, 1), bits)
    x = net.conv(net.input, channels, (10, 4), 2, RELU)
    for _ in range(4):
        x = net.conv(net.depthwise(x, fused=RELU), channels, (1, 1), fused=RELU)
    return net.finish(net.dense(net.global_average(x), 12), softmax), net.samples(200)
