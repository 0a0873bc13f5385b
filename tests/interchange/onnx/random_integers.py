# SPDX-License-Identifier: MIT
"""Random QDQ graphs: every result is quantised and dequantised, as quantising tools write them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.interchange.onnx.models import model, node

TYPES = (np.int8, np.uint8)
WINDOWS = ((3, 3), (2, 2), (1, 2))


class RandomQDQ:
    """Nodes so far, and the shape of every dequantised value (channels first); scales are powers of two or any."""

    def __init__(self, seed: int, powers: bool = True, count: int = 5) -> None:
        self.rng = np.random.default_rng(seed)
        self.powers = powers
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}
        self.quantised: list[str] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        images = self.rng.random() < 0.7
        self.input = (int(self.rng.integers(1, 4)), 6, 5) if images else (int(self.rng.integers(2, 7)),)
        self.shapes[self.rounded("x", "x", self.scale(-4))] = self.input
        for number in range(count):
            self._extend(f"v{number}")

    def scale(self, power: int) -> float:
        """Around 2**power."""
        return float(np.float32(2.0**power if self.powers else 2.0**power * self.rng.uniform(0.7, 1.4)))

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def add(self, op: str, inputs: str, output: str, **attributes: Any) -> str:
        self.nodes.append(node(op, inputs, output, **attributes))
        return output

    def rounded(self, source: str, name: str, scale: float) -> str:
        """The value quantised and dequantised."""
        kind = TYPES[int(self.rng.integers(2))]
        zero = self.constant(kind(self.rng.integers(np.iinfo(kind).min, np.iinfo(kind).max // 2 + 1)))
        step = self.constant(np.float32(scale))
        self.quantised.append(self.add("QuantizeLinear", f"{source} {step} {zero}", f"{name}_q"))
        return self.add("DequantizeLinear", f"{name}_q {step} {zero}", f"{name}_dq")

    def weights(self, *shape: int, axis: int) -> tuple[str, Any]:
        """Integers, dequantised by one scale or by one for each output, and these scales."""
        ints = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8))
        each = self.rng.random() < 0.5
        scales = np.array(
            [self.scale(-7 - int(self.rng.integers(2))) for _ in range(shape[axis] if each else 1)]
        )
        scales = scales.astype(np.float32)
        name = f"{ints}_dq"
        step = self.constant(scales if each else scales[0])
        self.add("DequantizeLinear", f"{ints} {step}", name, axis=axis)
        return name, scales

    def bias(self, count: int) -> str:
        """Floats; small multiples of 2**-8."""
        return self.constant((self.rng.integers(-300, 300, count) / 256).astype(np.float32))

    def _extend(self, name: str) -> None:
        source = list(self.shapes)[-1 - int(self.rng.integers(min(len(self.shapes), 2)))]
        shape = self.shapes[source]
        kinds = (
            [
                "conv",
                "conv",
                "max",
                "average",
                "global",
                "leaky",
                "add",
                "mul",
                "concat",
                "relu",
                "clip",
                "flatten",
            ]
            if len(shape) == 3
            else ["gemm", "matmul", "add", "mul", "concat", "relu", "sigmoid", "reshape"]
        )
        kind = kinds[int(self.rng.integers(len(kinds)))]
        raw, after = getattr(self, f"_{kind}")(name, source, shape)
        if after is not None:
            self.shapes[self.rounded(raw, name, self.scale(int(self.rng.integers(-5, -2))))] = after

    def _conv(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        channels, height, width = shape
        groups = channels if self.rng.random() < 0.3 else 1
        outputs = groups * int(self.rng.integers(1, 4))
        kernel = WINDOWS[int(self.rng.integers(3))]
        if height < 3 or width < 3:
            return "", None
        weight, _ = self.weights(outputs, channels // groups, *kernel, axis=0)
        bias = f" {self.bias(outputs)}" if self.rng.random() < 0.7 else ""
        pads = [int(n) for n in self.rng.integers(0, 2, 4)]
        self.add("Conv", f"{x} {weight}{bias}", name, pads=pads, group=groups)
        sizes = [n + pads[i] + pads[i + 2] - kernel[i] + 1 for i, n in enumerate((height, width))]
        if self.rng.random() < 0.5:
            name = self.add("Relu", name, f"{name}_r")
        return name, (outputs, *sizes)

    def _gemm(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        outputs = int(self.rng.integers(1, 6))
        turned = int(self.rng.integers(2))
        weight, _ = self.weights(*((outputs, shape[0]) if turned else (shape[0], outputs)), axis=1 - turned)
        self.add("Gemm", f"{x} {weight} {self.bias(outputs)}", name, transB=turned)
        return name, (outputs,)

    def _matmul(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        outputs = int(self.rng.integers(1, 6))
        weight, _ = self.weights(shape[0], outputs, axis=1)
        self.add("MatMul", f"{x} {weight}", f"{name}_m")
        return self.add("Add", f"{name}_m {self.bias(outputs)}", name), (outputs,)

    def _max(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        if min(shape[1:]) < 3:
            return "", None
        self.add("MaxPool", x, name, kernel_shape=[2, 3], strides=[1, 2])
        return name, (shape[0], shape[1] - 1, (shape[2] - 3) // 2 + 1)

    def _average(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        if min(shape[1:]) < 3:
            return "", None
        count = int(self.rng.integers(2))
        pads = [1, 0, 0, 1]
        self.add("AveragePool", x, name, kernel_shape=[2, 2], count_include_pad=count, pads=pads)
        return name, (shape[0], shape[1], shape[2])

    def _global(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        return self.add("GlobalAveragePool", x, name), (shape[0], 1, 1)

    def _leaky(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        return self.add("LeakyRelu", x, name, alpha=float(self.rng.uniform(0.05, 0.5))), shape

    def _sigmoid(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        return self.add("HardSigmoid", x, name, alpha=0.25), shape

    def _relu(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        return self.add("Relu", x, name), shape

    def _clip(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        low, high = self.constant(np.float32(-0.5)), self.constant(np.float32(1.75))
        return self.add("Clip", f"{x} {low} {high}", name), shape

    def _partner(self, shape: Any) -> str | None:
        return next((other for other, its in self.shapes.items() if its == shape), None)

    def _add(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        other = self._partner(shape)
        return self.add(("Add", "Sub")[int(self.rng.integers(2))], f"{x} {other}", name), shape

    def _mul(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        return self.add("Mul", f"{x} {self._partner(shape)}", name), shape

    def _concat(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        return self.add("Concat", f"{x} {self._partner(shape)}", name, axis=1), (2 * shape[0], *shape[1:])

    def _flatten(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        return self.add("Flatten", x, name), (int(np.prod(shape)),)

    def _reshape(self, name: str, x: str, shape: Any) -> tuple[str, Any]:
        sizes = self.constant(np.array([0, shape[0], 1, 1], np.int64))
        return self.add("Reshape", f"{x} {sizes}", name), (shape[0], 1, 1)

    def written(self) -> tuple[bytes, str]:
        """The model that gives the last quantised value, and its name."""
        name = self.quantised[-1]
        zero = next(n.input[2] for n in self.nodes if n.output[0] == name)
        kind = {"int8": 3, "uint8": 2}[self.constants[zero].dtype.name]
        used = [n for n in self.nodes if n.output[0] != f"{name.removesuffix('_q')}_dq"]
        return model(used, {"x": ("n", *self.input)}, [name], self.constants, kinds={name: kind}), name
