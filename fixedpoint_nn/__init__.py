# SPDX-License-Identifier: MIT
"""Neural networks from NumPy to silicon, bit for bit."""

from fixedpoint_nn import layers
from fixedpoint_nn.tensor import Tensor

__all__ = ["Tensor", "layers"]
