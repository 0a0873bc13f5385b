# SPDX-License-Identifier: MIT
"""Files generated from the register map: Verilog header, Python names, C header, IP-XACT, documentation.

`python -m fixedpoint_nn.board.axi.register_files` writes them all; a test compares them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from fixedpoint_nn.board.axi.register_map import AxiRegister, elaborate, read_map

ROOT = Path(__file__).resolve().parents[3]
LICENCE = "SPDX-License-Identifier: MIT"
ORIGIN = "Written from reference_rtl/axi_engine.rdl by fixedpoint_nn/board/axi/register_files.py."
VENDOR = "fixedpoint-nn"


def verilog_header() -> str:
    """The Verilog header: addresses, and bits of registers with several fields."""
    registers = read_map()
    lines = [f"// {LICENCE}", f"// {ORIGIN}", "`ifndef AXI_REGISTERS_VH", "`define AXI_REGISTERS_VH"]
    lines += [f"`define AXI_{register.name} 8'h{register.address:02X}" for register in registers]
    lines.append("")
    for register in registers:
        if len(register.fields) > 1:
            lines += [f"`define AXI_{register.name}_{f.name.upper()} {f.low}" for f in register.fields]
    constants = ("IDENTIFICATION", "VERSION")
    lines += [
        "",
        *(f"`define AXI_{r.name}_VALUE 32'h{r.reset:08X}" for r in registers if r.name in constants),
    ]
    return "\n".join([*lines, "`endif", ""])


def python_names() -> str:
    """The Python module: an enumeration of addresses, and one of bits for each register with several."""
    registers = read_map()
    lines = [f"# {LICENCE}", '"""The names of the registers of axi_engine.v.', "", ORIGIN, '"""', ""]
    lines += ["from enum import IntEnum, IntFlag", "", "", "class AxiAddress(IntEnum):"]
    lines += ['    """Byte addresses."""', ""]
    lines += [f"    {register.name} = 0x{register.address:02X}" for register in registers]
    for register in registers:
        if len(register.fields) > 1 and all(field.bits == 1 for field in register.fields):
            title = "".join(word.capitalize() for word in register.name.split("_"))
            lines += ["", "", f"class {title}Bits(IntFlag):", f'    """Bits of {register.name}."""', ""]
            lines += [f"    {field.name.upper()} = 0x{1 << field.low:X}" for field in register.fields]
    by_name = {register.name: register for register in registers}
    major = next(field.reset for field in by_name["VERSION"].fields if field.name == "major")
    lines += ["", "", f"IDENTIFICATION = 0x{by_name['IDENTIFICATION'].reset:08X}", f"MAJOR = {major}"]
    first = by_name["LANES"].address
    lines += ["PARAMETERS = (", *(f"    AxiAddress.{r.name}," for r in registers if r.address >= first), ")"]
    return "\n".join([*lines, ""])


def page() -> str:
    """The documentation page of the registers, as Markdown."""
    registers = read_map()
    lines = [f"<!-- {ORIGIN} -->", "# Registers of `axi_engine`", ""]
    lines += [str(elaborate().top.get_property("desc")), ""]
    lines += [
        "Registers are 32 bits wide and lie at byte addresses; the two lowest bits of an address are not looked at. "
        "An access that does nothing is answered SLVERR, and every other one OKAY: a read of an address or of a "
        "register that has nothing to read, a write where there is nothing to write, and what is refused below.",
        "",
        "| address | register | access | after a reset | |",
        "|---|---|---|---|---|",
    ]
    for register in registers:
        lines.append(
            f"| `0x{register.address:02X}` | `{register.name}` | {_access(register)} | `0x{register.reset:X}` "
            f"| {register.title} |"
        )
    for register in (r for r in registers if r.description):
        lines += ["", f"## `{register.name}`", "", register.description, "", "| bits | field | access | |"]
        lines.append("|---|---|---|---|")
        for field in register.fields:
            bits = f"{field.low + field.bits - 1}:{field.low}" if field.bits > 1 else f"{field.low}"
            access = "r, 1 clears" if field.clears else field.access
            lines.append(f"| {bits} | `{field.name}` | {access} | {field.description} |")
    lines += ["", "## The engine's parameters", ""]
    first, last = (next(r.address for r in registers if r.name == "LANES"), registers[-1].address)
    lines += [
        f"From `0x{first:02X}` to `0x{last:02X}` the parameters that the engine is built with, a register each.",
        "",
    ]
    return "\n".join(lines)


def _access(register: AxiRegister) -> str:
    return "".join(letter for letter, has in zip("rw", (register.readable, register.writable)) if has)


def c_header() -> str:
    """The C header by PeakRDL: addresses as a structure, bits as masks."""
    from peakrdl_cheader.exporter import CHeaderExporter

    text = _exported("fpnn_axi_registers.h", lambda path: CHeaderExporter().export(elaborate(), path))
    return f"/* {LICENCE} */\n/* {ORIGIN} */\n{text}"


def ip_xact() -> str:
    """The IP-XACT component (IEEE 1685-2014) by PeakRDL."""
    from peakrdl_ipxact import IPXACTExporter

    exporter = IPXACTExporter(vendor=VENDOR, library="engine", version="2.0")
    text = _exported(
        "axi_engine.xml", lambda path: exporter.export(elaborate(), path, component_name="axi_engine")
    )
    head, _, rest = text.partition("\n")
    return f"{head}\n<!-- {LICENCE} -->\n<!-- {ORIGIN} -->\n{rest}"


def _exported(name: str, export: Callable[[str], None]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        export(str(path))
        return path.read_text("utf-8")


FILES: dict[str, Callable[[], str]] = {
    "reference_rtl/axi_registers.vh": verilog_header,
    "reference_rtl/axi_engine.xml": ip_xact,
    "fixedpoint_nn/board/axi/registers.py": python_names,
    "fixedpoint_nn/board/axi/fpnn_axi_registers.h": c_header,
    "docs/hardware/registers.md": page,
}

if __name__ == "__main__":
    for name, write in FILES.items():
        (ROOT / name).write_text(write(), "utf-8")
