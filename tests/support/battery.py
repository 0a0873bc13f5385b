# SPDX-License-Identifier: MIT
"""Every layer, small, ready to run under every number.

A new layer joins the battery by one line in `CASES`; a new number by running through `quantized_case`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.layers.fields import ACCUMULATOR, CAST, PARAMETER, TABLE
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import rebuild, walk
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True)
class Case:
    """A layer's constructor and the shape of one sample of its input; `ids` > 0 means token ids below it."""

    build: Callable[[Initialiser], Any]
    shape: tuple[int, ...]
    ids: int = 0

    def floats(self, batch: int = 3, seed: int = 5) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(seed)
        if self.ids:
            return rng.integers(0, self.ids, (batch, *self.shape)).astype(np.float64)
        return rng.standard_normal((batch, *self.shape))


IMAGE = (6, 5, 4)


def positive(i: Initialiser, layer: Any) -> Any:
    """The layer behind |x| + 0.5."""
    line = layers.ScaleShift(i.tensor(1.0), i.tensor(0.5))
    return layers.Sequential(absolute=layers.Abs(), line=line, layer=layer)


def with_peepholes(i: Initialiser, lstm: layers.LSTM) -> layers.LSTM:
    """The layer whose gates see the cell."""
    (cell,) = lstm.cells
    weights = i.tensor(np.linspace(-1, 1, 3 * cell.hidden))
    return replace(lstm, cells=(replace(cell, peepholes=weights),))


