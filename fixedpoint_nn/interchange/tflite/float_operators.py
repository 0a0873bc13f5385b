# SPDX-License-Identifier: MIT
"""The operators of float models, as operators of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite import float_lstm, float_movement, float_products
from fixedpoint_nn.interchange.tflite.float_step import FloatStep, Translate


def simple(op: str, **attributes: Any) -> Translate:
    """An operator of the same inputs, with the fused activation if it has one."""

    def translate(step: FloatStep) -> str:
        inputs = [step.input(place) for place in range(len(step.operator.inputs))]
        return step.activated(step.add(op, inputs, **attributes))

    return translate


def clipped(low: float, high: float) -> Translate:
    """Values between two limits."""
    return lambda step: step.add(
        "Clip", [step.input(0), step.constant(low, np.float32), step.constant(high, np.float32)]
    )


def reduced(op: str, as_input: bool = False) -> Translate:
    """A reduction over constant axes, an attribute or an input of the operator."""

    def translate(step: FloatStep) -> str:
        axes = step.integers(1)
        keep = int(bool(step.options["KeepDims"]))
        x = step.input(0)
        made: str = (
            step.add(op, [x, step.constant(axes, np.int64)], keepdims=keep)
            if as_input
            else step.add(op, [x], axes=axes, keepdims=keep)
        )
        return made

    return translate


def softmax(step: FloatStep) -> str:
    """Translate SOFTMAX over the last axis, with its factor."""
    x, beta = step.input(0), float(step.options["Beta"])
    if beta != 1:
        x = step.add("Mul", [x, step.constant(beta, np.float32)])
    made: str = step.add("Softmax", [x], axis=-1)
    return made


def power(exponent: float) -> Translate:
    """A power of each value."""
    return lambda step: step.add("Pow", [step.input(0), step.constant(exponent, np.float32)])


def squared_difference(step: FloatStep) -> str:
    """Translate SQUARED_DIFFERENCE."""
    over = step.add("Sub", [step.input(0), step.input(1)])
    made: str = step.add("Mul", [over, over])
    return made


def leaky_relu(step: FloatStep) -> str:
    """Translate LEAKY_RELU."""
    made: str = step.add("LeakyRelu", [step.input(0)], alpha=float(step.options["Alpha"]))
    return made


def gelu(step: FloatStep) -> str:
    """Translate GELU."""
    made: str = step.add(
        "Gelu", [step.input(0)], approximate="tanh" if step.options["Approximate"] else "none"
    )
    return made


def select(step: FloatStep) -> str:
    """Translate SELECT and SELECT_V2."""
    if step.operator.kind == "SELECT" and step.tensor(0).shape != step.output().shape:
        raise Unsuited("chooses whole rows, and SELECT is supported with a condition for each element")
    made: str = step.add("Where", [step.input(place) for place in range(3)])
    return made


FLOAT_OPERATORS: dict[str, Translate] = {
    "ABS": simple("Abs"),
    "ADD": simple("Add"),
    "AVERAGE_POOL_2D": float_products.pooled("AveragePool"),
    "BATCH_MATMUL": float_products.batch_matmul,
    "CONCATENATION": float_movement.concatenation,
    "CONV_2D": float_products.conv_2d,
    "DEPTHWISE_CONV_2D": float_products.depthwise_conv_2d,
    "DEPTH_TO_SPACE": float_movement.blocks("DepthToSpace"),
    "DIV": simple("Div"),
    "ELU": simple("Elu"),
    "EXP": simple("Exp"),
    "EXPAND_DIMS": float_movement.reshaped,
    "FULLY_CONNECTED": float_products.fully_connected,
    "GATHER": float_movement.gather,
    "GELU": gelu,
    "GREATER": simple("Greater"),
    "GREATER_EQUAL": simple("GreaterOrEqual"),
    "HARD_SWISH": simple("HardSwish"),
    "L2_NORMALIZATION": simple("LpNormalization"),
    "LEAKY_RELU": leaky_relu,
    "LOG": simple("Log"),
    "LOGISTIC": simple("Sigmoid"),
    "LESS": simple("Less"),
    "LESS_EQUAL": simple("LessOrEqual"),
    "LOGICAL_AND": simple("And"),
    "LOGICAL_NOT": simple("Not"),
    "LOGICAL_OR": simple("Or"),
    "LOG_SOFTMAX": simple("LogSoftmax"),
    "MAXIMUM": simple("Max"),
    "MAX_POOL_2D": float_products.pooled("MaxPool"),
    "MEAN": reduced("ReduceMean"),
    "MINIMUM": simple("Min"),
    "MIRROR_PAD": float_movement.padded,
    "MUL": simple("Mul"),
    "NEG": simple("Neg"),
    "PACK": float_movement.packed,
    "PAD": float_movement.padded,
    "PADV2": float_movement.padded,
    "POW": simple("Pow"),
    "PRELU": simple("PRelu"),
    "REDUCE_MAX": reduced("ReduceMax"),
    "REDUCE_MIN": reduced("ReduceMin"),
    "RELU": simple("Relu"),
    "RELU6": clipped(0.0, 6.0),
    "RELU_0_TO_1": clipped(0.0, 1.0),
    "RELU_N1_TO_1": clipped(-1.0, 1.0),
    "RESHAPE": float_movement.reshaped,
    "RESIZE_BILINEAR": float_movement.resized(nearest=False),
    "RESIZE_NEAREST_NEIGHBOR": float_movement.resized(nearest=True),
    "REVERSE_V2": float_movement.reversed_,
    "RSQRT": power(-0.5),
    "SELECT": select,
    "SELECT_V2": select,
    "SLICE": float_movement.slice_,
    "SOFTMAX": softmax,
    "SPACE_TO_DEPTH": float_movement.blocks("SpaceToDepth"),
    "SPLIT": float_movement.split,
    "SPLIT_V": float_movement.split_v,
    "SQRT": simple("Sqrt"),
    "SQUARE": power(2.0),
    "SQUARED_DIFFERENCE": squared_difference,
    "SQUEEZE": float_movement.reshaped,
    "STRIDED_SLICE": float_movement.strided_slice,
    "SUB": simple("Sub"),
    "SUM": reduced("ReduceSum", as_input=True),
    "TANH": simple("Tanh"),
    "TILE": float_movement.tiled,
    "TRANSPOSE": float_movement.transposed,
    "TRANSPOSE_CONV": float_products.transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": float_lstm.sequence_lstm,
    "UNPACK": float_movement.unpacked,
}
