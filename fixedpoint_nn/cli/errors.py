# SPDX-License-Identifier: MIT
"""What a command says when it cannot go on."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from fixedpoint_nn.files.scratch import PlaceError
from fixedpoint_nn.hardware.sim.toolchain import ToolError

FAILURE, USAGE, TOOL_MISSING = 1, 2, 3  # exit statuses


class CommandError(Exception):
    """One sentence: the offending value, what was expected, the way out."""


def status_of(error: BaseException, otherwise: int = FAILURE) -> int:
    """The exit status of a command that an error ends."""
    if isinstance(error, CommandError):
        return USAGE
    return TOOL_MISSING if isinstance(error, (ToolError, PlaceError)) else otherwise


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """`; did you mean 'lenet'?`, or nothing if nothing is near."""
    near = get_close_matches(text, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
