# SPDX-License-Identifier: MIT
"""Compiled kernels: exact integer products with a fused epilogue, trusted only after a test of themselves."""

from fixedpoint_nn.numerics.native import network_self_test  # noqa: F401  (it registers itself)
