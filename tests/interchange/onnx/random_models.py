# SPDX-License-Identifier: MIT
"""Random ONNX graphs of one input: products, windows, joins, and every way to rearrange axes."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tests.interchange.onnx.models import model, node

Shape = tuple[int, ...]
LARGEST = 3000


class RandomModel:
    """Nodes so far, and the shape of every value; the batch is axis 0, of two samples."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        rank = int(self.rng.choice([2, 3, 4]))
        self.shapes: dict[str, Shape] = {"x": (2, *(int(n) for n in self.rng.integers(2, 5, rank - 1)))}
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}
        for number in range(int(self.rng.integers(2, 9))):
            self._extend(f"v{number}")

    def _extend(self, name: str) -> None:
        values = list(self.shapes)
        source = values[-1] if self.rng.random() < 0.7 else values[int(self.rng.integers(len(values)))]
        kind = KINDS[int(self.rng.integers(len(KINDS)))]
        before = len(self.nodes)
        shape = kind(self, source, self.shapes[source], name)
        if shape is None or prod(shape) > LARGEST or len(shape) > 5:
            del self.nodes[before:]
        else:
            self.shapes[name] = tuple(int(n) for n in shape)

    def add(self, op: str, inputs: str, output: str, **attributes: Any) -> None:
        self.nodes.append(node(op, inputs, output, **attributes))

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def floats(self, *shape: int) -> str:
        return self.constant(self.rng.standard_normal(shape).astype(np.float32))

    def axis(self, shape: Shape) -> int:
        return int(self.rng.integers(1, len(shape)))

    def other(self) -> str:
        return list(self.shapes)[int(self.rng.integers(len(self.shapes)))]

    def written(self) -> tuple[bytes, Shape] | None:
        """The model that gives the last value, and the shape of its input; None if that is not used."""
        output = list(self.shapes)[-1]
        needed, kept = {output}, []
        for part in reversed(self.nodes):
            if needed.intersection(part.output):
                needed.update(part.input)
                kept.append(part)
        if "x" not in needed or not kept:
            return None
        constants = {name: value for name, value in self.constants.items() if name in needed}
        return model(kept[::-1], {"x": ["N", *self.shapes["x"][1:]]}, [output], constants), self.shapes["x"]


def _conv(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) not in (3, 4):
        return None
    m.add("Conv", f"{a} {m.floats(3, s[1], *[1] * (len(s) - 2))}", name)
    return (s[0], 3, *s[2:])


def _pool(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) not in (3, 4):
        return None
    m.add("MaxPool", a, name, kernel_shape=[2] * (len(s) - 2), pads=[1] * 2 * (len(s) - 2))
    return (*s[:2], *(n + 1 for n in s[2:]))


def _matmul(m: RandomModel, a: str, s: Shape, name: str) -> Shape:
    m.add("MatMul", f"{a} {m.floats(s[-1], 3)}", name)
    return (*s[:-1], 3)


def _transpose(m: RandomModel, a: str, s: Shape, name: str) -> Shape:
    order = [0, *(int(n) + 1 for n in m.rng.permutation(len(s) - 1))]
    m.add("Transpose", a, name, perm=order)
    return tuple(s[n] for n in order)


def _flatten(m: RandomModel, a: str, s: Shape, name: str) -> Shape:
    m.add("Flatten", a, name)
    return s[0], prod(s[1:])


def _reshape(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) < 3:
        return None
    front = bool(m.rng.integers(2))
    shape = (s[0], s[1], prod(s[2:])) if front else (s[0], prod(s[1:-1]), s[-1])
    m.add("Reshape", f"{a} {m.constant(np.array([0, *shape[1:]]))}", name)
    return shape


def _unsqueeze(m: RandomModel, a: str, s: Shape, name: str) -> Shape:
    axis = int(m.rng.integers(1, len(s) + 1))
    m.add("Unsqueeze", f"{a} {m.constant(np.array([axis]))}", name)
    return (*s[:axis], 1, *s[axis:])


