# SPDX-License-Identifier: MIT
"""Text generation on the engine, character by character, and the same by the bit-accurate model."""

from fixedpoint_nn.hardware.textgen.compile import lower_writer
from fixedpoint_nn.hardware.textgen.network import END, SamplingConfig, TextNetwork
from fixedpoint_nn.hardware.textgen.text import RtlWriter, emit_writer, write

__all__ = ["END", "RtlWriter", "SamplingConfig", "TextNetwork", "emit_writer", "lower_writer", "write"]
