# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import Tensor, layers
from fixedpoint_nn.layers.fields import TABLE
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import parameters, rebuild, training_mode, walk
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Quantizer


def network() -> layers.Sequential:
    make = Initialiser(0)
    return layers.Sequential(
        stem=layers.Sequential(make.conv(1, 2), make.batch_norm(2), layers.ReLU()),
        block=layers.Residual(make.conv(2, 2)),
        flat=layers.Flatten(),
        drop=layers.Dropout(0.5),
        head=make.dense(8, 3),
    )


def test_every_leaf_has_a_path_in_the_order_of_the_layers() -> None:
    assert [leaf.path for leaf in walk(network())] == [
        "stem.0.weight",
        "stem.0.bias",
        "stem.0.out",
        "stem.0.accumulator",
        "stem.1.gain",
        "stem.1.bias",
        "stem.1.mean",
        "stem.1.variance",
        "stem.2.out",
        "block.body.weight",
        "block.body.bias",
        "block.body.out",
        "block.body.accumulator",
        "block.out",
        "head.weight",
        "head.bias",
        "head.out",
        "head.accumulator",
    ]


def test_a_recurrent_layer_has_the_paths_of_its_cells() -> None:
    paths = [leaf.path for leaf in walk(layers.Sequential(lstm=Initialiser(0).lstm(2, 3, depth=2)))]
    assert paths[:4] == [
        "lstm.cells.0.input_weight",
        "lstm.cells.0.state_weight",
        "lstm.cells.0.bias",
        "lstm.cells.0.sigmoid.input",
    ]
    assert "lstm.cells.1.cell_tanh.table" in paths and len(paths) == len(set(paths))


def test_a_table_knows_its_function_and_where_its_addresses_come_from() -> None:
    tables = {leaf.path: leaf for leaf in walk(layers.Softmax()) if leaf.kind == TABLE}
    assert (tables["exp"].function, tables["exp"].address) == ("exp", "input")
    assert (tables["reciprocal"].function, tables["reciprocal"].address) == ("reciprocal", "total")


def test_training_moves_the_parameters_but_not_the_constants() -> None:
    trained, every = parameters(network()), parameters(network(), trained_only=False)
    assert set(every) - set(trained) == {"stem.1.mean", "stem.1.variance"}


def test_rebuilding_changes_the_named_leaves_and_shares_the_others() -> None:
    net = network()
    quantizer = Quantizer(Q(4, 4))
    other = rebuild(net, {"head.out": quantizer, "stem.0.bias": Tensor([1.0, 2.0])})
    assert other["head"].out is quantizer and net["head"].out is None
    assert np.array_equal(other["stem"]["0"].bias.data, [1, 2])
    assert other["block"].body.weight is net["block"].body.weight


def test_an_unknown_path_is_answered_with_the_nearest_one() -> None:
    sentence = "'head.wieght' names nothing in this network; did you mean 'head.weight'?"
    with pytest.raises(KeyError, match=re.escape(sentence)):
        rebuild(network(), {"head.wieght": None})


def test_training_mode_shares_the_parameters() -> None:
    net = network()
    training = training_mode(net, np.random.default_rng(0))
    assert training["drop"].rng is not None and net["drop"].rng is None
    assert training["stem"]["1"].training and not net["stem"]["1"].training
    assert training["head"].weight is net["head"].weight