def _squeeze(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if 1 not in s[1:]:
        return None
    axis = s.index(1, 1)
    m.add("Squeeze", f"{a} {m.constant(np.array([axis]))}", name)
    return (*s[:axis], *s[axis + 1 :])


def _softmax(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) < 2:
        return None
    m.add("Softmax", a, name, axis=m.axis(s))
    return s


def _mean(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) < 2:
        return None
    axis, keep = m.axis(s), int(m.rng.integers(2))
    m.add("ReduceMean", a, name, axes=[axis], keepdims=keep)
    return tuple(1 if i == axis else n for i, n in enumerate(s) if i != axis or keep)


def _with_constant(m: RandomModel, a: str, s: Shape, name: str) -> Shape:
    other = m.floats(*(n if m.rng.random() < 0.5 else 1 for n in s[1:]))
    pair = f"{a} {other}" if m.rng.random() < 0.5 else f"{other} {a}"
    m.add(str(m.rng.choice(["Add", "Mul", "Sub", "Max"])), pair, name)
    return s


def _with_value(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    other = m.other()
    b = m.shapes[other]
    if len(b) != len(s) or any(n != k and 1 not in (n, k) for n, k in zip(s, b, strict=True)):
        return None
    m.add(str(m.rng.choice(["Add", "Mul", "Sub", "Max"])), f"{a} {other}", name)
    return np.broadcast_shapes(s, b)


def _concat(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    other = m.other()
    b = m.shapes[other]
    fits = [i for i in range(1, len(s)) if len(b) == len(s) and s[:i] == b[:i] and s[i + 1 :] == b[i + 1 :]]
    if not fits:
        return None
    axis = int(m.rng.choice(fits))
    m.add("Concat", f"{a} {other}", name, axis=axis)
    return tuple(n + b[i] if i == axis else n for i, n in enumerate(s))


def _reverse(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) < 2:
        return None
    first, last, step = (m.constant(np.array([n])) for n in (-1, -100, -1))
    m.add("Slice", f"{a} {first} {last} {m.constant(np.array([m.axis(s)]))} {step}", name)
    return s


def _lstm(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) != 3:
        return None
    m.add("Transpose", a, f"{name}t", perm=[1, 0, 2])
    m.add("LSTM", f"{name}t {m.floats(1, 8, s[2])} {m.floats(1, 8, 2)}", f"{name}y", hidden_size=2)
    m.add("Squeeze", f"{name}y {m.constant(np.array([1]))}", f"{name}s")
    m.add("Transpose", f"{name}s", name, perm=[1, 0, 2])
    return (*s[:2], 2)


def _gather(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    if len(s) < 2:
        return None
    axis = m.axis(s)
    indices = m.rng.integers(-s[axis], s[axis], (2, 2) if m.rng.random() < 0.5 else 3)
    m.add("Gather", f"{a} {m.constant(indices)}", name, axis=axis)
    return (*s[:axis], *indices.shape, *s[axis + 1 :])


def _pad(m: RandomModel, a: str, s: Shape, name: str) -> Shape:
    before, after = ([0, *(int(n) for n in m.rng.integers(0, 2, len(s) - 1))] for _ in range(2))
    value = m.constant(np.float32(m.rng.choice([0, 1.5])))
    m.add("Pad", f"{a} {m.constant(np.array(before + after))} {value}", name)
    return tuple(n + before[i] + after[i] for i, n in enumerate(s))


def _attention(m: RandomModel, a: str, s: Shape, name: str) -> Shape | None:
    b = m.other()
    t = m.shapes[b]
    if len(s) < 3 or len(t) != len(s) or t[:-2] != s[:-2] or t[-2] != s[-1]:
        return None
    m.add("MatMul", f"{a} {b}", name)
    return (*s[:-1], t[-1])


KINDS: list[Callable[[RandomModel, str, Shape, str], Shape | None]] = [
    _conv, _pool, _matmul, _transpose, _flatten, _reshape, _unsqueeze, _squeeze, _softmax, _mean, _with_constant,
    _with_value, _concat, _reverse, _lstm, _gather, _pad, _attention,
]  # fmt: skip
