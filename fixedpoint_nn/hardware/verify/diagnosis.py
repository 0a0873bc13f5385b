# SPDX-License-Identifier: MIT
"""Diagnosis: a single mistake in the requantiser that would explain the word that the Verilog wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fixedpoint_nn.hardware.emulator.datapath import requantized_sums
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS, Run
from fixedpoint_nn.numerics.arrays import Ints


def likely_cause(
    found: tuple[Run, Ints, Ints] | None,
    element: int,
    values: Ints,
    actual: Sequence[int | None],
    config: EngineConfig,
) -> str:
    """The mistake that yields the word at `element`, and most of the run's other words; empty if none does."""
    got = actual[element] if element < len(actual) else None
    if got is None:
        return "an operand, a weight or a table word was never written"
    expected = int(values[element])
    if found is not None and not found[0].table and got != expected:
        agreeing = [
            (sum(word == other for word, other in zip(words, actual, strict=False)), cause)
            for cause, words in _mistakes(*found)
            if words[element] == got
        ]
        if agreeing:
            return max(agreeing, key=lambda pair: pair[0])[1]
    for distance in (1, -1, config.lanes, -config.lanes):
        there = element + distance
        if 0 <= there < len(values) and int(values[there]) == got:
            return f"the word of the neighbour at {distance:+d}: an address is off by {abs(distance)}"
    for bits in range(1, config.activation_width):
        low = expected & ((1 << bits) - 1)
        if got in (low, low - (1 << bits)) and got != expected:
            return f"sign extension: only the low {bits} bits are right"
    return ""


def _mistakes(run: Run, sums: Ints, parameters: Ints) -> Iterator[tuple[str, list[int]]]:
    """(description, words of the whole run) for each single mistake of the requantiser."""

    def words(
        wrong: Run, shift: int = 0, keep_bias: bool = True, sum_at: int = 0, parameters_at: int = 0
    ) -> list[int]:
        changed = parameters.copy()
        changed[:, 0] += shift
        changed[:, 1] *= int(keep_bias)
        changed = np.roll(changed, -parameters_at, axis=0)
        return [
            int(word)
            for word in requantized_sums(wrong, np.roll(sums, -sum_at, axis=1), changed)[0].reshape(-1)
        ]

    for code, name in enumerate(ROUNDINGS):
        if code != run.rounding:
            yield f"rounding {name} instead of {ROUNDINGS[run.rounding]}", words(replace(run, rounding=code))
    for code, name in enumerate(OVERFLOWS):
        if code != run.overflow:
            yield f"overflow {name} instead of {OVERFLOWS[run.overflow]}", words(replace(run, overflow=code))
    for by in (1, -1):
        shifts = parameters[:, 0] + by
        if shifts.min() >= 0 and shifts.max() <= 63 - run.leak:
            yield f"a shift by one bit too {'many' if by > 0 else 'few'}", words(run, shift=by)
    yield "the bias is missing", words(run, keep_bias=False)
    for by in (1, -1):
        yield f"the sum of the neighbour channel at {by:+d}: an address is off by 1", words(run, sum_at=by)
        yield (
            f"shift and bias of the neighbour channel at {by:+d}: an address is off by 1",
            words(run, parameters_at=by),
        )
