# SPDX-License-Identifier: MIT
"""Import and export of ONNX files: graphs of layers, over floats or integers."""
