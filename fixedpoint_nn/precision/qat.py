# SPDX-License-Identifier: MIT
"""Quantisation-aware training: the float network learns to be rounded.

The same layers run over `Tensor` with the plan's quantizers everywhere. Each forward pass rounds the float
master weights, and gradients pass straight through to them. What is reported is computed by the integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fixedpoint_nn.layers import Dropout
from fixedpoint_nn.layers.fields import ACCUMULATOR, INLINE, PARAMETER, TABLE
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.on_arrays import takes_ids
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import parameters, rebuild, transform, walk
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.plan import INPUT, Plan
from fixedpoint_nn.precision.quantize import check, quantize, table
from fixedpoint_nn.training.batches import Source
from fixedpoint_nn.training.history import History
from fixedpoint_nn.training.loop import fit

Score = Callable[[Quantized], Mapping[str, float]]


@dataclass(frozen=True)
class FakeQuantized:
    """A float network that rounds wherever its fixed twin does; its parameters are the master weights."""

    net: Any = field(metadata={INLINE: True})
    input: Quantizer
    rounded: tuple[tuple[str, Quantizer | ChannelQuantizer], ...]

    def __call__(self, x: Any) -> Any:
        if not takes_ids(self.net):
            x = x.cast(self.input) if isinstance(x, Tensor) else self.input.round_floats(np.asarray(x))
        weights = parameters(self.net, trained_only=False)
        return rebuild(self.net, {path: weights[path].cast(q) for path, q in self.rounded})(x)


def fake_quantize(net: Any, plan: Plan) -> FakeQuantized:
    """The float network with the plan's quantizers and tables; it shares the network's parameters.

    In float64 it computes exactly what `quantize(net, plan)` computes, unless an accumulator is modelled:
    that is the integers' business.
    """
    net = fold(net)
    leaves = {leaf.path: leaf for leaf in walk(net)}
    check(leaves, plan)
    places: dict[str, Any] = {}
    rounded: list[tuple[str, Any]] = []
    for path, leaf in leaves.items():
        if leaf.kind == PARAMETER:
            if leaf.value is not None:
                rounded.append((path, plan[path]))
        elif leaf.kind == TABLE:
            places[path] = table(leaf, plan)
        elif leaf.kind != ACCUMULATOR:
            places[path] = plan[path]
    source = plan[INPUT]
    assert isinstance(source, Quantizer)
    return FakeQuantized(rebuild(net, places), source, tuple(rounded))


def own_weights(net: Any, dtype: Any = None) -> Any:
    """The same network over copies of its parameters."""
    copies = {
        path: Tensor(np.array(value.data, dtype))
        for path, value in parameters(net, trained_only=False).items()
    }
    return rebuild(net, copies)


def _without_dropout(layer: Any) -> Any:
    return replace(layer, rate=0.0) if isinstance(layer, Dropout) else layer


@dataclass(frozen=True)
class Trained:
    """What quantisation-aware training gives: float master weights, their integers, and the curves."""

    net: Any
    fixed: Quantized
    history: History


def train_quantized(
    net: Any,
    plan: Plan,
    source: Source,
    *,
    epochs: int,
    score: Score | None = None,
    dropout: bool = False,
    **options: Any,
) -> Trained:
    """Train a copy of a float network for a plan; `options` are those of `training.fit`.

    `score` judges the fixed network after every epoch, so the last figures are those of the result.
    Rounding is noise enough, so dropout is left out unless it is asked for.
    """
    master = own_weights(fold(net if dropout else transform(net, _without_dropout)))
    evaluate = None if score is None else lambda _: score(quantize(master, plan))
    history = fit(fake_quantize(master, plan), source, epochs=epochs, evaluate=evaluate, **options)
    return Trained(master, quantize(master, plan), history)
