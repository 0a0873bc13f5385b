# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.training.batches import Samples, TextWindows, WordBatches, padded

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10)


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.mark.parametrize(("size", "sizes"), [(4, [4, 4, 2]), (1, [1] * 10), (None, [10]), (99, [10])])
def test_an_epoch_shows_every_sample_once(size: int | None, sizes: list[int]) -> None:
    source = Samples(X, Y, size)
    batches = list(source.epoch(rng()))
    assert [len(y) for _, y in batches] == sizes
    assert len(source) == len(sizes)
    assert sorted(np.concatenate([y for _, y in batches])) == list(range(10))
    assert all((x == X[y]).all() for x, y in batches)


def test_the_order_is_the_generator_s() -> None:
    first, again = (np.concatenate([y for _, y in Samples(X, Y, 4).epoch(rng())]) for _ in range(2))
    assert (first == again).all()
    assert (first != Y).any()
    kept = np.concatenate([y for _, y in Samples(X, Y, 5, shuffle=False).epoch(rng())])
    assert (kept == Y).all()


def test_augmentation_changes_inputs_and_nothing_else() -> None:
    source = Samples(X, Y, 5, augment=lambda x, generator: x + 100)
    for x, y in source.epoch(rng()):
        assert (x == X[y] + 100).all()
    assert X.max() == 19


def test_inputs_without_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="10 inputs with 9 targets do not fit; each input needs one target"):
        Samples(X, Y[:9])


def test_text_windows_predict_the_character_that_follows() -> None:
    ids = np.arange(100)
    batches = list(TextWindows(ids, length=7, size=3, steps=50).epoch(rng()))
    assert len(batches) == 50
    for x, y in batches:
        assert x.shape == y.shape == (3, 7)
        assert (y == x + 1).all()
    assert max(y.max() for _, y in batches) == 99, "the last character is a target too"


def test_words_start_and_end_with_the_boundary_and_padding_is_marked() -> None:
    x, y = padded([[5, 6], [7]])
    assert x.tolist() == [[0, 5, 6], [0, 7, 0]]
    assert y.tolist() == [[5, 6, 0], [7, 0, -1]]


def test_word_batches_are_as_wide_as_their_longest_word() -> None:
    words = [np.full(length, length) for length in (1, 2, 3, 9)]
    source = WordBatches(words, size=2)
    batches = list(source.epoch(rng()))
    assert len(batches) == len(source) == 2
    for x, y in batches:
        longest = max(int(row.max()) for row in x)
        assert x.shape == y.shape == (2, longest + 1)
    assert sum(int((y >= 0).sum()) for _, y in batches) == 1 + 2 + 3 + 9 + 4
