# SPDX-License-Identifier: MIT
"""The table of supported operators in docs/tflite.md."""

from __future__ import annotations

from fixedpoint_nn.interchange.tflite.operators import OPERATORS

# Limits besides "all options of TFLite's reference kernel for int8 and int16".
REMARKS = {
    "ADD": "of two values, or a value and a constant",
    "CONCATENATION": "of values of one scale; on the engine along the last axis",
    "CONV_2D": "groups, dilation, a scale for each channel",
    "DEPTHWISE_CONV_2D": "channel multiplier, dilation, a scale for each channel",
    "DEPTH_TO_SPACE": "8 bits only, as in TFLite",
    "FULLY_CONNECTED": "a scale for each channel; one row for each sample, unless axes are kept",
    "GATHER": "of constant places",
    "HARD_SWISH": "8 bits only, as in TFLite",
    "LOGISTIC": "8 bits: the C library's `exp`, correctly rounded",
    "MAXIMUM": "of two values of one scale",
    "MEAN": "over any axes but the batch",
    "MINIMUM": "of two values of one scale",
    "MUL": "of two values, or a value and a constant",
    "PAD": "with the zero point; any axes but the batch",
    "QUANTIZE": "from integers to integers, of 8 bits without a sign at the ends of a model; from floats at its input",
    "RELU_0_TO_1": "8 bits only, as in TFLite",
    "RELU_N1_TO_1": "8 bits only, as in TFLite",
    "SPACE_TO_DEPTH": "8 bits only, as in TFLite",
    "SOFTMAX": "over the last axis; the one of 8 bits needs words of 32 bits, and the engine's have 31",
    "TRANSPOSE": "the batch stays first",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "8-bit states, 16-bit cells; peepholes, coupled gates, a projection, both clips",
    "STRIDED_SLICE": "without an ellipsis, a new axis or an offset",
    "SUB": "of two values, or a value and a constant",
    "TANH": "8 bits: the C library's `tanh`, correctly rounded",
}


def table() -> str:
    """The table as Markdown, one row per operator."""
    rows = ["| operator | remarks |", "|---|---|"]
    rows += [f"| `{name}` | {REMARKS.get(name, '')} |" for name in sorted(OPERATORS)]
    rows.append("| `ARG_MAX`, `DEQUANTIZE` | at the end of a model; `QUANTIZE` of floats at its beginning |")
    return "\n".join(rows)