CASES: dict[str, Case] = {
    "Dense": Case(lambda i: i.dense(5, 3), (5,)),
    "Dense without bias": Case(lambda i: i.dense(5, 3, bias=False), (5,)),
    "Dense over time steps": Case(lambda i: i.dense(5, 3), (4, 5)),
    "Conv2D same": Case(lambda i: i.conv(4, 6, 3), IMAGE),
    "Conv2D valid, stride 2": Case(lambda i: i.conv(4, 3, (3, 2), (2, 1), "valid"), IMAGE),
    "Conv2D explicit padding": Case(lambda i: i.conv(4, 3, 3, 2, ((2, 0), (1, 1))), IMAGE),
    "Conv2D without bias": Case(lambda i: i.conv(4, 3, 1, bias=False), IMAGE),
    "Conv2D grouped": Case(lambda i: i.conv(4, 6, 3, groups=2), IMAGE),
    "Conv2D depthwise": Case(lambda i: i.conv(4, 4, 3, groups=4), IMAGE),
    "MaxPool2D": Case(lambda i: layers.MaxPool2D(), IMAGE),
    "MaxPool2D overlapping, padded": Case(lambda i: layers.MaxPool2D((3, 3), (2, 2), 1), IMAGE),
    "AvgPool2D": Case(lambda i: i.avg_pool(2), IMAGE),
    "AvgPool2D overlapping, padded": Case(lambda i: i.avg_pool(3, 2, 1), IMAGE),
    "GlobalAvgPool": Case(lambda i: i.global_avg_pool(6, 5), IMAGE),
    "ScaleShift": Case(lambda i: layers.ScaleShift(i.tensor([1.5, -0.5]), i.tensor([0.25, 1.0])), (3, 2)),
    "ReLU": Case(lambda i: layers.ReLU(), (7,)),
    "LeakyReLU": Case(lambda i: layers.LeakyReLU(2), (7,)),
    "Sigmoid": Case(lambda i: layers.Sigmoid(), (7,)),
    "Tanh": Case(lambda i: layers.Tanh(), (7,)),
    "Softmax": Case(lambda i: layers.Softmax(), (7,)),
    "Flatten": Case(lambda i: layers.Flatten(), IMAGE),
    "Reshape": Case(lambda i: layers.Reshape((10, 12)), IMAGE),
    "Dropout": Case(lambda i: layers.Dropout(0.5), (7,)),
    "Embedding": Case(lambda i: i.embedding(9, 4), (5,), ids=9),
    "OneHot": Case(lambda i: i.one_hot(9), (5,), ids=9),
    "RNN": Case(lambda i: i.rnn(3, 4, depth=2), (5, 3)),
    "Rectified RNN": Case(
        lambda i: layers.RNN((replace(i.rnn(3, 4).cells[0], tanh=layers.Rectifier()),)), (5, 3)
    ),
    "GRU, reset before": Case(lambda i: i.gru(3, 4), (5, 3)),
    "GRU, reset after": Case(lambda i: i.gru(3, 4, reset_after=True, last=True), (5, 3)),
    "LSTM": Case(lambda i: i.lstm(3, 4, depth=2), (5, 3)),
    "LSTM, last step": Case(lambda i: i.lstm(3, 4, last=True), (5, 3)),
    "LSTM with peepholes": Case(lambda i: with_peepholes(i, i.lstm(3, 4)), (5, 3)),
    "Residual": Case(lambda i: layers.Residual(i.dense(5, 5)), (5,)),
    "Residual with shortcut": Case(lambda i: layers.Residual(i.dense(5, 3), i.dense(5, 3, bias=False)), (5,)),
    "Sequential": Case(
        lambda i: layers.Sequential(
            conv=i.conv(4, 3),
            relu=layers.ReLU(),
            pool=layers.MaxPool2D((2, 1), (2, 1)),
            flat=layers.Flatten(),
            head=layers.Sequential(i.dense(45, 6), layers.Tanh(), i.dense(6, 2)),
        ),
        IMAGE,
    ),
    "Conv2D dilated": Case(
        lambda i: replace(i.conv(4, 3, (2, 3), (2, 1), ((1, 1), (2, 0))), dilation=(3, 2)), IMAGE
    ),
    "Conv2D dilated and depthwise": Case(
        lambda i: replace(i.conv(4, 4, 2, padding="valid", groups=4), dilation=(2, 2)), IMAGE
    ),
    "ConvTranspose2D": Case(
        lambda i: layers.ConvTranspose2D(
            i.tensor(i.matrix(6 * 4, 3)), i.zeros(3), (3, 2), (2, 3), ((2, 2), (1, 0))
        ),
        IMAGE,
    ),
    "ConvTranspose2D cut": Case(
        lambda i: layers.ConvTranspose2D(i.tensor(i.matrix(4, 3)), None, (1, 1), (2, 1), ((-1, 0), (-2, -1))),
        IMAGE,
    ),
    "MaxPool2D dilated": Case(lambda i: layers.MaxPool2D((2, 2), (1, 1), 1, (2, 3)), IMAGE),
    "AvgPool2D that does not count padding": Case(
        lambda i: layers.AvgPool2D(
            i.tensor(1 / np.add.outer([1, 2, 2, 1], [1, 2, 1])[..., None]), (3, 3), (2, 2), ((2, 1), (1, 1))
        ),
        IMAGE,
    ),
    "GlobalMaxPool": Case(lambda i: layers.GlobalMaxPool(), IMAGE),
    "Mean": Case(lambda i: layers.Mean(i.tensor(1 / 30), (1, 2)), IMAGE),
    "PReLU": Case(lambda i: layers.PReLU(i.tensor([0.25, -0.5, 1.5])), (2, 3)),
    "Clip": Case(lambda i: layers.Clip(i.tensor(-0.5), i.tensor(0.75)), (7,)),
    "Clip above": Case(lambda i: layers.Clip(None, i.tensor(0.75)), (7,)),
    "Elu": Case(lambda i: layers.Elu(i.tensor(0.75)), (7,)),
    "Erf": Case(lambda i: layers.Erf(), (7,)),
    "Gelu": Case(lambda i: layers.Gelu(), (7,)),
    "Softplus": Case(lambda i: layers.Softplus(), (7,)),
    "Exp": Case(lambda i: layers.Exp(), (7,)),
    "Reciprocal": Case(lambda i: layers.Reciprocal(), (7,)),
    "Step": Case(lambda i: layers.Step(), (7,)),
    "Abs": Case(lambda i: layers.Abs(), (7,)),
    "Log": Case(lambda i: positive(i, layers.Log()), (7,)),
    "Sqrt": Case(lambda i: positive(i, layers.Sqrt()), (7,)),
    "ReciprocalSqrt": Case(lambda i: positive(i, layers.ReciprocalSqrt()), (7,)),
    "LogSoftmax": Case(lambda i: layers.LogSoftmax(), (3, 5)),
    "Softmax with a mask": Case(
        lambda i: layers.Softmax(mask=i.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1]])), (3, 3)
    ),
    "LayerNorm": Case(
        lambda i: layers.LayerNorm(
            i.tensor(1 / 5), i.tensor(0.125), i.tensor([1, 2, -1, 0.5, 1.5]), i.tensor([0, 1, -1, 0.25, 0])
        ),
        (3, 5),
    ),
    "LayerNorm without gain and bias": Case(
        lambda i: layers.LayerNorm(i.tensor(1 / 4), i.tensor(0.25)), IMAGE
    ),
    "RMSNorm": Case(
        lambda i: layers.RMSNorm(i.tensor(1 / 5), i.tensor(0.125), i.tensor([1, 2, -1, 0.5, 1.5])), (3, 5)
    ),
    "Largest": Case(lambda i: layers.Largest((1, 3)), IMAGE),
    "Transpose": Case(lambda i: layers.Transpose((0, 3, 1, 2)), IMAGE),
    "Transpose before a dense layer": Case(
        lambda i: layers.Sequential(layers.Transpose((0, 2, 1)), i.dense(4, 3)), (4, 5)
    ),
    "Transpose and flatten": Case(
        lambda i: layers.Sequential(layers.Transpose((0, 3, 1, 2)), layers.Flatten(), i.dense(120, 3)), IMAGE
    ),
    "Slice": Case(lambda i: layers.Slice(2, 1, 5, 2), IMAGE),
    "Slice backwards": Case(lambda i: layers.Slice(1, None, None, -1), IMAGE),
    "Slice of channels": Case(lambda i: layers.Slice(-1, 1, 3), IMAGE),
    "Select": Case(lambda i: layers.Select((0, 2, 4, 3, 3, 1), 1), IMAGE),
    "Select channels": Case(lambda i: layers.Select((3, 0, 1, 1), -1), IMAGE),
    "Select repeated": Case(lambda i: layers.Select((0, 0, 1, 1, 2, 2, 3, 3, 4, 4), 2), IMAGE),
    "Pad": Case(lambda i: layers.Pad(((1, 2), (0, 1), (0, 0))), IMAGE),
    "Pad channels and cut rows": Case(lambda i: layers.Pad(((-1, 0), (0, 0), (1, 2))), IMAGE),
    "Pad with a value": Case(lambda i: layers.Pad(((1, 0),), i.tensor([0.75, 0, 0, 0])), (3,)),
    "Graph of joins": Case(
        lambda i: layers.Graph(
            {
                "one": layers.Node(i.dense(3, 3), ("x",)),
                "more": layers.Node(layers.Repeated(i.tensor([[0.5, -1.0, 0.25]])), ("x",)),
                "rows": layers.Node(layers.Concat(1), ("one", "more")),
                "most": layers.Node(layers.Maximum(), ("x", "one")),
                "least": layers.Node(layers.Minimum(), ("x", "most", "one")),
                "sum": layers.Node(layers.Slice(1, 0, 2), ("rows",)),
                "all": layers.Node(layers.Add(), ("least", "sum")),
            }
        ),
        (2, 3),
    ),
    "Graph of attention": Case(
        lambda i: layers.Graph(
            {
                "query": layers.Node(i.dense(3, 4), ("x",)),
                "key": layers.Node(i.dense(3, 4), ("x",)),
                "turned": layers.Node(layers.Transpose((0, 2, 1)), ("key",)),
                "scores": layers.Node(layers.MatMul(), ("query", "turned")),
                "out": layers.Node(layers.MatMul(), ("scores", "x")),
            }
        ),
        (5, 3),
    ),
    "Graph of a gate over an image": Case(
        lambda i: layers.Graph(
            {
                "mean": layers.Node(layers.Mean(i.tensor(1 / 30), (1, 2)), ("x",)),
                "gate": layers.Node(layers.Multiply(), ("x", "mean")),
                "less": layers.Node(layers.Subtract(), ("gate", "mean")),
            }
        ),
        IMAGE,
    ),
    "Heads apart, and their mean": Case(
        lambda i: layers.Sequential(
            heads=layers.Reshape((4, 2, 3)),
            apart=layers.Transpose((0, 2, 1, 3)),
            joined=layers.Transpose((0, 2, 1, 3)),
            flat=layers.Reshape((4, 6)),
            mean=layers.Mean(i.tensor(1 / 4), (1,)),
        ),
        (4, 6),
    ),
    "Pixels shuffled, then mirrored": Case(
        lambda i: layers.Sequential(
            blocks=layers.Reshape((3, 2, 2, 2, 2)),
            turned=layers.Transpose((0, 1, 3, 2, 4, 5)),
            image=layers.Reshape((6, 4, 2)),
            mirrored=layers.Slice(1, None, None, -1),
        ),
        (3, 2, 8),
    ),
    "Graph with last states": Case(
        lambda i: layers.Graph(
            {
                "lstm": layers.Node(layers.WithStates(i.lstm(3, 4)), ("x",)),
                "h": layers.Node(layers.Pick(1), ("lstm",)),
                "c": layers.Node(layers.Pick(2), ("lstm",)),
                "both": layers.Node(layers.Concat(), ("h", "c")),
            }
        ),
        (5, 3),
    ),
    "Graph": Case(
        lambda i: layers.Graph(
            {
                "stem": layers.Node(i.dense(5, 4), ("x",)),
                "gate": layers.Node(layers.Sigmoid(), ("stem",)),
                "scaled": layers.Node(layers.Multiply(), ("stem", "gate")),
                "base": layers.Node(layers.Constant(i.tensor([0.5, -0.25, 1.0, 2.0])), ()),
                "less": layers.Node(layers.Subtract(), ("base", "scaled")),
                "both": layers.Node(layers.Concat(), ("scaled", "less", "x")),
                "head": layers.Node(i.dense(13, 4), ("both",)),
                "sum": layers.Node(layers.Add(), ("head", "stem", "less")),
            }
        ),
        (5,),
    ),
    "Graph with a recurrent layer": Case(
        lambda i: layers.Graph(
            {
                "first": layers.Node(i.dense(3, 4), ("x",)),
                "again": layers.Node(layers.Sequential(a=i.dense(4, 4), b=layers.Tanh()), ("first",)),
                "lstm": layers.Node(i.lstm(4, 2, last=True), ("again",)),
            }
        ),
        (4, 3),
    ),
    "text model": Case(
        lambda i: layers.Sequential(embedding=i.embedding(9, 4), lstm=i.lstm(4, 5), head=i.dense(5, 9)),
        (6,),
        ids=9,
    ),
}


