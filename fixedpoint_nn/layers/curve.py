# SPDX-License-Identifier: MIT
"""Functions of one value that are a table in fixed point; `input` rounds to the table's address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True)
class Erf:
    """2 / sqrt(pi) * the integral of exp(-t**2) from 0 to x."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("erf", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("erf", self.table)


@dataclass(frozen=True)
class Gelu:
    """x * (1 + erf(x / sqrt(2))) / 2."""

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
    """The natural logarithm; the lowest value of the table where x is not positive."""

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
    """1 / x; the largest value of the table where x is 0."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("inverse", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("inverse", self.table)


@dataclass(frozen=True)
class Step:
    """1 where x is positive, else 0: a comparison as a number."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("step", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("step", self.table)


@dataclass(frozen=True)
class ReciprocalSqrt:
    """1 / sqrt(x); the largest value of the table where x is not positive."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("rsqrt", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("rsqrt", self.table)
