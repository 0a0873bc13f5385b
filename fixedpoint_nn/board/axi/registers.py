# SPDX-License-Identifier: MIT
"""The names of the registers of axi_engine.v.

Written from reference_rtl/axi_engine.rdl by fixedpoint_nn/board/axi/register_files.py.
"""

from enum import IntEnum, IntFlag


class AxiAddress(IntEnum):
    """Byte addresses."""

    CONTROL = 0x00
    STATUS = 0x04
    SEED = 0x08
    CYCLES = 0x0C
    MAC_CYCLES = 0x10
    SATURATIONS = 0x14
    ARGMAX = 0x18
    WORD_ADDRESS = 0x1C
    INPUT_ADDRESS = 0x20
    INPUT_WORDS = 0x24
    INPUT_RUN = 0x28
    INPUT_STRIDE = 0x2C
    OUTPUT_ADDRESS = 0x30
    OUTPUT_WORDS = 0x34
    OUTPUT_RUN = 0x38
    OUTPUT_STRIDE = 0x3C
    LOAD_DATA = 0x40
    LOAD_COMMIT = 0x44
    WORD_DATA = 0x48
    INTERRUPT_ENABLE = 0x50
    INTERRUPT_PENDING = 0x54
    IDENTIFICATION = 0x60
    VERSION = 0x64
    CONTENT = 0x68
    CLOCK_KHZ = 0x6C
    LANES = 0x80
    ACTIVATION_WIDTH = 0x84
    WEIGHT_WIDTH = 0x88
    ACCUMULATOR_WIDTH = 0x8C
    BIAS_WIDTH = 0x90
    MODEL_WIDTH = 0x94
    MODEL_SATURATE = 0x98
    PRODUCT_BITS = 0x9C
    PRODUCT_SHIFT = 0xA0
    PRODUCT_SIGNED = 0xA4
    PRODUCT_ROUNDING = 0xA8
    PRODUCT_OVERFLOW = 0xAC
    ACTIVATION_DEPTH = 0xB0
    WEIGHT_DEPTH = 0xB4
    PARAMETER_DEPTH = 0xB8
    TABLE_DEPTH = 0xBC
    PROGRAM_DEPTH = 0xC0
    DRAIN = 0xC4
    MULTIPLIER_WIDTH = 0xC8
    WORDS = 0xCC
    PACK = 0xD0


class ControlBits(IntFlag):
    """Bits of CONTROL."""

    RECEIVE = 0x1
    RUN = 0x2
    SEND = 0x4
    REPEAT = 0x8
    ABORT = 0x10


class StatusBits(IntFlag):
    """Bits of STATUS."""

    BUSY = 0x1
    DONE = 0x2
    ACCUMULATOR_OVERFLOW = 0x4
    RECEIVING = 0x10
    RUNNING = 0x20
    SENDING = 0x40


class InterruptEnableBits(IntFlag):
    """Bits of INTERRUPT_ENABLE."""

    RECEIVED = 0x1
    RAN = 0x2
    SENT = 0x4
    FRAMING = 0x8


class InterruptPendingBits(IntFlag):
    """Bits of INTERRUPT_PENDING."""

    RECEIVED = 0x1
    RAN = 0x2
    SENT = 0x4
    FRAMING = 0x8


IDENTIFICATION = 0x46504E4E
MAJOR = 2
PARAMETERS = (
    AxiAddress.LANES,
    AxiAddress.ACTIVATION_WIDTH,
    AxiAddress.WEIGHT_WIDTH,
    AxiAddress.ACCUMULATOR_WIDTH,
    AxiAddress.BIAS_WIDTH,
    AxiAddress.MODEL_WIDTH,
    AxiAddress.MODEL_SATURATE,
    AxiAddress.PRODUCT_BITS,
    AxiAddress.PRODUCT_SHIFT,
    AxiAddress.PRODUCT_SIGNED,
    AxiAddress.PRODUCT_ROUNDING,
    AxiAddress.PRODUCT_OVERFLOW,
    AxiAddress.ACTIVATION_DEPTH,
    AxiAddress.WEIGHT_DEPTH,
    AxiAddress.PARAMETER_DEPTH,
    AxiAddress.TABLE_DEPTH,
    AxiAddress.PROGRAM_DEPTH,
    AxiAddress.DRAIN,
    AxiAddress.MULTIPLIER_WIDTH,
    AxiAddress.WORDS,
    AxiAddress.PACK,
)