def randomly_quantized(net: Any, seed: int, accumulators: bool = False) -> Any:
    """Every cast point, table and parameter of the network gets a format, rounding and overflow of its own."""
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = {}

    def quantizer(
        path: str, frac: int, whole: int = 3, overflows: tuple[Overflow, ...] = tuple(Overflow)
    ) -> Any:
        rounding = list(Rounding)[rng.integers(len(Rounding))]
        overflow = overflows[rng.integers(len(overflows))]
        return Quantizer(Q(whole, frac), rounding, overflow, name=path)

    leaves = list(walk(net))
    addresses = {leaf.address for leaf in leaves if leaf.kind == TABLE}
    for leaf in leaves:
        if leaf.kind == PARAMETER and leaf.value is not None:
            values[leaf.path] = leaf.value.cast(quantizer(leaf.path, int(rng.integers(3, 7))))
        elif leaf.kind == CAST:
            frac = int(rng.integers(2, 5)) if leaf.path in addresses else int(rng.integers(3, 9))
            values[leaf.path] = quantizer(leaf.path, frac, 5 if leaf.path.endswith("total") else 3)
        elif leaf.kind == ACCUMULATOR and accumulators:
            values[leaf.path] = Accumulator(Q(2, 16), list(Overflow)[rng.integers(4)])
    for leaf in leaves:
        if leaf.kind == TABLE:
            values[leaf.path] = Table(
                leaf.function,
                values[leaf.address].format,
                quantizer(leaf.path, 6, overflows=(Overflow.SATURATE,)),
            )
    return rebuild(net, values)


def input_quantizer(case: Case) -> Quantizer:
    return Quantizer(UQ(8, 0) if case.ids else Q(3, 6), name="input")


def over_integers(fake: Any) -> Any:
    """The same network over `FixedArray`: the parameters are already on the grids of `fake`."""
    fixed = {}
    for leaf in walk(fake):
        if leaf.kind == PARAMETER and leaf.value is not None:
            fixed[leaf.path] = FixedArray.from_float(leaf.value.data, Quantizer(Q(3, 7), Rounding.FLOOR))
    return rebuild(fake, fixed)


def quantized_case(name: str, seed: int = 0, accumulators: bool = False) -> tuple[Any, Any, Any, QFormat]:
    """(network over Tensor, fake-quantised network, network over integers, input format)."""
    case = CASES[name]
    net = case.build(Initialiser(seed, np.float64))
    fake = randomly_quantized(net, seed, accumulators)
    return net, fake, over_integers(fake), input_quantizer(case).format
