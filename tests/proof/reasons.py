# SPDX-License-Identifier: MIT
"""Mutants that no program and no host can tell from the engine, though one step of induction does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pack, place) as a pattern, and why.
ANY = r"conformance.*"
REASONS: dict[tuple[str, str], str] = {
    (ANY, r"lane\.v:87: const0 of logic_(and|not) \w\[0\]"): (
        "a padded step's multiplier is 0 only so that an undefined weight (X) does no harm: its operand is 0 as well"
    ),
    (ANY, r"lane\.v:42, lane\.v:93: .*fire_3.*|engine\.v:136, engine\.v:139: const1 of loop_nest fire_3\[0\].*"): (
        "where nothing is to be done, the operand is the one that was compared already, or the next step is a first "
        "one, which replaces the largest whatever it is"
    ),
    (ANY, r"engine\.v:149, engine\.v:155: .* of procdff Q\[\d+\].* \(output_base\[\d+\]\)"): (
        "the bit turns over with every clock, and is asked for in one clock alone, two after it was written"
    ),
    (ANY, r"sequencer\.v:35, sequencer\.v:109: .* of procmux A\[\d+\].* \(access_address\[\d+\]\)"): (
        "the address of a Load or a Store is used in the clock after it was written; this changes it in later ones"
    ),
    (ANY, r"requantize\.v:146: cnot0 of ternary B\[7\] by bit \d+"): (
        "bit 7 is a bit of the format only where that is wider than a word, and then nothing overflows"
    ),
    (ANY, r"write_back\.v:59: const0 of logic_or B\[0\]"): (
        "the base is then added in the clock of the first word instead of the one before, which is soon enough"
    ),
    (ANY, r"sequencer\.v:30, sequencer\.v:90: cnot1 of procdff Q\[627\] by bit 254 .*"): (
        "of a description's words only number 6 has a bit 30; when it passes there, the other place holds word 18, "
        "of which bit 19 is unnamed"
    ),
    (ANY, r"sequencer\.v:30, sequencer\.v:90: cnot1 of procdff Q\[621\] by bit 29 .*"): (
        "only words 5 and 6 have a bit 29; when they pass there, the other place holds word 4 or 5 of the next "
        "description, whose bit 13 is above an address of 12 bits"
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
