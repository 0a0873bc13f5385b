# SPDX-License-Identifier: MIT
"""What goes wrong between a host and a board, as one sentence."""

from __future__ import annotations


class BoardError(RuntimeError):
    """The board did not do what it was asked for; the next call starts afresh."""


class NoAnswer(BoardError):
    """Nothing came back in time."""
