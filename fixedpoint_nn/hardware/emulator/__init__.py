# SPDX-License-Identifier: MIT
"""The emulator: the engine in Python, bit-true and cycle-true to the Verilog."""
