# SPDX-License-Identifier: MIT
"""The bigram: counted and trained agree; the names network beats it on its own split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor, data, zoo
from fixedpoint_nn.zoo import bigram
from fixedpoint_nn.zoo.characters import french_names, language, names, word_rows

Real = Callable[..., Any]


def test_counting_by_hand() -> None:
    words = data.Words(("ab", "abb", "b"), (), (), data.Vocabulary(".ab"))
    table = np.exp(bigram.counted(words, smoothing=1e-9)["table"].weight.data)
    assert np.allclose(table, [[0, 2 / 3, 1 / 3], [0, 0, 1], [3 / 4, 0, 1 / 4]], atol=1e-8)


@pytest.mark.parametrize("smoothing", [0.0, -1.0])
def test_pairs_must_stay_possible(smoothing: float) -> None:
    with pytest.raises(ValueError, match=f"smoothing {smoothing} makes unseen pairs impossible"):
        bigram.counted(smoothing=smoothing)


def test_counted_and_trained_agree_and_reach_the_bar(real: Real) -> None:
    real(data.names)
    rows = word_rows(names(), "dev")
    counted = language(bigram.counted(), *rows)["loss"]
    trained = zoo.evaluate(zoo.load("bigram"), "bigram")["loss"]
    assert counted <= 2.46
    assert trained <= 2.46
    assert trained == pytest.approx(counted, abs=2e-3)


def test_after_frequent_letters_the_trained_probabilities_are_the_counted_ones(real: Real) -> None:
    words = real(data.names)
    text = "".join(words.train)
    often = [i for i, letter in enumerate(words.vocabulary.symbols) if text.count(letter) > 2000]
    assert len(often) > 15

    def probabilities(net: Any) -> Any:
        return np.exp(net(Tensor(np.array(often)[:, None])).log_softmax().data[:, 0])

    counted, trained = probabilities(bigram.counted()), probabilities(zoo.load("bigram"))
    assert np.abs(counted - trained).max() < 0.01


def test_the_french_names_network_is_a_tenth_better_than_their_bigram() -> None:
    rows = word_rows(french_names(), "dev")
    tables = [bigram.counted(french_names(), smoothing) for smoothing in (0.03, 0.1, 0.3, 1)]
    best = min(language(table, *rows)["loss"] for table in tables)
    result = zoo.evaluate(zoo.load("names_lstm"), "names_lstm")
    assert result["loss"] <= 0.9 * best
    assert set(result) == {"loss", "perplexity", "accuracy"}
