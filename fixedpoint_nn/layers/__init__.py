# SPDX-License-Identifier: MIT
"""The layers: each a formula, written once, for every kind of number."""

from fixedpoint_nn.layers.activation import Argmax, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from fixedpoint_nn.layers.convolution import Conv2D
from fixedpoint_nn.layers.dense import Dense
from fixedpoint_nn.layers.graph import Graph, Node, Pick
from fixedpoint_nn.layers.joining import Add, Concat, Constant, Multiply, Subtract
from fixedpoint_nn.layers.normalization import BatchNorm, ScaleShift
from fixedpoint_nn.layers.pooling import AvgPool2D, GlobalAvgPool, MaxPool2D
from fixedpoint_nn.layers.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from fixedpoint_nn.layers.structure import Dropout, Embedding, Flatten, OneHot, Reshape, Residual, Sequential

__all__ = [
    "Add",
    "Argmax",
    "AvgPool2D",
    "BatchNorm",
    "Concat",
    "Constant",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRU",
    "GRUCell",
    "GlobalAvgPool",
    "Graph",
    "LSTM",
    "LSTMCell",
    "LeakyReLU",
    "MaxPool2D",
    "Multiply",
    "Node",
    "OneHot",
    "Pick",
    "RNN",
    "RNNCell",
    "ReLU",
    "Reshape",
    "Residual",
    "ScaleShift",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Subtract",
    "Tanh",
]
