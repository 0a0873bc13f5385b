# SPDX-License-Identifier: MIT
"""The result of a verification, and the errors that can end one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fixedpoint_nn.files.scratch import PlaceError
from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.instructions import AssemblyError
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import pack_identity
from fixedpoint_nn.hardware.sim.run import SimulationError
from fixedpoint_nn.hardware.sim.toolchain import ToolError

FAILURES = (
    PackError,
    SimulationError,
    ToolError,
    PlaceError,
    EmulationError,
    AssemblyError,
    bit_packing.ImageError,
    OSError,
)


@dataclass(frozen=True)
class Verdict:
    """The result of a verification; `str` is the line to print."""

    passed: bool
    text: str
    vectors: int = 0
    words: int = 0
    cycles: int = 0
    ran: bool = True  # False: a tool or disk space was missing, so this says nothing about the pack

    @classmethod
    def because(cls, error: Exception) -> Verdict:
        """The verdict for a verification that raised this error."""
        if isinstance(error, (ToolError, PlaceError)):
            return cls(False, f"NOT RUN: {error}", ran=False)
        return cls(False, f"FAIL: {error}")

    @classmethod
    def of(cls, directory: Path, run: Callable[[], Verdict]) -> Verdict:
        """The verdict of `run`, which is repeated if the pack in `directory` was replaced meanwhile."""
        while True:
            before = pack_identity(directory)
            try:
                verdict = run()
            except FAILURES as error:
                verdict = cls.because(error)
            if verdict or pack_identity(directory) == before:
                return verdict

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return self.passed
