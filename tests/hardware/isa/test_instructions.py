# SPDX-License-Identifier: MIT
"""Instructions survive encoding; values that do not fit are refused in a sentence."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.hardware.isa.instructions import (
    INSTRUCTIONS,
    LOOPS,
    Address,
    AssemblyError,
    Halt,
    Increment,
    JumpEqual,
    Load,
    Loop,
    Run,
    Set,
    Store,
    decode,
    encode,
    listing,
)

registers, words, flags = st.integers(0, 7), st.integers(0, (1 << 24) - 1), st.booleans()
addresses = st.builds(Address, words, registers)
runs = st.builds(
    Run,
    activation=addresses,
    weight=addresses,
    parameter=addresses,
    output=addresses,
    counts=st.tuples(
        st.integers(1, 65536),
        st.integers(1, 256),
        st.integers(1, 256),
        st.integers(1, 65536),
        st.integers(1, 4096),
        st.integers(1, 4096),
    ),
    strides=st.just((0, 0, 0, 0, 0, 0)),
    last_channels=st.integers(1, 32),
    output_gap=st.integers(-1000, 1000),
    vector=flags,
    bounded=flags,
    per_tile=flags,
    modelled=flags,
    relu_before=flags,
    relu_after=flags,
    table=flags,
    argmax=flags,
    write=flags,
    leak=st.integers(0, 63),
    rounding=st.integers(0, 6),
    overflow=st.integers(0, 3),
    out_bits=st.integers(1, 32),
    out_signed=flags,
    x_origin=st.integers(-4096, 4095),
    y_origin=st.integers(-4096, 4095),
    x_step=st.integers(0, 255),
    y_step=st.integers(0, 255),
    x_limit=st.integers(0, 8191),
    y_limit=st.integers(0, 8191),
)
instructions = st.one_of(
    st.just(Halt()),
    runs,
    st.builds(Set, registers, words),
    st.builds(Increment, registers, st.integers(-(1 << 23), (1 << 23) - 1)),
    st.builds(Loop, registers, words),
    st.builds(JumpEqual, registers, words, words),
    st.builds(Load, registers, addresses, st.integers(0, 31)),
    st.builds(Store, addresses, flags),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(instructions, max_size=3))
def test_a_program_is_decoded_as_it_was_encoded(program: list) -> None:
    image = encode(program)
    assert all(0 <= word < 1 << 32 for word in image)
    assert [instruction for _, instruction in decode(image)] == program


@settings(max_examples=60, deadline=None)
@given(st.tuples(*(st.integers(1, 3) for _ in LOOPS)), st.tuples(*(st.integers(-99, 99) for _ in LOOPS)))
def test_jumps_walk_the_nest_that_the_strides_describe(counts: tuple, strides: tuple) -> None:
    run = Run(counts=counts, strides=strides)
    assert decode(encode([run]))[0][1] == run
    places = [()]
    for count in reversed(counts):
        places = [(*place, i) for place in places for i in range(count)]
    # outermost loop first, so that the innermost changes fastest
    at = [sum(i * stride for i, stride in zip(reversed(place), strides)) for place in places]
    for before, after in pairwise(range(len(places))):
        changed = next(n for n, (a, b) in enumerate(zip(places[before], places[after])) if a != b)
        assert at[after] - at[before] == run.jumps[len(LOOPS) - 1 - changed]


def test_no_two_fields_of_an_instruction_share_a_bit() -> None:
    for kind in INSTRUCTIONS.values():
        taken = {(0, bit) for bit in (28, 29, 30)}
        for field in kind.layout:
            bits = {(field.word, bit) for bit in range(field.low, field.low + field.bits)}
            assert not bits & taken, field.name
            assert field.word < kind.words, field.name
            assert field.low + field.bits <= 32, field.name
            taken |= bits


def test_a_listing_names_what_differs_from_the_default() -> None:
    program = [Set(1, 5), Run(activation=Address(4, 2), counts=(3, 1, 1, 1, 1, 1)), Loop(1, 1), Halt()]
    assert listing(encode(program)) == (
        "    0  set register=1 value=5\n"
        "    1  run activation=4+r2 counts=(3,1,1,1,1,1)\n"
        "   21  loop register=1 target=1\n"
        "   22  halt\n"
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Set(1, 1 << 24).encode(),
            "value = 16777216 does not fit its field of 24 bits; use 0 to 16777215",
        ),
        (
            lambda: Run(last_channels=0).encode(),
            "last_channels = 0 does not fit its field of 8 bits; use 1 to 256",
        ),
        (
            lambda: Run(paired=True),
            "paired steps read rows two by two: set vector=True and an even channel count, not 1",
        ),
        (lambda: Run(noise=True), "noise draws from a table; set table=True and table_base"),
        (
            lambda: Run(maximum=True, modelled=True),
            "maximum keeps one product and adds none; it goes with neither modelled nor paired",
        ),
        (
            lambda: Run(groups=1, vector=True),
            "with vector each lane reads a word of a row, with groups each group a word; use one of them",
        ),
        *(
            (
                lambda options=options: Run(joined=True, **options),
                "joined adds the exact sums of groups of lanes; set groups, and neither maximum nor modelled",
            )
            for options in ({}, {"groups": 2, "maximum": True}, {"groups": 2, "modelled": True})
        ),
        (
            lambda: Run(groups=2, joined=True, unused=4),
            "unused = 4 words of a step do not count; set joined, and fewer than the 4 groups",
        ),
        (
            lambda: Run(groups=2, unused=1),
            "unused = 1 words of a step do not count; set joined, and fewer than the 4 groups",
        ),
        (
            lambda: Run(groups=1, joined=True, skip=True),
            "skip leaves out every second word between groups; set groups, and not joined",
        ),
        (
            lambda: Run(groups=1, spread=True),
            "spread says which columns the words of a bounded run are in; set bounded=True",
        ),
        (
            lambda: Run(barrier=False, early=3),
            "early = 3 shortens the wait of a barrier, and this run has none; set barrier=True",
        ),
        (
            lambda: Run(early=64).encode(),
            "early = 64 does not fit its field of 6 bits; use 0 to 63",
        ),
        *(
            (
                lambda options=options: Run(short=True, **options),
                "short leaves out the words that say where pixels are; it is for one pixel, without padding",
            )
            for options in (
                {"counts": (1, 1, 1, 1, 2, 1)},
                {"output_gap": 1},
                {"bounded": True},
                {"strides": (0, 0, 0, 0, 1, 0)},
            )
        ),
        (
            lambda: Run(barrier=False, argmax=True),
            "argmax without barrier would mix two searches; set barrier=True",
        ),
        (
            lambda: decode(Run(short=True).encode()[:12]),
            "the program ends inside the Run at word 0; it has 12 words",
        ),
        (
            lambda: decode(Run().encode()[:5]),
            "the program ends inside the Run at word 0; it has 5 words",
        ),
    ],
)
def test_what_the_engine_cannot_hold_is_refused_in_a_sentence(make: object, sentence: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value) == sentence
