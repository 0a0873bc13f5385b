# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import Tensor, calibrate, quantize
from fixedpoint_nn.training.sampling import choose, continue_text, write_text, write_words
from fixedpoint_nn.zoo.writer import writer

SYMBOLS = ".abcdef"
NET = writer(3, len(SYMBOLS), 8, 16, depth=2)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_draws_follow_the_softmax() -> None:
    logits = np.log([[0.5, 0.3, 0.2]]).repeat(20_000, 0)
    share = np.bincount(choose(logits, rng())) / 20_000
    assert np.abs(share - [0.5, 0.3, 0.2]).max() < 0.015


def test_temperature_sharpens_and_flattens() -> None:
    logits = np.log([[0.5, 0.3, 0.2]]).repeat(20_000, 0)
    cold, hot = (np.bincount(choose(logits, rng(), t), minlength=3) / 20_000 for t in (0.5, 4.0))
    assert np.abs(cold - np.array([25, 9, 4]) / 38).max() < 0.015
    assert hot.max() < 0.4
    assert (choose(logits, rng(), 0) == 0).all()


def test_top_k_draws_from_the_largest_only() -> None:
    logits = np.array([[0.1, 3.0, 2.9, -1.0]]).repeat(1000, 0)
    assert set(choose(logits, rng(), top_k=2)) == {1, 2}
    assert set(choose(logits, rng(), top_k=1)) == {1}
    assert set(choose(logits, rng(), 5.0, top_k=99)) == {0, 1, 2, 3}


@pytest.mark.parametrize(("temperature", "top_k"), [(-1.0, None), (1.0, 0)])
def test_impossible_choices_are_refused(temperature: float, top_k: int | None) -> None:
    sentence = f"temperature is 0 or more and top_k 1 or more, not {temperature} and {top_k}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        choose(np.zeros((1, 3)), rng(), temperature, top_k)


def test_carried_states_give_what_the_whole_sequence_gives() -> None:
    prompt = np.array([[1, 2, 3], [4, 5, 6]])
    written = continue_text(NET, prompt, 6, rng(), temperature=0)
    whole = np.concatenate([prompt, written], 1)
    again = NET(Tensor(whole)).data.argmax(-1)
    assert (again[:, 2:-1] == written).all()


def test_the_same_seed_writes_the_same_text() -> None:
    first, again, other = (write_text(NET, SYMBOLS, "abc", 40, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 40
    assert set(first) <= set(SYMBOLS)


def test_words_stop_before_their_end_mark() -> None:
    words = write_words(NET, SYMBOLS, count=50, longest=12)
    assert len(words) == 50
    assert all(len(word) <= 12 and "." not in word for word in words)
    assert len({len(word) for word in words}) > 3


def test_a_prompt_of_unknown_characters_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=re.escape("known characters; it has ['X', 'z']")):
        write_text(NET, SYMBOLS, "Xaz")
    with pytest.raises(ValueError, match="known characters; it has none"):
        write_text(NET, SYMBOLS, "")


def test_a_quantised_network_writes_and_carries_its_states_exactly() -> None:
    ids = np.random.default_rng(1).integers(0, len(SYMBOLS), (40, 9))
    fixed = quantize(NET, calibrate(NET, ids, word=16))
    prompt = np.array([[1, 2, 3], [4, 5, 6]])
    written = continue_text(fixed, prompt, 6, rng(), temperature=0)
    whole = np.concatenate([prompt, written], 1)
    assert (fixed(whole).to_float().argmax(-1)[:, 2:-1] == written).all()
