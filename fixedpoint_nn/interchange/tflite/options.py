# SPDX-License-Identifier: MIT
"""The options of each operator, by their names in TFLite's schema, with their defaults."""

from __future__ import annotations

from typing import Any

_ACTIVATION = {"FusedActivationFunction": 0}
_STRIDES = {"Padding": 0, "StrideH": 0, "StrideW": 0}
_POOL = {**_STRIDES, "FilterHeight": 0, "FilterWidth": 0, **_ACTIVATION}
_BIAS = {"QuantizedBiasType": 0}
_DILATION = {"DilationHFactor": 1, "DilationWFactor": 1}
_RESIZE = {"AlignCorners": False, "HalfPixelCenters": False}
_LSTM = {
    **_ACTIVATION,
    "CellClip": 0.0,
    "ProjClip": 0.0,
    "TimeMajor": False,
    "DiagonalRecurrentTensors": False,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "CONV_2D": ("Conv2DOptions", {**_STRIDES, **_DILATION, **_ACTIVATION, **_BIAS}),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        {**_STRIDES, **_DILATION, **_ACTIVATION, "DepthMultiplier": 0},
    ),
    "FULLY_CONNECTED": (
        "FullyConnectedOptions",
        {**_ACTIVATION, **_BIAS, "WeightsFormat": 0, "KeepNumDims": False},
    ),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", {"KeepDims": False}),
    "ADD": ("AddOptions", {**_ACTIVATION, "PotScaleInt16": True}),
    "SUB": ("SubOptions", {**_ACTIVATION, "PotScaleInt16": True}),
    "LEAKY_RELU": ("LeakyReluOptions", {"Alpha": 0.0}),
    "MUL": ("MulOptions", _ACTIVATION),
    "SOFTMAX": ("SoftmaxOptions", {"Beta": 0.0}),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        {
            "BeginMask": 0,
            "EndMask": 0,
            "EllipsisMask": 0,
            "NewAxisMask": 0,
            "ShrinkAxisMask": 0,
            "Offset": False,
        },
    ),
    "CONCATENATION": ("ConcatenationOptions", {"Axis": 0, **_ACTIVATION}),
    "SPLIT": ("SplitOptions", {"NumSplits": 0}),
    "SPLIT_V": ("SplitVOptions", {"NumSplits": 0}),
    "BATCH_MATMUL": ("BatchMatMulOptions", {"AdjX": False, "AdjY": False}),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"BlockSize": 1}),
    "DIV": ("DivOptions", _ACTIVATION),
    "GATHER": ("GatherOptions", {"Axis": 0, "BatchDims": 0}),
    "GELU": ("GeluOptions", {"Approximate": False}),
    "L2_NORMALIZATION": ("L2NormOptions", _ACTIVATION),
    "MIRROR_PAD": ("MirrorPadOptions", {"Mode": 0}),
    "PACK": ("PackOptions", {"Axis": 0}),
    "REDUCE_MAX": ("ReducerOptions", {"KeepDims": False}),
    "REDUCE_MIN": ("ReducerOptions", {"KeepDims": False}),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"BlockSize": 1}),
    "SUM": ("ReducerOptions", {"KeepDims": False}),
    "SVDF": ("SVDFOptions", {"Rank": 0, **_ACTIVATION}),
    "TRANSPOSE_CONV": ("TransposeConvOptions", {**_STRIDES, **_ACTIVATION, **_BIAS}),
    "UNPACK": ("UnpackOptions", {"Axis": 0}),
    "CALL_ONCE": ("CallOnceOptions", {"InitSubgraphIndex": 0}),
    "VAR_HANDLE": ("VarHandleOptions", {"Container": b"", "SharedName": b""}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTMOptions", _LSTM),
}
