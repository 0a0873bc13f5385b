# SPDX-License-Identifier: MIT
"""Layers as frozen dataclasses: each is one formula over the verbs of a number (`numbers/number.py`).

A layer called with a `Tensor` computes in floats, with a `FixedArray` in integers, and with a `Traced` it records the
program for the engine. Axis 0 is the batch; images are channels-last, (batch, height, width, channels); sequences
are (batch, time, features).
"""

from fixedpoint_nn.layers.activation import (
    Abs,
    Argmax,
    Clip,
    Elu,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    Rectifier,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from fixedpoint_nn.layers.convolution import Conv2D, ConvTranspose2D
from fixedpoint_nn.layers.curve import Erf, Exp, Gelu, Log, Reciprocal, ReciprocalSqrt, Softplus, Sqrt, Step
from fixedpoint_nn.layers.dense import Dense
from fixedpoint_nn.layers.graph import Graph, Node, Pick
from fixedpoint_nn.layers.joining import (
    Add,
    Concat,
    Constant,
    MatMul,
    Maximum,
    Minimum,
    Multiply,
    Repeated,
    Subtract,
)
from fixedpoint_nn.layers.movement import Pad, Select, Slice, Transpose
from fixedpoint_nn.layers.normalization import BatchNorm, LayerNorm, RMSNorm, ScaleShift
from fixedpoint_nn.layers.pooling import AvgPool2D, GlobalAvgPool, GlobalMaxPool, Largest, MaxPool2D, Mean
from fixedpoint_nn.layers.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell, WithStates
from fixedpoint_nn.layers.structure import Dropout, Embedding, Flatten, OneHot, Reshape, Residual, Sequential

__all__ = [
    "Abs",
    "Add",
    "Argmax",
    "AvgPool2D",
    "BatchNorm",
    "Clip",
    "Concat",
    "Constant",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Dropout",
    "Elu",
    "Embedding",
    "Erf",
    "Exp",
    "Flatten",
    "GRU",
    "GRUCell",
    "Gelu",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Graph",
    "LSTM",
    "LSTMCell",
    "Largest",
    "LayerNorm",
    "LeakyReLU",
    "Log",
    "LogSoftmax",
    "MatMul",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "Multiply",
    "Node",
    "OneHot",
    "PReLU",
    "Pad",
    "Pick",
    "RMSNorm",
    "RNN",
    "RNNCell",
    "ReLU",
    "Reciprocal",
    "ReciprocalSqrt",
    "Rectifier",
    "Repeated",
    "Reshape",
    "Residual",
    "ScaleShift",
    "Select",
    "Sequential",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Step",
    "Subtract",
    "Tanh",
    "Transpose",
    "WithStates",
]
