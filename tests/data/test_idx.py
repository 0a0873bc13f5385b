# SPDX-License-Identifier: MIT
"""IDX files: every type and rank round-trips, and what is not whole is refused in one sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedpoint_nn.data import DataError, read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: np.ndarray, code: int) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", CODES)
def test_every_type_reads_back(tmp_path: Path, kind: str, packed: bool) -> None:
    array = np.array([[1, 2, 3], [4, 100, 0]]).astype(kind)
    content = idx_bytes(array, CODES[kind])
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(content) if packed else content)
    read = read_idx(path)
    assert read.dtype == np.dtype(kind)
    assert np.array_equal(read, array)


@pytest.mark.parametrize("shape", [(0,), (5,), (2, 0, 3), (2, 3, 4, 5)])
def test_every_rank_reads_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype("u1")
    (tmp_path / "a").write_bytes(idx_bytes(array, 0x08))
    assert np.array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "{} is not an IDX file: it starts with nothing, not with two zero bytes and a type."),
        (
            b"\x89PNG...",
            "{} is not an IDX file: it starts with 89 50 4e 47, not with two zero bytes and a type.",
        ),
        (
            b"\0\0\x07\1",
            "{} is not an IDX file: it starts with 00 00 07 01, not with two zero bytes and a type.",
        ),
        (b"\0\0\x08\2\0\0\0\1", "{} ends within its header; get it again."),
        (
            b"\0\0\x08\1\0\0\0\4abc",
            "{} promises an array of shape (4,), 4 bytes, and holds 3 bytes of values; get it again.",
        ),
        (
            b"\0\0\x08\1\0\0\0\2abc",
            "{} promises an array of shape (2,), 2 bytes, and holds more; get it again.",
        ),
        (
            b"\0\0\x0e\3" + b"\xff" * 12,
            "{} promises an array of shape (4294967295, 4294967295, 4294967295), "
            "633825299671392843082401579000 bytes, and holds 0 bytes of values; get it again.",
        ),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_idx(path)
    assert str(error.value) == sentence.format(path)


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(1000).astype("i4"), 0x0C))[:-20])
    with pytest.raises(DataError) as error:
        read_idx(path)
    assert str(error.value).startswith(f"{path} is a damaged gzip file (")
    assert str(error.value).endswith("); get it again.")


def test_a_small_gzip_file_that_unpacks_to_much_is_stopped_at_what_it_promised(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\1\0\0\0\2" + bytes(50_000_000)))
    with pytest.raises(DataError, match=r"holds more; get it again\.$"):
        read_idx(path)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_damage_is_one_data_error_or_another_array(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(gzip.compress(idx_bytes(np.arange(60).reshape(3, 20).astype("u1"), 0x08), mtime=0))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "a"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_idx(path)
    except DataError as error:
        sentence = str(error)
    else:
        sentence = ""
    assert "\n" not in sentence
