# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import threading
from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q
from fixedpoint_nn.numbers.threads import VARIABLE
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.precision import calibrate, quantize
from tests.support.small_networks import small_network


@pytest.mark.parametrize("name", ["mlp", "cnn", "lstm"])
def test_floats_integers_and_any_size_of_block_give_the_same(name: str) -> None:
    net, x = small_network(name)
    fixed = quantize(net, calibrate(net, x))
    whole = fixed(x)
    ready = FixedArray.from_ints(fixed.input.from_floats(x), fixed.input.format)
    assert np.array_equal(fixed(ready).ints, whole.ints)
    for rows in (1, 7, 40):
        blocks = replace(fixed, rows=rows)(x)
        assert blocks.format == whole.format
        assert np.array_equal(blocks.ints, whole.ints)


def test_threads_share_the_rows_of_a_network_that_runs_verb_by_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small_network("lstm")
    fixed = quantize(net, calibrate(net, x))
    x = np.tile(x, (28, 1))[:1100]
    expected = fixed(x).ints
    given: list[tuple[int, int]] = []

    def counted(rows: FixedArray) -> FixedArray:
        given.append((len(rows), threading.get_ident()))
        return fixed.net(rows)  # type: ignore[no-any-return]

    watched = replace(fixed, net=counted)
    watched(x)  # the first call traces the network, to no avail
    for count, sizes in (("1", [512, 512, 76]), ("2", [256, 256, 256, 256, 76])):
        monkeypatch.setenv(VARIABLE, count)
        given.clear()
        assert np.array_equal(watched(x).ints, expected)
        assert sorted((rows for rows, _ in given), reverse=True) == sizes
    given.clear()
    with OverflowStats():
        watched(x)
    assert given == [(rows, threading.get_ident()) for rows in (512, 512, 76)]
    monkeypatch.setenv(VARIABLE, "0")
    with pytest.raises(ValueError, match="is no number of threads"):
        watched(x)


def test_the_statistics_count_rows_of_the_whole_batch() -> None:
    net, x = small_network("mlp")
    fixed = replace(quantize(net, calibrate(net, x)), rows=8)
    x = x.copy()
    x[29, 3] = 5.0
    with OverflowStats() as stats:
        fixed(np.minimum(x, 5.0))
    assert stats["input"].values == x.size
    assert stats["input"].first is not None
    x[:29] = 0.5
    with OverflowStats() as stats:
        fixed(x)
    assert stats["input"].first == (29, 3)


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        (
            "mlp",
            lambda: np.zeros((0, 6)),
            "the network takes a batch of samples, not an array of shape (0, 6)",
        ),
        ("mlp", lambda: 1.0, "the network takes a batch of samples, not an array of shape ()"),
        (
            "mlp",
            lambda: FixedArray.from_ints([[1]], Q(4, 4)),
            "the network's input is UQ(0, 8), and this is Q(4, 4); cast it, or pass floats",
        ),
        ("lstm", lambda: np.array([[3, 16]]), "the input 16 is outside UQ(4, 0), which holds 0..15"),
        (
            "mlp",
            lambda: np.full((1, 6), np.nan),
            "nan cannot be quantised at index (0, 0); replace NaN and infinities first",
        ),
    ],
)
def test_input_that_does_not_fit_is_answered_with_a_sentence(name, make, sentence: str) -> None:
    net, x = small_network(name)
    fixed = quantize(net, calibrate(net, x))
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        fixed(make())
