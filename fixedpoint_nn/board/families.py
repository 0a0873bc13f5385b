# SPDX-License-Identifier: MIT
"""FPGA families: their resources, and the open tools for them."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, int]  # words, bits


@dataclass(frozen=True)
class Family:
    """A family: shapes of block memories, multipliers, LUTs, and the tools from Verilog to a bitstream."""

    title: str
    block: str  # the name of a block memory
    shapes: tuple[Shape, ...]  # of a block memory with one read and one write port
    write_bits: int  # bits of a block memory's word per write enable
    masked: int  # bits of the narrowest shape with such write enables
    small_bits: int  # memories of at most this many bits are made of logic
    multiplier: str
    multiplier_bits: Shape  # signed widths of its factors
    synth: str  # yosys command; empty: no open flow
    tools: tuple[str, str]  # nextpnr and the packer
    constraints: str  # suffix
    bitstream: str  # suffix
    lut_inputs: int = 4
    lut_memories: tuple[tuple[int, int, int], ...] = ((16, 4, 8),)  # words, bits and LUTs of one
    block_in_luts: int = 0  # LUTs up to which a memory is made of LUTs, not a block; 0: by small_bits


BLOCKS_18K = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
FAMILIES = {
    "ecp5": Family(
        "Lattice ECP5",
        "DP16KD",
        BLOCKS_18K,
        9,
        9,
        1024,
        "MULT18X18D",
        (18, 18),
        "synth_ecp5 -dff -top top -json top.json",
        ("nextpnr-ecp5", "ecppack"),
        ".lpf",
        ".bit",
    ),
    "ice40": Family(
        "Lattice iCE40 UltraPlus",
        "EBR",
        ((256, 16), (512, 8), (1024, 4), (2048, 2)),
        1,
        16,
        64,
        "SB_MAC16",
        (16, 16),
        "synth_ice40 -dsp -dff -top top -json top.json",
        ("nextpnr-ice40", "icepack"),
        ".pcf",
        ".bin",
    ),
    "gowin": Family(
        "Gowin GW2A",
        "BSRAM",
        BLOCKS_18K,
        9,
        9,
        1024,
        "MULT18X18",
        (18, 18),
        "synth_gowin -family gw2a -top top -json top.json",
        ("nextpnr-himbaechel-gowin", "gowin_pack"),
        ".cst",
        ".fs",
    ),
    "xc7": Family(
        "Xilinx 7",
        "RAMB18",
        BLOCKS_18K,
        9,
        9,
        1024,
        "DSP48E1",
        (25, 18),
        "",
        ("", ""),
        ".xdc",
        ".bit",
        lut_inputs=6,
        lut_memories=((32, 6, 4), (64, 3, 4)),
        block_in_luts=64,  # yosys's weight
    ),
}
