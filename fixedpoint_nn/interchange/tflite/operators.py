# SPDX-License-Identifier: MIT
"""The table of converters of operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fixedpoint_nn.interchange.tflite import (
    arithmetic,
    codes,
    lstm,
    movement,
    products,
    rearranging,
    regions,
    softmax,
)
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep

OPERATORS: dict[str, Callable[[TfliteStep], Made | Sequence[Made]]] = {
    "ADD": arithmetic.add,
    "AVERAGE_POOL_2D": regions.average_pool_2d,
    "CONCATENATION": movement.concatenation,
    "CONV_2D": products.conv_2d,
    "DEPTHWISE_CONV_2D": products.depthwise_conv_2d,
    "FULLY_CONNECTED": products.fully_connected,
    "DEPTH_TO_SPACE": rearranging.depth_to_space,
    "GATHER": rearranging.gather,
    "MAXIMUM": rearranging.maximum,
    "MINIMUM": rearranging.minimum,
    "PACK": rearranging.pack,
    "RESIZE_NEAREST_NEIGHBOR": rearranging.resize_nearest,
    "SPACE_TO_DEPTH": rearranging.space_to_depth,
    "TRANSPOSE": rearranging.transpose,
    "UNPACK": rearranging.unpack,
    "EXPAND_DIMS": movement.reshape,
    "HARD_SWISH": codes.hard_swish,
    "LEAKY_RELU": codes.leaky_relu,
    "MAX_POOL_2D": regions.max_pool_2d,
    "MEAN": regions.mean,
    "MUL": arithmetic.mul,
    "PAD": movement.pad,
    "QUANTIZE": codes.requantize,
    "RESHAPE": movement.reshape,
    "SPLIT": movement.split,
    "SPLIT_V": movement.split_v,
    "SOFTMAX": softmax.softmax,
    "SQUEEZE": movement.reshape,
    "SLICE": movement.slice_,
    "STRIDED_SLICE": movement.strided_slice,
    "SUB": arithmetic.subtract,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm.lstm,
    **codes.CURVES,
    **codes.RECTIFIERS,
}
