# SPDX-License-Identifier: MIT
"""The register map of axi_engine.v, read from reference_rtl/axi_engine.rdl by the SystemRDL compiler."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.hardware.sim.toolchain import rtl_folder

SOURCE = "axi_engine.rdl"


@dataclass(frozen=True)
class RegisterField:
    """A bit field of a register."""

    name: str
    description: str
    low: int
    bits: int
    access: str  # "rw", "r" or "w"
    clears: bool  # writing 1 clears the bit
    reset: int


@dataclass(frozen=True)
class AxiRegister:
    """A 32-bit register at a byte address."""

    name: str
    title: str
    description: str
    address: int
    fields: tuple[RegisterField, ...]

    @property
    def readable(self) -> bool:
        """Whether any field can be read."""
        return any("r" in field.access for field in self.fields)

    @property
    def writable(self) -> bool:
        """Whether any field can be written."""
        return any("w" in field.access for field in self.fields)

    @property
    def reset(self) -> int:
        """The value after a reset."""
        return sum(field.reset << field.low for field in self.fields)


def elaborate(folder: Path | None = None) -> Any:
    """The elaborated map of the SystemRDL compiler."""
    try:
        from systemrdl.compiler import RDLCompiler
    except ImportError:
        raise BoardError(
            f"{SOURCE} is read by the SystemRDL compiler; install it by `pip install fixedpoint_nn[axi]`"
        ) from None
    compiler = RDLCompiler()
    compiler.compile_file(str((folder or rtl_folder()) / SOURCE))
    return compiler.elaborate()


def read_map(folder: Path | None = None) -> tuple[AxiRegister, ...]:
    """Every register, in the order of addresses."""
    return tuple(_register(node) for node in elaborate(folder).top.registers())


def _register(node: Any) -> AxiRegister:
    """A register with its fields, from a node of the SystemRDL compiler."""
    fields = tuple(
        RegisterField(
            name=field.inst_name,
            description=field.get_property("desc"),
            low=field.low,
            bits=field.width,
            access=field.get_property("sw").name,
            clears=field.get_property("onwrite") is not None,
            reset=field.get_property("reset") or 0,
        )
        for field in node.fields()
    )
    return AxiRegister(
        node.inst_name,
        node.get_property("name"),
        node.get_property("desc") or "",
        node.address_offset,
        fields,
    )
