# SPDX-License-Identifier: MIT
"""Proofs for all inputs, by yosys' SAT solver: the requantiser, the loop nest, the sequencer.

The requantiser is split by the distance of its shift: 64 small questions instead of one large one, which
together are the same claim. A negative sum is shifted by `shift + leak`, another by `shift`, so
both are asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.proof.yosys import run_yosys

SIZES = ((32, 24, 8), (48, 32, 16), (64, 32, 16))
DISTANCES = range(64)


@dataclass(frozen=True)
class Claim:
    """One requantiser (bits of the sum, the bias and the word), in its combinational or pipelined form."""

    sum_width: int
    bias_width: int
    output_width: int
    pipelined: bool

    def __str__(self) -> str:
        form = "pipelined" if self.pipelined else "combinational"
        return f"requantize {self.sum_width} -> {self.output_width}, {form}"

    def commands(self) -> Iterator[str]:
        yield "read_verilog requantize.v formal/requantize_spec.v formal/requantize_proof.v"
        yield (
            f"chparam -set SUM_WIDTH {self.sum_width} -set BIAS_WIDTH {self.bias_width} "
            f"-set OUTPUT_WIDTH {self.output_width} requantize_proof"
        )
        yield from ("hierarchy -top requantize_proof", "proc", "flatten", "opt -nodffe -nosdff")
        if not self.pipelined:
            yield from (
                "setattr -unset init w:*",
                "techmap -map formal/transparent.v",
                "opt -full -nodffe -nosdff",
            )
        for distance in DISTANCES:
            for case in (f"negative 0 {{}} shift {distance}", f"negative 1 {{}} leaky_distance {distance}"):
                yield self._question(case)

    def _question(self, case: str) -> str:
        if not self.pipelined:
            sets = case.format("-set")
            return f"sat -verify -set legal 1 -set in_valid 1 -set {sets} -prove equal_now 1 requantize_proof"
        sets = case.format("-set-at 2")
        held = " ".join(f"-set-at {step} held 1" for step in range(2, 7))
        return (
            f"sat -verify -seq 6 -prove-skip 5 {held} -set-at 2 legal 1 -set-at 2 in_valid 1 "
            f"-set-at 2 {sets} -prove equal_late 1 requantize_proof"
        )


def prove(claim: Claim) -> int:
    """Ask every question; returns how many there were, and raises at the first that is refuted."""
    text = run_yosys(list(claim.commands()))
    proven = len(re.findall(r"SAT proof finished - no model found: SUCCESS!", text))
    if proven != 2 * len(DISTANCES):
        raise RuntimeError(f"{claim}: {proven} of {2 * len(DISTANCES)} questions were answered")
    return proven


def run(workers: int) -> list[str]:
    """All claims; a line for each."""
    claims = [Claim(*size, pipelined) for size in SIZES for pipelined in (False, True)]
    with ThreadPoolExecutor(workers) as pool:
        counts = list(pool.map(prove, claims))
    return [f"{claim}: proven, {count} cases" for claim, count in zip(claims, counts, strict=True)]
