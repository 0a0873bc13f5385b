# SPDX-License-Identifier: MIT
"""Neural networks from NumPy to silicon, bit for bit."""

from typing import TYPE_CHECKING, Any

from fixedpoint_nn import data, layers, zoo
from fixedpoint_nn.hardware import RtlModel, emit, load_pack
from fixedpoint_nn.interchange.affine import saving as _saving  # noqa: F401 - files may name its layers
from fixedpoint_nn.interchange.hls4ml import accumulated as _accumulated  # noqa: F401 - the same
from fixedpoint_nn.numbers import loops as _loops  # noqa: F401 - registers the planned loops
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.table import Table
from fixedpoint_nn.precision import calibrate, quantize, sweep
from fixedpoint_nn.version import __version__

if TYPE_CHECKING:
    from fixedpoint_nn.interchange.hls4ml.convert import from_hls4ml
    from fixedpoint_nn.interchange.load import load_model
    from fixedpoint_nn.interchange.onnx.importing import from_onnx
    from fixedpoint_nn.interchange.onnx.integers.reader import from_qonnx
    from fixedpoint_nn.interchange.onnx.writer import to_onnx
    from fixedpoint_nn.interchange.tflite.convert import from_tflite

__all__ = [
    "UQ",
    "Accumulator",
    "FixedArray",
    "Overflow",
    "Q",
    "QFormat",
    "Quantizer",
    "Rounding",
    "RtlModel",
    "Table",
    "Tensor",
    "__version__",
    "calibrate",
    "data",
    "emit",
    "from_hls4ml",
    "from_onnx",
    "from_qonnx",
    "from_tflite",
    "layers",
    "load_model",
    "load_pack",
    "quantize",
    "sweep",
    "to_onnx",
    "zoo",
]

_LATER = {  # imported when they are asked for
    "from_hls4ml": "fixedpoint_nn.interchange.hls4ml.convert",
    "from_onnx": "fixedpoint_nn.interchange.onnx.importing",
    "from_qonnx": "fixedpoint_nn.interchange.onnx.integers.reader",
    "from_tflite": "fixedpoint_nn.interchange.tflite.convert",
    "load_model": "fixedpoint_nn.interchange.load",
    "to_onnx": "fixedpoint_nn.interchange.onnx.writer",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
