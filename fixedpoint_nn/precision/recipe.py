# SPDX-License-Identifier: MIT
"""Recipes: rules by which the formats of a network are chosen from observed ranges."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.precision.value_ranges import PERCENTILE, RangeMethod

MOST_ADDRESS_BITS = 12
LONGEST_WORD = 32
FEWEST_OUTPUT_BITS = 8


@dataclass(frozen=True)
class Recipe:
    """How formats are chosen; word lengths, in bits, that are not given follow from `word`."""

    word: int = 8
    weight_bits: int | None = None  # weights and constants
    activation_bits: int | None = None  # input, cast points, values of tables
    output_bits: int | None = None  # outputs of the network: at least 8, see `outputs`
    address_bits: int | None = None  # table addresses: activations + 2, at most 12
    accumulator: int | None = None  # the bits of a modelled accumulator; None is exact
    accumulator_overflow: Overflow = Overflow.WRAP
    int_bits: int | None = None  # the same integer bits everywhere, sign included
    frac_bits: int | None = None  # the same fraction bits everywhere; integer bits from the data
    method: RangeMethod = RangeMethod.LEAST_ERROR  # how activations get their integer bits
    weight_method: RangeMethod = RangeMethod.LEAST_ERROR
    percentile: float = PERCENTILE
    per_channel: bool = False  # a binary point for each output channel of a weight matrix
    unsigned: bool = True  # activations that are never negative are unsigned
    rounding: Rounding = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        for name, kind in (
            ("method", RangeMethod),
            ("weight_method", RangeMethod),
            ("rounding", Rounding),
            ("overflow", Overflow),
            ("accumulator_overflow", Overflow),
        ):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, _mode(kind, value, name))
            elif not isinstance(value, kind):
                raise TypeError(f"{name} is a {kind.__name__}, not {value!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            is_length = field.name == "word" or field.name in (
                "weight_bits",
                "activation_bits",
                "output_bits",
                "address_bits",
            )
            if is_length and value is not None:
                _check_length(field.name, value)
        if not 50 < self.percentile <= 100:
            raise ValueError(f"percentile {self.percentile} is not in 50..100")

    @property
    def weights(self) -> int:
        """The width of a weight in bits."""
        return self.weight_bits or self.word

    @property
    def activations(self) -> int:
        """The width of an activation in bits."""
        return self.activation_bits or self.word

    @property
    def outputs(self) -> int:
        """The width of the network's outputs in bits: at least 8, because narrow logits tie."""
        return self.output_bits or max(self.activations, FEWEST_OUTPUT_BITS)

    @property
    def addresses(self) -> int:
        """The width of a table's address in bits."""
        return self.address_bits or min(self.activations + 2, MOST_ADDRESS_BITS)

    def integer_bits(self, signed: bool) -> int | None:
        """The prescribed integer bits, if any; one less for an unsigned format, which has no sign bit."""
        return None if self.int_bits is None else self.int_bits - (not signed)


def _check_length(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a number of bits, not {value!r}")
    most = MOST_ADDRESS_BITS + 4 if name == "address_bits" else LONGEST_WORD
    if not 1 <= value <= most:
        raise ValueError(f"{name} of {value} bits is not possible; use 1 to {most}")


def _mode(kind: type, value: str, name: str) -> object:
    known = {member.name.lower(): member for member in kind} | {member.value: member for member in kind}  # type: ignore[attr-defined]
    if value not in known:
        names = ", ".join(member.name.lower() for member in kind)  # type: ignore[attr-defined]
        raise ValueError(f"{name} {value!r} is not known; use one of {names}")
    return known[value]
