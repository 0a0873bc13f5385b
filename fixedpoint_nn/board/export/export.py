# SPDX-License-Identifier: MIT
"""Writing a pack's network as a reusable design, in one folder."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fixedpoint_nn.board.axi.registers import AxiAddress
from fixedpoint_nn.board.design import PARAMETERS as IMAGE_PARAMETERS
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.files.replace import replaced
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.pack.resident import demand_one_input, demand_resident
from fixedpoint_nn.hardware.sim.toolchain import rtl_folder
from fixedpoint_nn.version import __version__

SUFFIX = ".jinja"
VERILOG = (".v", ".vh")
ABOUT_REGISTERS = ("axi_engine.rdl", "axi_engine.xml", "lint.vlt")
C_HEADERS = ("fpnn_axi.h", "fpnn_axi_registers.h")
FEW = 4  # golden vectors in the example in C


@dataclass(frozen=True)
class Exported:
    """An exported design: its folder, top module, FuseSoC name, and content number."""

    folder: Path
    top: str
    vlnv: str
    content: int


def export(pack: Pack, folder: str | os.PathLike[str]) -> Exported:
    """Write the design of a pack into a folder, which must be new or an earlier export."""
    demand_resident(pack.config, "An export")
    demand_one_input(pack.halves, "An export")
    values, folder = _values(pack), Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "network.core").exists():
        raise BoardError(
            f"{folder} holds other files than an export; choose a new folder, or one of an earlier export"
        )
    with replaced(folder) as work:
        _copy(pack, work)
        sources = sorted(f"rtl/{path.name}" for path in (work / "rtl").glob("*.v"))
        headers = sorted(f"rtl/{path.name}" for path in (work / "rtl").glob("*.vh"))
        data = sorted(str(path.relative_to(work)) for path in (work / "pack").rglob("*.mem"))
        values |= {"sources": [*sources, "top.v"], "headers": [*headers, "pack.vh"], "data": data}
        _render(values, work)
    return Exported(folder, values["top"], values["vlnv"], int(values["content"], 16))


def _values(pack: Pack) -> dict[str, Any]:
    """The variables of the templates."""
    name = re.sub(r"\W", "_", pack.name)
    config, check, images = pack.config, 0, []
    for kind, (bits, words) in pack.images.words(config).items():
        if words:
            check = zlib.crc32(memory_files.write_mem(words, bits).encode(), check)
            images.append((IMAGE_PARAMETERS[kind], kind))
    width = config.activation_width
    places = {
        f"{side}_{key.upper()}": getattr(port, key) & 0xFFFFFF
        for side, port in (("INPUT", pack.input), ("OUTPUT", pack.output))
        for key in ("address", "words", "run", "stride")
    }
    return {
        "name": name,
        "prefix": name.upper(),
        "top": f"{name}_top",
        "vlnv": f"fixedpoint_nn:networks:{name}:1.0.0",
        "version": __version__,
        "parameters": config.verilog(),
        "places": places,
        "images": images,
        "input": pack.input,
        "output": pack.output,
        "seed": pack.seed,
        "content": f"{check:08x}",
        "width": width,
        "bytes": -(-width // 8),
        "stream": -(-width // 8) * 8,
        "vectors": len(pack.vectors),
        "cycles": pack.cycles,
        "few": min(FEW, len(pack.vectors)),
        "few_inputs": pack.vectors[:FEW].tolist(),
        "few_expected": pack.expected[:FEW].tolist(),
        "few_cycles": pack.cycles[:FEW],
        "control": f"0x{AxiAddress.CONTROL:02X}",
        "status": f"0x{AxiAddress.STATUS:02X}",
        "seed_register": f"0x{AxiAddress.SEED:02X}",
        "cycles_register": f"0x{AxiAddress.CYCLES:02X}",
    }


def _copy(pack: Pack, folder: Path) -> None:
    """Copy the engine's Verilog, the pack, and the drivers' headers."""
    (folder / "rtl").mkdir()
    for path in rtl_folder().iterdir():
        if path.suffix in VERILOG or path.name in ABOUT_REGISTERS:
            shutil.copy(path, folder / "rtl" / path.name)
    shutil.copytree(pack.directory, folder / "pack")
    (folder / "driver").mkdir()
    for name in C_HEADERS:
        source = files("fixedpoint_nn.board.axi") / name
        (folder / "driver" / name).write_text(source.read_text("utf-8"), "utf-8")


def _render(values: dict[str, Any], folder: Path) -> None:
    """Write every template of the folder `templates`, with these values, below `folder`."""
    templates = Path(str(files("fixedpoint_nn.board.export") / "templates"))
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        block_start_string="«%",
        block_end_string="»",
        variable_start_string="«",
        variable_end_string="»",
        comment_start_string="«#",
    )
    for path in sorted(templates.rglob(f"*{SUFFIX}")):
        name = path.relative_to(templates).as_posix()
        target = folder / name.removesuffix(SUFFIX)
        target.parent.mkdir(exist_ok=True)
        target.write_text(environment.get_template(name).render(values), "utf-8")
