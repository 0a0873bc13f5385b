# SPDX-License-Identifier: MIT
"""The command line: `fixedpoint-nn`, one file for each command."""

from fixedpoint_nn.cli.program import main

__all__ = ["main"]
