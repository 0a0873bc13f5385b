# SPDX-License-Identifier: MIT
"""Compiled kernels: exact integer products with a fused epilogue, used only after they pass a self-test."""

from fixedpoint_nn.numerics.native import (  # noqa: F401  (they register themselves)
    elementwise,
    image_windows,
    network_self_test,
    quantize,
)
