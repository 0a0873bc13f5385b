# SPDX-License-Identifier: MIT
"""A network with one quantizer everywhere."""

from __future__ import annotations

from typing import Any

from fixedpoint_nn.layers.fields import CAST, PARAMETER, TABLE
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import rebuild, walk
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


def uniform(net: Any, weights: Quantizer, values: Quantizer, source: Quantizer) -> Quantized:
    """`weights` for parameters, `values` for every cast point and table, `source` for the input."""
    leaves: dict[str, Any] = {}
    for leaf in walk(net):
        if leaf.kind == PARAMETER and leaf.value is not None:
            leaves[leaf.path] = FixedArray.from_float(leaf.value.data, weights)
        elif leaf.kind == CAST:
            leaves[leaf.path] = values
        elif leaf.kind == TABLE:
            leaves[leaf.path] = Table(leaf.function, values.format, values)
    return Quantized(rebuild(net, leaves), source)
