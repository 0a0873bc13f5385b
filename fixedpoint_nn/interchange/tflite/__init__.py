# SPDX-License-Identifier: MIT
"""Import of TFLite models with 8-bit or 16-bit activations, with the integers of TFLite's reference kernels."""

from fixedpoint_nn.interchange.tflite.convert import from_tflite
from fixedpoint_nn.interchange.tflite.file import TfliteError
from fixedpoint_nn.interchange.tflite.streaming import streamed
from fixedpoint_nn.interchange.unsupported import UnsupportedModel

__all__ = ["TfliteError", "UnsupportedModel", "from_tflite", "streamed"]
