# SPDX-License-Identifier: MIT
"""Errors of commands, and their exit statuses."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from fixedpoint_nn.files.scratch import PlaceError
from fixedpoint_nn.hardware.sim.toolchain import ToolError

FAILURE, USAGE, TOOL_MISSING = 1, 2, 3  # exit statuses


class CommandError(Exception):
    """An error whose message is one sentence: the offending value, what was expected, the way out."""


def status_of(error: BaseException, otherwise: int = FAILURE) -> int:
    """The exit status of a command that raised this error."""
    if isinstance(error, CommandError):
        return USAGE
    return TOOL_MISSING if isinstance(error, (ToolError, PlaceError)) else otherwise


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """`; did you mean 'lenet'?`, or an empty text if no known name is similar."""
    near = get_close_matches(text, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
