# SPDX-License-Identifier: MIT
"""Compiled kernels: exact integer products with a fused epilogue, used only after they pass a self-test."""

from fixedpoint_nn.numerics.native import network_self_test  # noqa: F401  (it registers itself)
