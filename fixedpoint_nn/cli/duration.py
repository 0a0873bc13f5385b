# SPDX-License-Identifier: MIT
"""How long work will take, said before it starts, and how to stop and go on."""

from __future__ import annotations

from collections.abc import Callable

from fixedpoint_nn.cli.progress import say

WORTH_SAYING = 10.0  # seconds; what takes less needs no announcement
UNITS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))


def about(seconds: float) -> str:
    """`about 10 h`: one unit, two digits at most where they mean something."""
    for size, unit in UNITS:
        if seconds >= 1.5 * size:
            count = seconds / size
            return (
                f"about {count:.0f} {unit}"
                if count >= 9.5
                else f"about {count:.1f} {unit}".replace(".0 ", " ")
            )
    return f"about {max(seconds, 1):.0f} s"


def announcing(work: str, resume: str) -> Callable[[float], None]:
    """Says once what the work takes, if that is long; `resume` is the command that goes on."""

    def announce(seconds: float) -> None:
        if seconds >= WORTH_SAYING:
            say(f"{work}: {about(seconds)}; interrupt at any time, go on with: {resume}")

    return announce
