# SPDX-License-Identifier: MIT
"""Icarus Verilog and Verilator: found, compiled, run."""
