# SPDX-License-Identifier: MIT
"""The engine in Python: bit-true and cycle-true to the Verilog."""
