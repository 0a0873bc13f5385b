# SPDX-License-Identifier: MIT
"""Filters over features and time, of which a state keeps what the features were: the integer SVDF of TFLite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class RememberedFeatures:
    """The state (filters * memory) without its oldest time step, with rescale(x @ weight) as the newest."""

    weight: Number = parameter()
    memory: int = 1
    sum: Quantizer | None = cast_point()
    rescale: Rescale | None = None
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number, state: Number) -> Any:
        filters = self.weight.shape[1]
        assert self.rescale is not None
        newest = self.rescale((x @ self.weight).cast(self.sum)).reshape(-1, filters, 1)
        if self.memory > 1:
            before = state.reshape(-1, filters, self.memory)
            newest = before[:, :, 1:].concat([newest], axis=-1).cast(self.out)
        return newest.reshape(-1, filters * self.memory)


@dataclass(frozen=True)
class TimeFilters:
    """rescale(sum of state * weight over time and over `rank` filters + bias), for the state after x."""

    state: RememberedFeatures
    weight: Number = parameter()
    bias: Number | None = parameter(default=None)
    rank: int = 1
    product: Quantizer | None = cast_point()
    total: Quantizer | None = cast_point()
    rescale: Rescale | None = None

    def __call__(self, x: Number, state: Number) -> Any:
        terms = self.rank * self.state.memory
        products = (self.state(x, state) * self.weight).cast(self.product)
        total = products.reshape(-1, products.shape[-1] // terms, terms).sum(axis=-1)
        assert self.rescale is not None
        return self.rescale((total if self.bias is None else total + self.bias).cast(self.total))
