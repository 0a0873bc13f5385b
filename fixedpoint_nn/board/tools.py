# SPDX-License-Identifier: MIT
"""Finding the tools from Verilog to a bitstream: on PATH, or installed by the extra `board`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from fixedpoint_nn.hardware.sim.toolchain import ToolError


def find(name: str) -> list[str]:
    """The command of a tool; those of Python packages come first, because their versions are fixed."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), str(Path(sys.executable).parent)]
    for command in (f"yowasp-{name}", name):
        for folder in folders:
            found = shutil.which(command, path=folder)
            if found is not None:
                return [found]
    raise ToolError(
        f"{name} is needed, and there is none on PATH; install it by `pip install fixedpoint_nn[board]`"
    )
