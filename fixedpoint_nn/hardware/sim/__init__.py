# SPDX-License-Identifier: MIT
"""Simulation with Icarus Verilog and Verilator: finding the tools, compiling, running."""
