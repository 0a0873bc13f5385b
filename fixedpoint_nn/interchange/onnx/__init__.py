# SPDX-License-Identifier: MIT
"""ONNX files: read as graphs of this project's layers, over floats."""
