# SPDX-License-Identifier: MIT
"""Symbols to integers and back, without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.data import Vocabulary


def test_words_have_the_boundary_as_id_0_and_their_letters_in_order() -> None:
    vocabulary = Vocabulary.of_words(["noé", "zoé", "inès"])
    assert vocabulary == Vocabulary(".inoszèé")
    assert vocabulary.encode("zoé").tolist() == [5, 3, 7]
    assert vocabulary.encode("zoé").dtype == np.int64
    assert len(vocabulary) == 8


def test_a_text_has_no_boundary() -> None:
    assert Vocabulary.of_text("to be. or\n").symbols == "\n .beort"


@given(st.text(min_size=1))
def test_what_is_encoded_decodes_to_itself(text: str) -> None:
    vocabulary = Vocabulary.of_text(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_nothing_encodes_to_nothing() -> None:
    assert Vocabulary("ab").encode("").shape == (0,)
    assert Vocabulary("ab").decode([]) == ""


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (
            lambda: Vocabulary("abc").encode("cab!"),
            "'!', at place 3 of 'cab!', is not in the vocabulary 'abc'.",
        ),
        (lambda: Vocabulary("abc").decode([0, 3]), "Ids run from 0 to 3; the vocabulary ends at 2."),
        (lambda: Vocabulary("abc").decode([-1]), "Ids run from -1 to -1; the vocabulary ends at 2."),
        (lambda: Vocabulary("aba"), "A vocabulary needs each symbol once, and at least one: 'aba'."),
        (lambda: Vocabulary(""), "A vocabulary needs each symbol once, and at least one: ''."),
        (
            lambda: Vocabulary.of_words(["a.b"]),
            "The boundary '.' stands within a word; clean the words first.",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(act, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError) as error:
        act()
    assert str(error.value) == sentence
