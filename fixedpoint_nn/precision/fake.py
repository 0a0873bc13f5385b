# SPDX-License-Identifier: MIT
"""Fake quantisation: the layers over `Tensor`, rounding wherever the fixed-point network rounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import ACCUMULATOR, INLINE, PARAMETER, TABLE
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.on_arrays import takes_ids
from fixedpoint_nn.network.tree import parameters, rebuild, walk
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.plan import INPUT, Plan
from fixedpoint_nn.precision.quantize import check, point_table, with_weights


@dataclass(frozen=True)
class FakeQuantized:
    """A float network that rounds wherever the fixed-point network does; its parameters are the master weights."""

    net: Any = field(metadata={INLINE: True})
    input: Quantizer
    rounded: tuple[tuple[str, Quantizer | ChannelQuantizer], ...]

    def __call__(self, x: Any) -> Any:
        if not takes_ids(self.net):
            x = x.cast(self.input) if isinstance(x, Tensor) else self.input.round_floats(np.asarray(x))
        weights = parameters(self.net, trained_only=False)
        return rebuild(self.net, {path: weights[path].cast(q) for path, q in self.rounded})(x)


def fake_quantize(net: Any, plan: Plan) -> FakeQuantized:
    """The float network with the plan's quantizers and tables, sharing the network's parameters.

    Parameters that the plan carries come from the plan. In float64 it computes exactly the values of `quantize(net,
    plan)`, unless the plan models an accumulator, which only integers do.
    """
    net = with_weights(fold(net), plan)
    leaves = {leaf.path: leaf for leaf in walk(net)}
    check(leaves, plan)
    places: dict[str, Any] = {}
    rounded: list[tuple[str, Any]] = []
    for path, leaf in leaves.items():
        if leaf.kind == PARAMETER:
            if leaf.value is not None:
                rounded.append((path, plan[path]))
        elif leaf.kind == TABLE:
            places[path] = point_table(leaf, plan)
        elif leaf.kind != ACCUMULATOR:
            places[path] = plan[path]
    source = plan[INPUT]
    assert isinstance(source, Quantizer)
    return FakeQuantized(rebuild(net, places), source, tuple(rounded))
