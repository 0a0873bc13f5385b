# SPDX-License-Identifier: MIT
"""Files that are quantised already (QuantizeLinear, QLinearConv, QONNX): their integers, kept as integers."""
