# SPDX-License-Identifier: MIT
"""Import of quantised ONNX files (QuantizeLinear, QLinearConv, QONNX) with their integers."""
