# SPDX-License-Identifier: MIT
"""docs/board.md: its self-test passes in simulation on a good pack, fails on a wrong word, and synthesises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder
from fixedpoint_nn.hardware.verify.selftest import Kind

pytestmark = pytest.mark.slow  # the page trains the network that writes names
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "board.md").read_text(encoding="utf-8")
BENCH = """
module bench;
    reg clock = 0;
    wire finished, equal;
    wire [31:0] first_difference;
    always #1 clock = !clock;
    selftest u_selftest (.clock(clock), .finished(finished), .equal(equal), .first_difference(first_difference));
    always @(posedge clock) if (finished) begin
        if (equal) $display("EQUAL");
        else $display("DIFFERENT %0d", first_difference);
        $finish;
    end
    initial #4000000 begin
        $display("HUNG");
        $finish;
    end
endmodule
"""


def _block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's Python leaves, and its Verilog beside it."""
    folder = tmp_path_factory.mktemp("board")
    subprocess.run([sys.executable, "-c", _block("python")], cwd=folder, check=True, timeout=300)
    (folder / "pack" / "selftest.v").write_text(_block("verilog"))
    (folder / "pack" / "bench.v").write_text(BENCH)
    return folder / "pack"


def _simulated(pack: Path) -> str:
    sources = [str(path) for path in sorted(rtl_folder().glob("*.v"))]
    command = [
        str(find_tool("iverilog").path),
        "-g2005",
        f"-I{rtl_folder()}",
        "-I.",
        "-s",
        "bench",
        "-o",
        "sim",
    ]
    subprocess.run([*command, "bench.v", "selftest.v", *sources], cwd=pack, check=True, timeout=120)
    run = [str(find_tool("vvp").path), "-n", "sim"]
    done = subprocess.run(run, cwd=pack, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout.split("\n")[-2]


def _with_a_flip(path: Path, line: int, bit: int) -> str:
    """Flip one bit of one word of a file for `$readmemh`; the text that stood there."""
    good = path.read_text()
    lines = good.splitlines()
    lines[line] = f"{int(lines[line], 16) ^ 1 << bit:0{len(lines[line])}x}"
    path.write_text("\n".join(lines) + "\n")
    return good


def test_the_self_test_of_a_board_finds_every_word_equal(pack: Path) -> None:
    assert _simulated(pack) == "EQUAL"


def test_the_self_test_of_a_board_notices_a_wrong_comparison_and_names_its_step(pack: Path) -> None:
    script = pack / "selftest.mem"
    steps = [int(line, 16) >> 32 for line in script.read_text().splitlines()]
    last = max(place for place, kind in enumerate(steps) if kind == Kind.COMPARE)
    good = _with_a_flip(script, last, 0)
    try:
        assert _simulated(pack) == f"DIFFERENT {last}"
    finally:
        script.write_text(good)


@pytest.mark.parametrize("memory", ["weights", "parameters"])
@pytest.mark.parametrize("word", [0, -1])
def test_the_self_test_of_a_board_notices_a_flipped_bit_of_an_image(
    pack: Path, memory: str, word: int
) -> None:
    image = pack / "images" / f"{memory}.mem"
    bits = 4 * len(image.read_text().split()[word])
    good = _with_a_flip(image, word, bits // 2 + 1)
    try:
        assert _simulated(pack).startswith("DIFFERENT ")
    finally:
        image.write_text(good)


def test_the_self_test_of_a_board_synthesises_for_the_ecp5_into_block_memories_and_multipliers(
    pack: Path,
) -> None:
    (pack / "ulx3s.v").write_text(_block("sv"))
    sources = " ".join(str(path) for path in sorted(rtl_folder().glob("*.v")))
    script = (
        f"read_verilog -I{rtl_folder()} -I. {sources} selftest.v ulx3s.v; synth_ecp5 -top ulx3s; "
        "stat; check -assert"
    )
    run = subprocess.run(
        [str(find_tool("yosys").path), "-p", script], cwd=pack, capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    cells = re.findall(r"^ +(?:(\d+) +(?:\d+ +)?)?(MULT18X18D|DP16KD)(?: +(\d+))?", run.stdout, re.MULTILINE)
    found = {name for _, name, _ in cells}
    assert "MULT18X18D" in found
