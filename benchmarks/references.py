# SPDX-License-Identifier: MIT
"""Networks of the zoo in plain float32 NumPy, as one writes them by hand: the baseline of every comparison.

Each takes the weights of the zoo's network (batch normalisation folded) and blocks of samples, and lists the matrix
products that it makes, so that a baseline that is slow for another reason (subnormal numbers, a busy machine) shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from benchmarks.timing import DirtyBaseline
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.subnormals import count_subnormals

Product = tuple[int, int, int, int]  # rows, taps, columns of one product, and how often it is made


@dataclass(frozen=True)
class Reference:
    """`call` computes the logits of a block of samples; `products(n)` are its matrix products for n samples."""

    call: Callable[[Array], Array]
    products: Callable[[int], list[Product]]
    block: int  # samples at once: what fits the cache
    multiple: float  # a clean pass takes at most so many times the time of its matrix products

    def __call__(self, x: Array) -> Array:
        blocks = [self.call(x[start : start + self.block]) for start in range(0, len(x), self.block)]
        return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]

    def bare_products(self, samples: int, dtype: type[np.floating[Any]] = np.float32) -> Callable[[], None]:
        """The same matrix products on random numbers, and nothing else."""
        rng = np.random.default_rng(0)
        whole, rest = divmod(samples, self.block)
        work = []
        for size, count in ((self.block, whole), (rest, 1)):
            for rows, taps, columns, times in self.products(size) if size and count else ():
                a, b = (rng.standard_normal(s).astype(dtype) for s in ((rows, taps), (taps, columns)))
                work.append((a, b, np.empty((rows, columns), dtype), times * count))

        def run() -> None:
            for a, b, out, times in work:
                for _ in range(times):
                    np.matmul(a, b, out=out)

        return run


def reference(name: str, net: Any) -> Reference:
    """The hand-written pass of a network of the zoo; one with subnormal weights is refused."""
    dirty = {path: count_subnormals(p.data) for path, p in tree.parameters(net, trained_only=False).items()}
    if any(dirty.values()):
        path, count = max(dirty.items(), key=lambda entry: entry[1])
        raise DirtyBaseline(
            f"{name} holds {count} subnormal numbers in {path}; a ratio to it would mean nothing"
        )
    return REFERENCES[name](fold(net))


def _dense(layer: Any, x: Array) -> Array:
    y: Array = x @ layer.weight.data
    y += layer.bias.data
    return y


def _conv(layer: Any, x: Array) -> Array:
    """Padded images (n, h, w, c) by one copy of their windows and one product."""
    (kh, kw), (sy, sx) = layer.kernel, layer.stride
    n, h, w, c = x.shape
    rows, columns = -(-h // sy), -(-w // sx)
    down, right = max((rows - 1) * sy + kh - h, 0), max((columns - 1) * sx + kw - w, 0)
    padded = np.zeros((n, h + down, w + right, c), np.float32)
    padded[:, down // 2 : down // 2 + h, right // 2 : right // 2 + w] = x
    a, b, d, e = padded.strides
    windows = as_strided(padded, (n, rows, columns, kh, kw, c), (a, b * sy, d * sx, b, d, e))
    y = windows.reshape(n * rows * columns, kh * kw * c) @ layer.weight.data
    y += layer.bias.data
    return y.reshape(n, rows, columns, -1)


def _conv_products(layer: Any, n: int, size: int) -> Product:
    (taps, columns), out = layer.weight.shape, -(-size // layer.stride[0])
    return n * out * out, taps, columns, 1


def _relu(x: Array) -> Array:
    return np.maximum(x, 0, out=x)


def _pairs(x: Array) -> tuple[Array, ...]:
    """The four corners of the 2 x 2 windows of images."""
    return x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]


def _sigmoid(x: Array) -> Array:
    """In place; tanh is faster than exp and cannot overflow."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5
    return x


def _mlp(net: Any) -> Reference:
    layers = [net[name] for name in ("fc1", "fc2", "fc3")]

    def call(x: Array) -> Array:
        x = x.reshape(len(x), -1)
        x = _relu(_dense(layers[0], x))
        x = _relu(_dense(layers[1], x))
        return _dense(layers[2], x)

    return Reference(call, lambda n: [(n, *layer.weight.shape, 1) for layer in layers], 512, 2.5)


