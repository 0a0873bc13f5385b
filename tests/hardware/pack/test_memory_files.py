# SPDX-License-Identifier: MIT
"""Memory images: what is written is read back, and damage is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.pack import memory_files

words_and_bits = st.integers(1, 300).flatmap(
    lambda bits: st.tuples(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=20), st.just(bits))
)


@given(words_and_bits, st.sampled_from(memory_files.RADIXES))
def test_coe_reads_back_in_every_radix(case, radix):
    words, bits = case
    assert (
        memory_files.read_coe(memory_files.write_coe(words, bits, radix, "a comment; with a semicolon"), bits)
        == words
    )


@given(words_and_bits)
def test_mem_and_mif_read_back(case):
    words, bits = case
    assert memory_files.read_mem(memory_files.write_mem(words, bits), bits) == words
    assert memory_files.read_mif(memory_files.write_mif(words, bits), bits) == words


@pytest.mark.parametrize("bits", range(1, 14))
def test_mem_has_exactly_the_digits_of_a_word(bits):
    lines = memory_files.write_mem([0, (1 << bits) - 1], bits).splitlines()
    assert {len(line) for line in lines} == {-(-bits // 4)}


def test_vivados_own_example_is_read():
    text = (
        "; This example .coe file is for RAM that is 12 bits x 4 deep.\n"
        "MEMORY_INITIALIZATION_RADIX = 16 ; a comment\n"
        "memory_initialization_vector = 23f 721, 11f\n 0AB ; anything that follows\nBRANCH = 3;\n"
    )
    assert memory_files.read_coe(text, 12) == [0x23F, 0x721, 0x11F, 0x0AB]


@given(st.lists(st.lists(st.integers(-128, 127), min_size=3, max_size=3), max_size=9))
def test_rows_are_packed_with_word_0_in_the_lowest_bits(rows):
    packed = bit_packing.pack(rows, 8)
    assert all(wide & 0xFF == row[0] & 0xFF for wide, row in zip(packed, rows, strict=True))
    assert [bit_packing.signed(row, 8) for row in bit_packing.unpack(packed, 3, 8)] == rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("memory_initialization_vector=1;", "w.coe has no memory_initialization_radix before its vector"),
        ("memory_initialization_radix=8;", "w.coe has radix '8'; a .coe file has radix 2, 10 or 16"),
        (
            "memory_initialization_radix=16;\nmemory_initialization_vector=1,\n2",
            "w.coe has no memory_initialization_vector that ends with a semicolon; it may be cut short",
        ),
        (
            "memory_initialization_radix=16;\nmemory_initialization_vector=1,xx;",
            "word 1 of w.coe is 'xx', which is no number of radix 16",
        ),
        (
            "memory_initialization_radix=16;\nmemory_initialization_vector=1,fff;",
            "word 1 of w.coe is 'fff', which has more than 8 bits",
        ),
    ],
)
def test_a_damaged_coe_is_one_sentence(text, sentence):
    with pytest.raises(bit_packing.ImageError) as error:
        memory_files.read_coe(text, 8, "w.coe")
    assert str(error.value) == sentence


def test_a_word_that_does_not_fit_is_refused():
    with pytest.raises(bit_packing.ImageError, match="-129 does not fit into 8 bits"):
        bit_packing.unsigned([-129], 8)
    with pytest.raises(bit_packing.ImageError, match="word 0 is 256, which is no pattern of 8 bits"):
        memory_files.write_mem([256], 8)
