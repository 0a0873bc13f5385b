# SPDX-License-Identifier: MIT
"""Names and text: the published files give what they are known for, and the shipped list is clean."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import data

Real = Callable[..., Any]


def test_the_shipped_french_names_are_many_clean_and_sorted_as_a_dictionary_is() -> None:
    text = resources.files("fixedpoint_nn.data").joinpath("french_names.txt").read_text("utf-8")
    names = text.splitlines()
    assert len(names) >= 1500
    assert len(set(names)) == len(names)
    assert text == "\n".join(names) + "\n"
    assert all(name.isalpha() and name == unicodedata.normalize("NFC", name.lower()) for name in names)
    plain = [unicodedata.normalize("NFD", name.replace("œ", "oe").replace("æ", "ae")) for name in names]
    plain = ["".join(letter for letter in name if not unicodedata.combining(letter)) for name in plain]
    assert plain == sorted(plain)
    assert all(2 <= len(name) <= 14 for name in names)


def test_accents_are_letters_of_the_vocabulary() -> None:
    names = data.french_names()
    assert names.vocabulary.symbols == ".abcdefghijklmnopqrstuvwxyzâæçèéëîïôüœ"
    assert {"françois", "loïc", "jérôme", "benoît", "gaëlle", "adèle", "lætitia"} <= {
        *names.train,
        *names.dev,
        *names.test,
    }
    assert names.vocabulary.decode(names.vocabulary.encode("françois")) == "françois"


def test_no_held_out_name_was_trained_on() -> None:
    names = data.french_names()
    assert not {*names.dev, *names.test} & set(names.train)
    assert len(names) == len(names.train) + len(names.dev) + len(names.test)


def test_makemores_names_are_the_known_ones(real: Real) -> None:
    names = real(data.names)
    assert names.train[:5] == ("emma", "olivia", "ava", "isabella", "sophia")
    assert names.vocabulary.symbols == ".abcdefghijklmnopqrstuvwxyz"
    assert len(names) == 29_494
    assert not {*names.dev, *names.test} & set(names.train)


def test_the_file_of_the_tagged_names_is_the_one_that_they_are_read_from(real: Real) -> None:
    path = real(data.tagged_names_csv)
    head = path.read_bytes().decode("iso-8859-1").splitlines()[0]
    assert head == "01_prenom;02_genre;03_langage;04_fréquence"
    assert data.Words.of(data.read_tagged_names(path, "french")) == data.tagged_names()


def test_the_tagged_list_has_574_french_names(real: Real) -> None:
    assert len(real(data.tagged_names)) == 574
    assert len(real(data.tagged_names, None)) > 11_000


def test_the_last_tenth_of_shakespeare_is_held_out(real: Real) -> None:
    play = real(data.text)
    assert len(play.train) + len(play.test) == 1_115_394
    assert len(play.test) == 111_540
    assert len(play.vocabulary) == 65
    assert play.vocabulary.decode(play.train[:14]) == "First Citizen:"


def test_contexts_are_every_letter_and_end_with_what_went_before() -> None:
    examples = data.contexts(["ab", "c"], 2, data.Vocabulary(".abc"))
    assert examples.x.tolist() == [[0, 0], [0, 1], [1, 2], [0, 0], [0, 3]]
    assert examples.y.tolist() == [1, 2, 0, 3, 0]


@pytest.mark.parametrize("length", [1, 3, 8])
def test_contexts_of_any_length_agree_with_the_obvious_loop(length: int) -> None:
    words, vocabulary = ["zoé", "", "anne", "o"], data.Vocabulary.of_words(["zoé", "anne"])
    rows = []
    for word in words:
        window = [0] * length
        for symbol in [*vocabulary.encode(word).tolist(), 0]:
            rows.append((window, symbol))
            window = [*window[1:], symbol]
    examples = data.contexts(words, length, vocabulary)
    assert examples.x.tolist() == [window for window, _ in rows]
    assert examples.y.tolist() == [symbol for _, symbol in rows]


def test_no_words_have_no_contexts_and_a_context_has_a_length() -> None:
    empty = data.contexts([], 3, data.Vocabulary("."))
    assert empty.x.shape == (0, 3)
    assert empty.x.dtype == np.int64
    with pytest.raises(ValueError) as error:
        data.contexts(["a"], 0, data.Vocabulary(".a"))
    assert str(error.value) == "A context has 1 letter or more, not 0."
