# SPDX-License-Identifier: MIT
"""The table of block memories and multipliers in the integration guide is what yosys makes of the export."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from fixedpoint_nn.board.axi.register_files import ROOT
from fixedpoint_nn.board.export import export
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool
from tests.board.conftest import GOLDEN
from tests.board.export.test_export import run
from tests.proof.yosys import SCRATCH

PAGE = ROOT / "docs" / "hardware" / "index.md"
ROWS = re.findall(
    r"^\| [^|]+ \| `(synth_[^`]+)` \| ([^|]+) \| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE
)


def test_the_table_has_five_chips() -> None:
    assert len(ROWS) == 5


@pytest.mark.slow
@pytest.mark.parametrize(("command", "memories", "multipliers"), ROWS, ids=[row[0] for row in ROWS])
def test_a_chip_has_the_memories_of_the_table(command: str, memories: str, multipliers: str) -> None:
    try:
        yosys = find_tool("yosys").path
    except ToolError as error:
        pytest.skip(str(error))
    # Through a file: after ABC, the yosys of the package index may lose what it prints.
    script = f"read_verilog -Irtl top.v rtl/*.v; {command} -top nplm_top; tee -o stat.txt stat"
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as scratch:
        folder = Path(scratch) / "nplm"
        export(load_pack(GOLDEN / "nplm"), folder)
        run(folder, yosys, "-q", "-p", script, seconds=1800)
        text = (folder / "stat.txt").read_text()
    found = counted(text)
    wanted = {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", f"{memories}, {multipliers}")}
    assert {name: found.get(name) for name in wanted} == wanted


def counted(text: str) -> dict[str, int]:
    """The cells of the whole design, which stand at the end of yosys's statistics."""
    rows = re.findall(r"^ +(\d+) +([A-Z]\w+)$", text[text.rindex(" cells") :], re.MULTILINE)
    return {name: int(count) for count, name in rows}
