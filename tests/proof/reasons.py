# SPDX-License-Identifier: MIT
"""Mutants that no program and no host can tell from the engine, though one step of induction does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pack, place) as a pattern, and why.
ANY = r"conformance.*"
REASONS: dict[tuple[str, str], str] = {
    (ANY, r"sequencer\.v:\d+, sequencer\.v:\d+: .* of procmux A\[\d+\].* \(access_address\[\d+\]\)"): (
        "the address of a Load or a Store is used in the clock after it was written; this changes it in later ones"
    ),
    ("conformance_wrapping", r"sequencer\.v:111: cnot1 of procmux A\[399\] by bit 463"): (
        "bit 15 of a jump, where addresses have 12, changed while no word comes; the words of the next run push it out"
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
