# SPDX-License-Identifier: MIT
"""Images arrive as NHWC floats in [0, 1] with their classes."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import data
from fixedpoint_nn.data import images
from fixedpoint_nn.data.examples import Examples

Real = Callable[..., Any]


@pytest.mark.parametrize("loader", [data.fashion_mnist, data.mnist])
def test_the_published_images_have_their_published_sizes(real: Real, loader: Callable[[], Any]) -> None:
    train, test = real(loader)
    for part, n in ((train, 60_000), (test, 10_000)):
        assert part.x.shape == (n, 28, 28, 1)
        assert part.x.dtype == np.float32
        assert (part.x.min(), part.x.max()) == (0, 1)
        assert part.y.shape == (n,)
        assert part.y.dtype == np.int64
        assert set(part.y) == set(range(10))
        assert len(part.classes) == 10


def test_the_first_images_are_the_known_ones(real: Real) -> None:
    fashion, digits = real(data.fashion_mnist)[0], real(data.mnist)[0]
    assert [fashion.classes[y] for y in fashion.y[:3]] == ["boot", "T-shirt", "T-shirt"]
    assert digits.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # A first 5: its top row of ink, in the file's own bytes.
    assert (digits.x[0, 5, 12:16, 0] * 255).round().astype(int).tolist() == [3, 18, 18, 18]


def test_files_whose_sizes_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(name: str, content: bytes) -> images.PublishedFile:
        (tmp_path / name).write_bytes(gzip.compress(content))
        return images.PublishedFile("", name, "", hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())

    monkeypatch.setenv("FIXEDPOINT_NN_DATA", str(tmp_path))
    pictures = written("pictures", b"\0\0\x08\3\0\0\0\2\0\0\0\1\0\0\0\1ab")
    labels = written("labels", b"\0\0\x08\1\0\0\0\3abc")
    with pytest.raises(data.DataError) as error:
        images._examples(pictures, labels, ())
    assert str(error.value) == (
        "/pictures holds an array of shape (2, 1, 1) and /labels one of (3,); (n, h, w) and (n,) are needed."
    )


def test_examples_are_cut_together() -> None:
    examples = Examples(np.arange(6).reshape(3, 2), np.array([7, 8, 9]), ("a",))
    assert len(examples[1:]) == 2
    assert examples[1:].y.tolist() == [8, 9]
    assert examples[np.array([2, 0])].x.tolist() == [[4, 5], [0, 1]]
    assert examples[:1].classes == ("a",)
    assert repr(examples) == "Examples(x=int64(3, 2), y=int64(3,))"


def test_one_row_is_asked_for_by_a_slice() -> None:
    with pytest.raises(TypeError) as error:
        Examples(np.zeros(3), np.zeros(3))[2]
    assert str(error.value) == "Examples are cut by a slice or by indices: write [2:3] for one."


def test_inputs_without_answers_are_no_examples() -> None:
    with pytest.raises(ValueError) as error:
        Examples(np.zeros(3), np.zeros(2))
    assert str(error.value) == "3 inputs and 2 answers are no examples; each input needs one answer."