def _lenet(net: Any) -> Reference:
    def call(x: Array) -> Array:
        x = _relu(_conv(net["conv1"], x))
        a, b, c, d = _pairs(x)
        x = np.maximum(np.maximum(a, b), np.maximum(c, d))
        x = _relu(_conv(net["conv2"], x))
        a, b, c, d = _pairs(x)
        x = (a + b + c + d) * np.float32(0.25)
        x = _relu(_dense(net["fc1"], x.reshape(len(x), -1)))
        return _dense(net["fc2"], x)

    def products(n: int) -> list[Product]:
        convolutions = [_conv_products(net["conv1"], n, 28), _conv_products(net["conv2"], n, 14)]
        return convolutions + [(n, *net[name].weight.shape, 1) for name in ("fc1", "fc2")]

    return Reference(call, products, 64, 5)


def _resnet8(net: Any) -> Reference:
    blocks = [net[name] for name in ("block1", "block2", "block3")]

    def call(x: Array) -> Array:
        x = _relu(_conv(net["conv"], x))
        for block in blocks:
            y = _conv(block.body["conv2"], _relu(_conv(block.body["conv1"], x)))
            y += x if block.shortcut is None else _conv(_only(block.shortcut), x)
            x = _relu(y)
        return _dense(net["head"], x.mean((1, 2)))

    def products(n: int) -> list[Product]:
        size, found = 28, [_conv_products(net["conv"], n, 28)]
        for block in blocks:
            found.append(_conv_products(block.body["conv1"], n, size))
            if block.shortcut is not None:
                found.append(_conv_products(_only(block.shortcut), n, size))
            size = -(-size // block.body["conv1"].stride[0])
            found.append(_conv_products(block.body["conv2"], n, size))
        return [*found, (n, *net["head"].weight.shape, 1)]

    return Reference(call, products, 32, 5)


def _only(shortcut: Any) -> Any:
    return shortcut["conv"] if hasattr(shortcut, "parts") else shortcut


def _lstm(net: Any) -> Reference:
    (cell,) = net["lstm"].cells
    hidden = cell.hidden
    weight = np.concatenate([cell.input_weight.data, cell.state_weight.data])
    inputs = len(weight) - hidden

    def call(x: Array) -> Array:
        x = x.reshape(len(x), -1, inputs)
        both, c = np.zeros((len(x), inputs + hidden), np.float32), np.zeros((len(x), hidden), np.float32)
        for t in range(x.shape[1]):
            both[:, :inputs] = x[:, t]
            z = both @ weight
            z += cell.bias.data
            gates, g = _sigmoid(z[:, : 3 * hidden]), np.tanh(z[:, 3 * hidden :])
            c *= gates[:, hidden : 2 * hidden]
            c += gates[:, :hidden] * g
            np.multiply(gates[:, 2 * hidden :], np.tanh(c), out=both[:, inputs:])
        return _dense(net["head"], both[:, inputs:])

    def products(n: int) -> list[Product]:
        return [(n, *weight.shape, 28), (n, *net["head"].weight.shape, 1)]

    return Reference(call, products, 256, 5)


def _gru(net: Any) -> Reference:
    (cell,) = net["gru"].cells
    hidden, inputs = cell.hidden, len(cell.input_weight.data)
    by_input = np.concatenate([cell.input_weight.data, cell.candidate_input_weight.data], axis=1)
    bias = np.concatenate([cell.bias.data, cell.candidate_bias.data])
    by_state, by_reset = cell.state_weight.data, cell.candidate_state_weight.data

    def call(x: Array) -> Array:
        n, steps = len(x), x.size // (len(x) * inputs)
        from_input = (x.reshape(n * steps, inputs) @ by_input).reshape(n, steps, -1)
        from_input += bias
        h = np.zeros((n, hidden), np.float32)
        for t in range(steps):
            gates = h @ by_state
            gates += from_input[:, t, : 2 * hidden]
            gates = _sigmoid(gates)
            candidate = (gates[:, :hidden] * h) @ by_reset
            candidate += from_input[:, t, 2 * hidden :]
            np.tanh(candidate, out=candidate)
            h -= candidate
            h *= gates[:, hidden:]
            h += candidate
        return _dense(net["head"], h)

    def products(n: int) -> list[Product]:
        products = [(n * 28, *by_input.shape, 1), (n, *by_state.shape, 28), (n, *by_reset.shape, 28)]
        return [*products, (n, *net["head"].weight.shape, 1)]

    return Reference(call, products, 256, 5)


REFERENCES: dict[str, Callable[[Any], Reference]] = {
    "fashion_mlp": _mlp,
    "lenet": _lenet,
    "resnet8": _resnet8,
    "mnist_lstm": _lstm,
    "mnist_gru": _gru,
}
