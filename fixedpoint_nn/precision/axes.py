# SPDX-License-Identifier: MIT
"""The axes of a sweep: each varies one setting of a base recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.precision.recipe import MOST_ADDRESS_BITS, Recipe

PTQ, QAT = "ptq", "qat"


@dataclass(frozen=True)
class Variant:
    """One point to compute: axis, value, recipe, and method: quantised after training (ptq) or trained for it (qat)."""

    axis: str
    value: str
    recipe: Recipe
    method: str = PTQ

    @property
    def label(self) -> str:
        """Axis, value and method as text."""
        return f"{self.axis} {self.value} {self.method}"


def _words(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    for word in words:
        yield str(word), replace(base, word=word)


def _weights(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    for word in words:
        yield str(word), replace(base, weight_bits=word)


def _activations(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    for word in words:
        yield str(word), replace(base, activation_bits=word)


def _accumulators(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    """Accumulator widths from too narrow for the words to wide enough for sums of a few thousand products."""
    for extra in range(0, 13, 2):
        for overflow in (Overflow.WRAP, Overflow.SATURATE):
            bits = base.weights + base.activations + extra - 4
            recipe = replace(base, accumulator=bits, accumulator_overflow=overflow)
            yield f"{bits} {overflow.name.lower()}", recipe


def _addresses(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    for bits in range(3, MOST_ADDRESS_BITS + 1):
        yield str(bits), replace(base, address_bits=bits)


def _integers(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    """The same integer bits everywhere, at the base recipe's word length."""
    for bits in range(1, base.word + 1):
        yield str(bits), replace(base, int_bits=bits)


def _fractions(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    """The same fraction bits everywhere; integer bits by each place's data."""
    for bits in range(base.word + 5):
        yield str(bits), replace(base, frac_bits=bits)


def _roundings(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    for rounding in Rounding:
        yield rounding.name.lower(), replace(base, rounding=rounding)


def _overflows(base: Recipe, words: Sequence[int]) -> Iterator[tuple[str, Recipe]]:
    for overflow in Overflow:
        yield overflow.name.lower(), replace(base, overflow=overflow)


AXES = {
    "word": _words,
    "weights": _weights,
    "activations": _activations,
    "accumulator": _accumulators,
    "addresses": _addresses,
    "integer": _integers,
    "fraction": _fractions,
    "rounding": _roundings,
    "overflow": _overflows,
}


def variants(
    axes: Iterable[str], words: Sequence[int], base: Recipe, methods: Iterable[str] = (PTQ,)
) -> list[Variant]:
    """All points of these axes, varied from `base`; `words` are the lengths for word, weights and activations."""
    found = []
    methods = tuple(methods)
    for method in methods:
        if method not in (PTQ, QAT):
            raise ValueError(
                f"method {method!r} is not known; use 'ptq' (after training) or 'qat' (trained for it)"
            )
    for axis in axes:
        if axis not in AXES:
            raise ValueError(f"axis {axis!r} is not known; use one of {', '.join(AXES)}")
        for value, recipe in AXES[axis](base, words):
            found += [Variant(axis, value, recipe, method) for method in methods]
    return found
