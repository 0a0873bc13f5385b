# SPDX-License-Identifier: MIT
"""Layers with initial parameters: random, Xavier, He and orthogonal."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fixedpoint_nn import layers
from fixedpoint_nn.layers.padding import PaddingRule
from fixedpoint_nn.numbers.sliding_windows import Pair
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array

SCHEMES = ("random", "xavier", "he", "orthogonal")


class Initialiser:
    """Builds layers over `Tensor`; the same seed builds the same network.

    >>> init = Initialiser(seed=0)
    >>> layer = init.dense(784, 32)
    >>> layer.weight.shape, layer.bias.shape
    ((784, 32), (32,))
    """

    def __init__(self, seed: int = 0, dtype: DTypeLike = np.float32) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)

    def matrix(self, inputs: int, outputs: int, scheme: str = "he", scale: float = 0.01) -> Array:
        """An array (inputs, outputs) by scheme: "he", "xavier", "random" or "orthogonal".

        he and xavier are normal with variance 2 / inputs and 2 / (inputs + outputs); random is normal with the standard
        deviation `scale`.
        """
        if scheme not in SCHEMES:
            raise ValueError(f"initialisation {scheme!r} is not known; use one of {', '.join(SCHEMES)}")
        draw = self.rng.standard_normal((inputs, outputs))
        if scheme == "orthogonal":
            q, r = np.linalg.qr(draw if inputs >= outputs else draw.T)
            q = q * np.sign(np.diag(r))
            return np.ascontiguousarray(q if inputs >= outputs else q.T)
        deviation = {"random": scale, "xavier": np.sqrt(2 / (inputs + outputs)), "he": np.sqrt(2 / inputs)}
        return np.asarray(draw * deviation[scheme])

    def tensor(self, values: Any) -> Tensor:
        """A tensor of these values, of the network's dtype."""
        return Tensor(np.array(values, self.dtype))

    def zeros(self, *shape: int) -> Tensor:
        """A tensor of zeros."""
        return self.tensor(np.zeros(shape))

    # ---- layers ---------------------------------------------------------------------------

    def dense(
        self, inputs: int, outputs: int, scheme: str = "he", bias: bool = True, **options: Any
    ) -> layers.Dense:
        """A dense layer: weight (inputs, outputs), bias zero."""
        weight = self.tensor(self.matrix(inputs, outputs, scheme))
        return layers.Dense(weight, self.zeros(outputs) if bias else None, **options)

    def conv(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Pair = 3,
        stride: int | Pair = 1,
        padding: PaddingRule = "same",
        groups: int = 1,
        bias: bool = True,
        scheme: str = "he",
    ) -> layers.Conv2D:
        """A convolution: weight (taps * inputs, outputs), or (groups, taps * inputs / groups, outputs / groups)."""
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        stride = (stride, stride) if isinstance(stride, int) else stride
        if inputs % groups or outputs % groups:
            raise ValueError(f"{inputs} channels into {outputs} do not divide into {groups} groups")
        taps = prod(kernel) * inputs // groups
        if groups == 1:
            weight = self.matrix(taps, outputs, scheme)
        else:
            weight = np.stack([self.matrix(taps, outputs // groups, scheme) for _ in range(groups)])
        return layers.Conv2D(
            self.tensor(weight), self.zeros(outputs) if bias else None, kernel, stride, padding, groups
        )

    def batch_norm(self, channels: int, **options: Any) -> layers.BatchNorm:
        """Batch normalisation with gain 1, bias 0, mean 0 and variance 1."""
        ones = np.ones(channels)
        return layers.BatchNorm(
            self.tensor(ones), self.zeros(channels), self.zeros(channels), self.tensor(ones), **options
        )

    def avg_pool(
        self, kernel: int = 2, stride: int | None = None, padding: PaddingRule = "valid"
    ) -> layers.AvgPool2D:
        """Average pooling over kernel x kernel pixels; the stride is the kernel if not given."""
        step = stride or kernel
        return layers.AvgPool2D(self.tensor(1 / kernel**2), (kernel, kernel), (step, step), padding)

    def global_avg_pool(self, height: int, width: int) -> layers.GlobalAvgPool:
        """The mean over all height * width pixels, per channel."""
        return layers.GlobalAvgPool(self.tensor(1 / (height * width)))

    def embedding(self, symbols: int, size: int, scale: float = 1.0) -> layers.Embedding:
        """An embedding: weight (symbols, size), normal with the standard deviation `scale`."""
        return layers.Embedding(self.tensor(self.rng.standard_normal((symbols, size)) * scale))

    def one_hot(self, symbols: int) -> layers.OneHot:
        """One-hot rows: weight is the identity matrix, (symbols, symbols)."""
        return layers.OneHot(self.tensor(np.eye(symbols)))

    def rnn(self, inputs: int, hidden: int, depth: int = 1, last: bool = False) -> layers.RNN:
        """A stack of `depth` RNN cells of `hidden` units; with `last`, only the last step's output."""

        def cell(size: int) -> layers.RNNCell:
            return layers.RNNCell(*self._recurrent_pair(size, hidden, 1), self.zeros(hidden))

        return layers.RNN(tuple(cell(inputs if i == 0 else hidden) for i in range(depth)), last)

    def gru(
        self, inputs: int, hidden: int, depth: int = 1, last: bool = False, reset_after: bool = False
    ) -> layers.GRU:
        """A stack of `depth` GRU cells of `hidden` units; with `last`, only the last step's output."""

        def cell(size: int) -> layers.GRUCell:
            return layers.GRUCell(
                *self._recurrent_pair(size, hidden, 2),
                self.zeros(2 * hidden),
                *self._recurrent_pair(size, hidden, 1),
                self.zeros(hidden),
                self.zeros(hidden) if reset_after else None,
                reset_after,
            )

        return layers.GRU(tuple(cell(inputs if i == 0 else hidden) for i in range(depth)), last)

    def lstm(self, inputs: int, hidden: int, depth: int = 1, last: bool = False) -> layers.LSTM:
        """A stack of `depth` LSTM cells of `hidden` units; with `last`, only the last step's output.

        The bias of the forget gate starts at 1, so that gradients reach far back from the beginning.
        """

        def cell(size: int) -> layers.LSTMCell:
            bias = np.zeros(4 * hidden)
            bias[hidden : 2 * hidden] = 1
            return layers.LSTMCell(*self._recurrent_pair(size, hidden, 4), self.tensor(bias))

        return layers.LSTM(tuple(cell(inputs if i == 0 else hidden) for i in range(depth)), last)

    def _recurrent_pair(self, inputs: int, hidden: int, gates: int) -> tuple[Tensor, Tensor]:
        """(input weight by Xavier, state weight orthogonal), for each gate separately, side by side."""
        from_input = [self.matrix(inputs, hidden, "xavier") for _ in range(gates)]
        from_state = [self.matrix(hidden, hidden, "orthogonal") for _ in range(gates)]
        return self.tensor(np.concatenate(from_input, 1)), self.tensor(np.concatenate(from_state, 1))
