# SPDX-License-Identifier: MIT
"""The waveforms of the integration guide: simulated in Icarus Verilog, drawn as SVG.

`python docs/hardware/waveforms.py` writes them; a test proves them current.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from fixedpoint_nn import load_pack
from fixedpoint_nn.board.export import export

HERE = Path(__file__).resolve().parent
PACK = HERE.parents[1] / "golden_vectors" / "moons"
SIGNALS = (
    *("reset_n", "awaddr", "awvalid", "awready", "wvalid", "wdata", "wready", "bvalid", "bresp", "bready"),
    *("s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast", "busy"),
    *("m_axis_tvalid", "m_axis_tdata", "m_axis_tready", "m_axis_tlast", "irq"),
)
BUSES = {"awaddr": "awvalid", "wdata": "wvalid", "bresp": "bvalid"}  # and what says that they count
BUSES |= {"s_axis_tdata": "s_axis_tvalid", "m_axis_tdata": "m_axis_tvalid"}
SCENES = {
    "write": (
        "reset_n",
        "awvalid",
        "awready",
        "awaddr",
        "wvalid",
        "wready",
        "wdata",
        "bvalid",
        "bready",
        "bresp",
    ),
    "input": (
        *("awvalid", "wvalid", "wdata", "bvalid", "busy"),
        *("s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast"),
    ),
    "output": (
        *("busy", "m_axis_tvalid", "m_axis_tready", "m_axis_tdata", "m_axis_tlast", "irq"),
        *("awvalid", "wvalid", "wdata", "bvalid"),
    ),
    "abort": (
        "awvalid",
        "wvalid",
        "wdata",
        "bvalid",
        "busy",
        "m_axis_tvalid",
        "m_axis_tready",
        "m_axis_tdata",
    ),
}
LEFT, STEP, HIGH, ROW, TOP = 120, 34, 16, 28, 26
STYLE = """svg{color-scheme:light dark;font:12px ui-monospace,monospace}
.line{fill:none;stroke:#1d4ed8;stroke-width:1.6}.grid{stroke:#8884;stroke-width:1}
.bus{fill:#1d4ed81a;stroke:#1d4ed8;stroke-width:1.2}text{fill:#222}.back{fill:#fff}
@media(prefers-color-scheme:dark){.line,.bus{stroke:#93b4ff}.bus{fill:#93b4ff22}text{fill:#e6e6e6}.back{fill:#16181d}}"""

Clocks = list[dict[str, str]]


def simulate() -> dict[str, Clocks]:
    """What the signals of each scene are in each clock."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "moons"
        export(load_pack(PACK), folder)
        sources = [*sorted((folder / "rtl").glob("*.v")), folder / "top.v", HERE / "waveforms_tb.v"]
        program = folder / "waveforms.vvp"
        command = ["iverilog", "-g2005", f"-I{folder / 'rtl'}", "-s", "waveforms_tb", "-o", str(program)]
        subprocess.run([*command, *map(str, sources)], check=True)
        text = subprocess.run(
            ["vvp", "-n", str(program)], cwd=folder, check=True, capture_output=True, text=True, timeout=60
        ).stdout
    if not text.rstrip().endswith("end"):
        raise RuntimeError(f"the scenes did not come to their end: {text[-300:]}")
    scenes: dict[str, Clocks] = {}
    for line in text.splitlines():
        kind, *words = line.split()
        if kind == "scene":
            scenes[words[0]] = []
        elif kind == "clock":
            list(scenes.values())[-1].append(dict(zip(SIGNALS, words, strict=True)))
    return scenes


def draw(title: str, signals: tuple[str, ...], clocks: Clocks) -> str:
    """One scene as SVG: a row for each signal, a column for each clock."""
    width, height = LEFT + STEP * len(clocks) + 10, TOP + ROW * len(signals) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{title}: {", ".join(signals)} over {len(clocks)} clocks">',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
    ]
    for place in range(len(clocks) + 1):
        x = LEFT + STEP * place
        parts.append(f'<line class="grid" x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height - 4}"/>')
        if place < len(clocks):
            parts.append(f'<text x="{x + STEP // 2}" y="14" text-anchor="middle">{place}</text>')
    for row, signal in enumerate(signals):
        low = TOP + ROW * row + HIGH + 4
        parts.append(f'<text x="{LEFT - 8}" y="{low - 3}" text-anchor="end">{signal}</text>')
        parts += _bus(signal, clocks, low) if signal in BUSES else [_line(signal, clocks, low)]
    return "\n".join([*parts, "</svg>", ""])


def _line(signal: str, clocks: Clocks, low: int) -> str:
    points = []
    for place, clock in enumerate(clocks):
        y = low - HIGH if clock[signal] == "1" else low
        points += [f"{LEFT + STEP * place},{y}", f"{LEFT + STEP * (place + 1)},{y}"]
    return f'<polyline class="line" points="{" ".join(points)}"/>'


def _bus(signal: str, clocks: Clocks, low: int) -> list[str]:
    """Boxes where the word counts; neighbours with the same word are one box."""
    parts, start = [], 0
    values = [clock[signal] if clock[BUSES[signal]] == "1" else "" for clock in clocks]
    for place in range(1, len(values) + 1):
        if place < len(values) and values[place] == values[start]:
            continue
        if values[start]:
            x, wide = LEFT + STEP * start, STEP * (place - start)
            parts.append(
                f'<rect class="bus" x="{x + 1}" y="{low - HIGH}" width="{wide - 2}" height="{HIGH}" rx="3"/>'
                f'<text x="{x + wide / 2:g}" y="{low - 4}" text-anchor="middle">{values[start]}</text>'
            )
        start = place
    return parts


def pictures() -> dict[str, str]:
    """Each picture by its file's name."""
    scenes = simulate()
    return {f"{name}.svg": draw(name, signals, scenes[name]) for name, signals in SCENES.items()}


if __name__ == "__main__":
    for name, picture in pictures().items():
        (HERE / name).write_text(picture, "utf-8")
