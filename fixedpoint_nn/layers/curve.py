# SPDX-License-Identifier: MIT
"""Element-wise functions that become a lookup table in fixed point; `input` casts x to the table's input format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True)
class Erf:
    """The error function: 2 / sqrt(pi) * the integral of exp(-t**2) from 0 to x."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("erf", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("erf", self.table)


@dataclass(frozen=True)
class Gelu:
    """x * (1 + erf(x / sqrt(2))) / 2, the exact GELU."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("gelu", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("gelu", self.table)


@dataclass(frozen=True)
class Softplus:
    """log(1 + exp(x))."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("softplus", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("softplus", self.table)


@dataclass(frozen=True)
class Exp:
    """e**x."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("exp", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("exp", self.table)


@dataclass(frozen=True)
class Log:
    """The natural logarithm; for x <= 0, in fixed point, the smallest value of the table's output format."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("log", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("log", self.table)


@dataclass(frozen=True)
class Sqrt:
    """The square root; 0 where x is not positive."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("sqrt", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("sqrt", self.table)


@dataclass(frozen=True)
class Reciprocal:
    """1 / x; for x = 0, in fixed point, the largest value of the table's output format."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("inverse", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("inverse", self.table)


@dataclass(frozen=True)
class Step:
    """1 where x > 0, else 0."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("step", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("step", self.table)


@dataclass(frozen=True)
class ReciprocalSqrt:
    """1 / sqrt(x); for x <= 0, in fixed point, the largest value of the table's output format."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("rsqrt", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("rsqrt", self.table)
