# SPDX-License-Identifier: MIT
"""The layers: each a formula, written once, for every kind of number."""

from fixedpoint_nn.layers.activation import (
    Argmax,
    Clip,
    Elu,
    LeakyReLU,
    PReLU,
    Rectifier,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from fixedpoint_nn.layers.convolution import Conv2D, ConvTranspose2D
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
from fixedpoint_nn.layers.normalization import BatchNorm, ScaleShift
from fixedpoint_nn.layers.pooling import AvgPool2D, GlobalAvgPool, GlobalMaxPool, MaxPool2D, Mean
from fixedpoint_nn.layers.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell, WithStates
from fixedpoint_nn.layers.structure import Dropout, Embedding, Flatten, OneHot, Reshape, Residual, Sequential

__all__ = [
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
    "Flatten",
    "GRU",
    "GRUCell",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Graph",
    "LSTM",
    "LSTMCell",
    "LeakyReLU",
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
    "RNN",
    "RNNCell",
    "ReLU",
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
    "Subtract",
    "Tanh",
    "Transpose",
    "WithStates",
]
