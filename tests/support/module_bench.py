# SPDX-License-Identifier: MIT
"""Runs the bench of one Verilog module in Icarus, with rows of numbers if it wants some."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from tests.support.engine_bench import RTL, scratch

# What axi_engine_ports_tb.v is compiled with: a stand-in for the engine.
PORTS = ("axi_engine.v", "axi_lite_port.v", "tb/engine_stand_in.v")


def bench(
    top: str, parameters: dict[str, int] | None = None, plusargs: list[str] | None = None, rtl: Path = RTL
) -> str:
    """Compiles and runs one bench in Icarus, with the modules that it needs; what it printed."""
    sources = [rtl / name for name in PORTS] if top == "axi_engine_ports_tb" else sorted(rtl.glob("*.v"))
    target = scratch() / "bench.vvp"
    command = ["iverilog", "-g2005", f"-I{rtl}", "-s", top, "-o", str(target)]
    command += [f"-P{top}.{name}={value}" for name, value in (parameters or {}).items()]
    subprocess.run([*command, str(rtl / "tb" / f"{top}.v"), *map(str, sources)], check=True)
    run = ["vvp", "-n", str(target), *(plusargs or [])]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    text = done.stdout + done.stderr
    assert (done.returncode == 0) == ("PASS" in text), text
    return text


def vectors(columns: list[tuple[np.ndarray, int]]) -> Path:
    """A file of fixed-width rows: the columns' bit patterns side by side, the first in the highest bits."""
    path = scratch() / "vectors.mem"
    total = sum(bits for _, bits in columns)
    lines = []
    for row in zip(*(np.ravel(values).tolist() for values, _ in columns), strict=True):
        word = 0
        for value, (_, bits) in zip(row, columns, strict=True):
            word = word << bits | int(value) & ((1 << bits) - 1)
        lines.append(f"{word:0{-(-total // 4)}x}\n")
    path.write_text("".join(lines))
    return path
