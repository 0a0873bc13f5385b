# SPDX-License-Identifier: MIT
"""The table of supported operators in docs/tflite.md."""

from __future__ import annotations

from fixedpoint_nn.interchange.tflite.operators import OPERATORS

# Limits besides "all options of TFLite's reference kernel for uint8, int8 and int16".
REMARKS = {
    "ABS": "with a sign",
    "BATCH_MATMUL": "with a sign; of two values of equal batches, or a value and a constant matrix",
    "ELU": "int8; TFLite has no reference kernel of it, its usual one is the judge",
    "EXP": "with a sign; by the C library's `expf`",
    "GELU": "by the C library's `erfcf` or `tanhf`",
    "L2_NORMALIZATION": "8 bits; the engine has no products as wide as it needs",
    "LOG": "with a sign; by the C library's `logf`",
    "MIRROR_PAD": "any axes but the batch",
    "PADV2": "with a constant; any axes but the batch",
    "PRELU": "8 bits; constant slopes of any shape",
    "RESIZE_BILINEAR": "without a sign only where 32-bit floats are exact, as by whole factors that are powers of two",
    "REVERSE_V2": "one axis",
    "RSQRT": "with a sign",
    "SQUARED_DIFFERENCE": "int8; of two values, or a value and a constant",
    "SUM": "uint8; with a sign TFLite's kernel takes the bytes for unsigned ones",
    "SVDF": "int8, its state int16; the state is one more input and output, as that of a variable",
    "TILE": "any axes but the batch",
    "TRANSPOSE_CONV": "a scale for each channel",
    "ADD": "of two values, or a value and a constant",
    "CONCATENATION": "of values of one scale; on the engine along the last axis",
    "CONV_2D": "groups, dilation, a scale for each channel",
    "DEPTHWISE_CONV_2D": "channel multiplier, dilation, a scale for each channel",
    "DEPTH_TO_SPACE": "8 bits only, as in TFLite",
    "DEQUANTIZE": "at the end of a model; inside of it with functions of one value, such as `NEG`, up to a `QUANTIZE`",
    "FULLY_CONNECTED": "a scale for each channel; one row or several for each sample",
    "GATHER": "of constant places, or of a constant's rows by token ids that are an input",
    "HARD_SWISH": "8 bits only, as in TFLite",
    "LOGISTIC": "8 bits: by the C library's `expf`",
    "MAXIMUM": "of two values of one scale, or a value and a constant of it",
    "MEAN": "over any axes but the batch",
    "MINIMUM": "of two values of one scale, or a value and a constant of it",
    "MUL": "of two values, or a value and a constant",
    "PAD": "with the zero point; any axes but the batch",
    "QUANTIZE": "from integers to integers; from floats at a model's beginning",
    "RELU_0_TO_1": "8 bits only, as in TFLite",
    "RELU_N1_TO_1": "8 bits only, as in TFLite",
    "SPACE_TO_DEPTH": "8 bits only, as in TFLite",
    "SOFTMAX": "over the last axis; the one of 8 bits needs words of 32 bits, and the engine's have 31",
    "TRANSPOSE": "the batch stays first",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "8-bit states, 16-bit cells; peepholes, coupled gates, a projection, both clips",
    "STRIDED_SLICE": "without an ellipsis, a new axis or an offset",
    "SUB": "of two values, or a value and a constant",
    "TANH": "8 bits: by the C library's `tanhf`",
}


def table() -> str:
    """The table as Markdown, one row per operator."""
    rows = ["| operator | remarks |", "|---|---|"]
    rows += [f"| `{name}` | {REMARKS.get(name, '')} |" for name in sorted(OPERATORS)]
    rows.append(
        "| `SPACE_TO_BATCH_ND`, `BATCH_TO_SPACE_ND` | around convolutions, which are then dilated, and operators "
        "on each pixel |"
    )
    rows.append("| `ARG_MAX` | at the end of a model |")
    return "\n".join(rows)
