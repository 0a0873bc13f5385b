# SPDX-License-Identifier: MIT
"""Verification on a board: a pack's golden vectors, with every word and cycle count compared."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from fixedpoint_nn.board.driver import Driver
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.pack.writer import STATUS
from fixedpoint_nn.hardware.verify.verdict import Verdict


def run_golden(
    engine: Driver, pack: Pack, vectors: int | None = None, progress: bool = False, seconds: float = 60.0
) -> Verdict:
    """Run the first `vectors` vectors of the pack, or all, and compare words and cycles."""
    inputs, expected = pack.vectors[:vectors], pack.expected[:vectors]
    if not len(inputs) or (vectors is not None and vectors > len(inputs)):
        raise BoardError(
            f"{pack.directory} holds {len(pack.vectors)} vectors, not {vectors or 1}; ask for no more"
        )
    words = cycles = 0
    outcomes = engine.stream(pack, inputs, seconds=seconds)
    for number, wanted in enumerate(tqdm(expected, desc=pack.name, disable=not progress, unit="vector")):
        outcome = next(outcomes)
        places = np.flatnonzero(outcome.words != wanted)
        if len(places):
            first = int(places[0])
            return Verdict(
                False,
                f"FAIL: vector {number}, output element {first}: expected {wanted[first]}, got "
                f"{outcome.words[first]}",
            )
        took, predicted = outcome.status.cycles, pack.cycles[number]
        if took != predicted:
            return Verdict(False, f"FAIL: vector {number} took {took} cycles and {predicted} were predicted")
        if pack.status is not None:
            for name, register in zip(STATUS, pack.status[number].tolist(), strict=True):
                got = int(getattr(outcome.status, name))
                if got != register:
                    return Verdict(
                        False,
                        f"FAIL: vector {number}, status register {name}: expected {register}, got {got}",
                    )
        words, cycles = words + wanted.size, cycles + took
    text = f"PASS: {len(inputs)} vectors, {words} words, {cycles} cycles, as predicted"
    return Verdict(True, text, len(inputs), words, cycles)
