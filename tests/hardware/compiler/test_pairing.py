# SPDX-License-Identifier: MIT
"""Two products are one run if from f to c it is as far as from i to g: where their factors stand, or are put."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from fixedpoint_nn.hardware.compiler.expression import Product
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.pairing import apart, beside_state, spaced
from fixedpoint_nn.hardware.compiler.placing import Placing
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View
from tests.support.kernels import row

FRAC = 8


def products(f: View, c: View, i: View, g: View) -> list[Product]:
    return [Product(f, c, FRAC), Product(i, g, FRAC)]


def factors(found: list[Product] | None) -> list[tuple[View, View]] | None:
    return None if found is None else [(product.view, product.other) for product in found]


def in_one(home: Buffer, *offsets: int, register: Register | None = None) -> list[View]:
    return [row(Buffer("part", 4, home, at, register), 4) for at in offsets]


@pytest.mark.parametrize(
    ("offsets", "order"),
    [
        ((0, 8, 4, 12), "as they are"), ((0, 8, 12, 4), "turned"), ((8, 0, 12, 4), "as they are"),
        ((8, 0, 4, 12), "turned"), ((0, 0, 8, 8), "as they are"), ((0, 8, 4, 16), "none"), ((0, 4, 4, 4), "none"),
        ((4, 8, 0, 4), "as they are"), ((0, 4, 8, 8), "none"),
    ],
)  # fmt: skip
def test_factors_of_one_buffer_are_paired_where_both_distances_are_equal(
    offsets: tuple[int, ...], order: str
) -> None:
    f, c, i, g = in_one(Buffer("home", 64), *offsets)
    found = factors(spaced(Placing(), products(f, c, i, g)))
    assert found == {"as they are": [(f, c), (i, g)], "turned": [(f, c), (g, i)], "none": None}[order]


def test_factors_of_two_buffers_are_paired_across() -> None:
    one, other = Buffer("one", 64), Buffer("other", 64)
    (f, i), (c, g) = in_one(one, 0, 8), in_one(other, 4, 12)
    assert factors(spaced(Placing(), products(f, c, i, g))) == [(f, c), (i, g)]
    assert factors(spaced(Placing(), products(f, c, g, i))) == [(f, c), (i, g)]
    assert spaced(Placing(), products(f, i, c, g)) is None, (
        "f and i would stand in one buffer, c and g in another"
    )
    (far,) = in_one(other, 16)
    assert spaced(Placing(), products(f, c, i, far)) is None


def test_factors_that_move_otherwise_are_no_pair() -> None:
    home, register = Buffer("home", 64), Register(8)
    f, c, i, g = in_one(home, 0, 8, 4, 12, register=register)
    assert spaced(Placing(), products(f, c, i, g)) is not None
    (still,) = in_one(home, 12)
    assert spaced(Placing(), products(f, c, i, still)) is None


def test_free_factors_are_put_side_by_side_so_that_they_are_a_pair() -> None:
    placing, home = Placing(), Buffer("home", 32)
    f, c, i, g = (row(Buffer(name, 8), 8) for name in "fcig")
    pair = apart(placing, products(f, c, i, g), home, 8)
    assert sorted(placing.place(view)[1] for view in (f, c, i, g)) == [0, 8, 16, 24]
    assert {placing.place(view)[0] for view in (f, c, i, g)} == {home}
    assert factors(spaced(placing, pair)) == [(f, c), (i, g)]


REGION_WORDS, AT, STRIDE = 64, 8, 16


def beside(
    result: str, order: tuple[int, ...] = (0, 1, 2, 3)
) -> tuple[Placing, list[View], list[Product] | None]:
    """p, the state, x and y, after they have joined the state's rows; `order` is that of the four factors."""
    register = Register(STRIDE, span=32)
    region = Buffer("rows", REGION_WORDS, used=REGION_WORDS)
    state = row(Buffer("state", 4, region, AT, register), 4)
    p, x, y = (row(Buffer(name, 4), 4) for name in "pxy")
    there = {"next row": AT + STRIDE, "elsewhere": AT + STRIDE + 4}[result]
    target = Target(Buffer("result", 4, region, there, register), 0, 4)
    placing, four = Placing(), [p, state, x, y]
    found = beside_state(placing, products(*(four[n] for n in order)), target)
    return placing, four, found


@pytest.mark.parametrize("result", ["next row", "elsewhere"])
@pytest.mark.parametrize("order", [o for o in permutations(range(4)) if {0, 1} in ({*o[:2]}, {*o[2:]})])
def test_free_factors_join_the_rows_of_the_state(result: str, order: tuple[int, ...]) -> None:
    placing, (p, state, x, y), found = beside(result, order)
    assert found is not None
    region = placing.place(state)[0]
    places = {view.buffer.name: placing.place(view)[1] for view in (p, state, x, y)}
    assert {placing.place(view)[0] for view in (p, x, y)} == {region}
    assert {placing.register(view.buffer) for view in (p, x, y)} == {placing.register(state.buffer)}
    assert places["p"] == (AT + STRIDE if result == "next row" else REGION_WORDS)
    assert min(places["x"], places["y"]) >= REGION_WORDS
    apart_from_each_other = sorted(places.values())
    assert all(b - a >= 4 for a, b in pairwise(apart_from_each_other))
    first_is_state = order.index(1) < 2
    both = found if first_is_state else found[::-1]
    assert (both[0].view, both[0].other) == (p, state)
    assert {both[1].view.buffer.name, both[1].other.buffer.name} == {"x", "y"}
    assert factors(spaced(placing, found)) == factors(found)
    assert placing.used(region) == max(places.values()) + 4


def test_what_has_a_place_already_or_is_read_twice_joins_no_rows() -> None:
    register, region = Register(STRIDE), Buffer("rows", REGION_WORDS, used=REGION_WORDS)
    state, second = (row(Buffer("state", 4, region, at, register), 4) for at in (0, 4))
    p, x, y = (row(Buffer(name, 4), 4) for name in "pxy")
    target = Target(Buffer("result", 4), 0, 4)
    assert beside_state(Placing(), products(p, state, x, x), target) is None
    assert beside_state(Placing(), products(p, state, x, second), target) is None
    unused = row(Buffer("state", 4, Buffer("plain", 64), 0), 4)
    assert beside_state(Placing(), products(p, unused, x, y), target) is None
    assert beside_state(Placing(), products(p, row(Buffer("z", 4), 4), x, y), target) is None
    assert beside_state(Placing(), products(p, state, x, y), target) is not None
