# SPDX-License-Identifier: MIT
"""Other people's networks: read, with the integers that their own runtimes compute."""

from fixedpoint_nn.interchange.affine import saving as _saving  # noqa: F401  (files may name these layers)
from fixedpoint_nn.interchange.load import load_model
from fixedpoint_nn.interchange.tflite import from_tflite

__all__ = ["from_tflite", "load_model"]
