# SPDX-License-Identifier: MIT
"""Announcements of how long work will take, and how to resume it."""

from __future__ import annotations

from collections.abc import Callable

from fixedpoint_nn.cli.progress import say

WORTH_SAYING = 10.0  # seconds; shorter work is not announced
UNITS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))


def about(seconds: float) -> str:
    """A duration as text with one unit and at most two significant digits, such as `about 10 h`."""
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
    """A callback that announces the duration of long work; `resume` is the command that continues it."""

    def announce(seconds: float) -> None:
        if seconds >= WORTH_SAYING:
            say(f"{work}: {about(seconds)}; interrupt at any time, go on with: {resume}")

    return announce
