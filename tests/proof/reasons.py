# SPDX-License-Identifier: MIT
"""Mutants that no program and no host can tell from the engine, though one step of induction does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pack, place) as a pattern, and why.
ANY = r"conformance.*"
REASONS: dict[tuple[str, str], str] = {
    ("conformance", r"engine\.v:\d+, engine\.v:\d+: const1 of u_loop_nest fire_3\[0\] \(fire_3\[0\]\)"): (
        "where nothing is to be done, the operand is the one that was compared already, or the next step is a first "
        "one, which replaces the largest whatever it is"
    ),
    ("conformance", r"loop_nest\.v:\d+, loop_nest\.v:\d+: const1 of logic_and A\[0\] \(stages\[64\]\)"): (
        "an operand that is loaded without a step is loaded again by the next one; the second of two operands waits "
        "as a second one, which loads none"
    ),
    (ANY, r"sequencer\.v:(109|135): .* of procmux A\[(366|307|508)\].*"): (
        "a bit of an address above the engine's addresses; the words of the next run push it out"
    ),
    (ANY, r"sequencer\.v:\d+, sequencer\.v:\d+: .* of procmux A\[\d+\].* \(access_address\[\d+\]\)"): (
        "the address of a Load or a Store is used in the clock after it was written; this changes it in later ones"
    ),
    (ANY, r"sequencer\.v:87: const1 of eq Y\[0\]"): (
        "the register of a Load is doubled while its word is awaited, which then takes its place"
    ),
    (
        ANY,
        r"(engine\.v:300: const1 of procmux Y\[0\]|requantize\.v:90, requantize\.v:87: const1 of procmux S\[3\])",
    ): ("a selector asks its conditions in order, and this is the last, of which one always holds"),
    (ANY, r"write_back\.v:83: cnot1 of procmux B\[7\] by bit 19"): (
        "only formats of more than 19 bits have such a bit in the mask; a table of so many words does not exist, so "
        "that their words are small and not negative"
    ),
    (ANY, r"loop_nest\.v:246: const1 of ternary B\[40\]"): (
        "in the clock of a reset the bits that have an effect are cleared; this is one that has none without them"
    ),
    (ANY, r"loop_nest\.v:203: inv of procmux B\[0\]"): (
        "the one clock that this waits after a reset is over before the first word is fetched"
    ),
    (ANY, r"requantize\.v:93: const0 of reduce_or A\[8\]"): (
        "sums have 25 bits: a shift by 32 and more leaves a half only of a negative one, of which the sign is lost "
        "as well; without a half, what is lost does not matter to a sum that is not negative"
    ),
    (ANY, r"argmax\.v:24: cnot1 of procmux B\[4\] by bit 0"): (
        "the largest word of a search that has not begun is undefined, and replaced by the first one"
    ),
}


def reason(pack: str, place: str) -> str:
    """Why this mutant is as good as the engine; empty if that is not known."""
    for (judge, pattern), why in REASONS.items():
        if re.fullmatch(judge, pack) and re.fullmatch(pattern, place):
            return why
    return ""


def unused_reasons(listed: Iterable[tuple[str, str]]) -> list[str]:
    """Entries that no surviving mutant needs."""
    places = list(listed)
    return [
        f"{judge}: {pattern}"
        for judge, pattern in REASONS
        if not any(re.fullmatch(judge, pack) and re.fullmatch(pattern, place) for pack, place in places)
    ]
