# SPDX-License-Identifier: MIT
"""Operands are copied only where no run could read them, and the copies change no word of the result."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Product, Scale, Term, load
from fixedpoint_nn.hardware.compiler.ir import Compute, Declare, EngineProgram, computations
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.legalise import legalise
from fixedpoint_nn.hardware.compiler.select import select
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, Register, View
from fixedpoint_nn.numerics.qformat import Q, QFormat
from tests.support.computations import results

LANES = 4
WORD = Q(4, 4)
IN, OUT = Buffer("in", 160), Buffer("out", 200)
Axes = tuple[tuple[Atom, ...], ...]


def at(offset: int, *axes: tuple[Atom, ...], format: QFormat = WORD, buffer: Buffer = IN) -> View:
    """Words of the input: no free buffer, because others read it, too."""
    return View(buffer, offset, ((), *axes), format)


def channels(n: int, stride: int = 1) -> tuple[Atom, ...]:
    return (Atom(n, stride),)


def dot(view: View, outputs: int = 3, seed: int = 0, frac: int | None = None) -> Dot:
    taps = int(np.prod([atom.size for atom in view.axes[-1]], dtype=int))
    made = np.random.default_rng(seed).integers(-3, 4, (taps, outputs))
    return Dot(view, made, view.format.frac_bits if frac is None else frac)


def scale(view: View, *weights: int, frac: int = 4) -> Scale:
    return Scale(view, np.array([weights]), frac)


def product(a: View, b: View) -> Product:
    return Product(a, b, a.format.frac_bits + b.format.frac_bits)


def legal(
    *terms: Term, parts: Any = None, before: tuple[Compute, ...] = (), **more: Any
) -> tuple[int, Expression]:
    """How many copies a sum of terms needs, and what it is then; the words of all results are compared."""
    first = terms[0] if terms else parts[0][0]
    pixels = [int(np.prod([atom.size for atom in axis], dtype=int)) for axis in first.pixels]
    groups = 1 if parts is None else len(parts)
    shape = (*pixels, first.channels * groups)
    format = more.pop("format", Q(16, 8))
    expression = Expression(shape, format, parts or (tuple(terms),), **more)
    item = Compute("fc", "fc", (), expression, Target(OUT, 0, 8))
    view = at(0, channels(160))
    program = EngineProgram(
        LANES, (Declare(IN), Declare(OUT), *before, item), (), view, replace(view, buffer=OUT)
    )
    made = legalise(program)
    x = np.random.default_rng(1).integers(-8, 8, 160).tolist()
    assert np.array_equal(results(made, x)[-1], results(program, x)[-1])
    done = list(computations(made.items))
    for one in done:
        (root, start), pixel = one.target.place, prod(one.expression.shape[:-1]) - 1
        assert start + pixel * one.target.stride + one.expression.channels <= root.words, (
            "inside of its buffer"
        )
    assert [one for one in select(made).items if isinstance(one, Kernel)], "each of them is a run"
    return len(done) - 1 - len(before), done[-1].expression


def refused(*terms: Term, **more: Any) -> str:
    with pytest.raises(LoweringError) as caught:
        legal(*terms, **more)
    return str(caught.value).removeprefix("Layer 'fc' does not fit the engine: it ").removesuffix(".")


ROWS, COLUMNS, ONE = channels(4), channels(4, 8), ()


# ---- one term ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "copies", "kind"),
    [
        (dot(at(3, channels(5))), 0, Dot),
        (dot(at(3, channels(5, 7))), 0, Dot),
        (scale(at(8, ROWS), 1, 2, -3, 4), 0, Scale),
        (scale(at(3, ROWS), 1, 2, -3, 4), 0, Dot),  # no row: a matrix with a diagonal
        (scale(at(8, COLUMNS), 1, 2, -3, 4), 0, Dot),
        (scale(at(5, ONE), 3), 0, Scale),  # one word for all lanes
        (scale(at(5, channels(3, 0)), 1, 2, 3), 0, Scale),
        (product(at(0, ROWS), at(8, ROWS)), 0, Product),
        (product(at(0, ROWS), at(9, ROWS)), 1, Product),
        (product(at(1, ROWS), at(9, ROWS)), 2, Product),
        (product(at(0, channels(3), ROWS), at(16, channels(3, 4), ROWS)), 1, Product),
        (product(at(0, channels(3, 4), ROWS), at(16, channels(3, 4), ROWS)), 0, Product),
        (
            product(at(0, channels(3, 4), ROWS), at(16, channels(3, 8), ROWS)),
            1,
            Product,
        ),  # as far apart as that one
    ],
)
def test_one_term_is_read_where_it_stands_if_a_run_can(term: Term, copies: int, kind: type) -> None:
    made, expression = legal(term)
    assert made == copies
    assert [type(one) for one in expression.terms] == [kind]


def test_a_sum_over_rows_needs_rows() -> None:
    fine = Scale(at(8, ROWS), np.ones((3, 4), np.int64), 4, channels(3, 8))
    assert legal(fine)[0] == 0
    assert legal(replace(fine, maximum=True))[0] == 0
    single = Scale(at(5, ONE), np.ones((3, 1), np.int64), 4, channels(3, 5))
    assert legal(single)[0] == 0
    for view, over in ((at(9, ROWS), channels(3, 8)), (at(8, ROWS), channels(3, 6))):
        assert (
            refused(replace(fine, view=view, over=over))
            == "sums over values that are no rows of 4 words; cast them before"
        )


def test_a_maximum_of_what_is_no_row_is_copied() -> None:
    largest = replace(scale(at(9, ROWS), 1, 1, 1, 1), maximum=True)
    made, expression = legal(largest)
    assert (made, [type(one) for one in expression.terms]) == (1, [Scale])


def test_a_value_that_does_not_depend_on_the_input_is_refused() -> None:
    item = Compute("fc", "fc", (), Expression((1, 4), WORD, ((),)), Target(OUT, 0, 4))
    program = EngineProgram(LANES, (item,), (), at(0, ROWS), at(0, ROWS))
    with pytest.raises(LoweringError) as caught:
        legalise(program)
    assert str(caught.value) == (
        "Layer 'fc' does not fit the engine: it leaves over a value that does not depend on the input; fold it into a "
        "constant."
    )


def test_groups_are_runs_of_their_own_with_one_term_each() -> None:
    a, b = dot(at(3, channels(5))), dot(at(13, channels(5)), seed=1)
    copies, expression = legal(parts=((a,), (b,)))
    assert (copies, [[term.weights for term in part] for part in expression.parts]) == (
        0,
        [[a.weights], [b.weights]],
    )  # type: ignore[union-attr]
    for parts in (((a, b), (b,)), ((a,), (b, a)), ((a, b), (b, a))):
        assert refused(parts=parts) == (
            "adds a grouped convolution and another sum, which is no single run; cast one of them first"
        )


# ---- several terms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("views", "copies"),
    [
        ([at(3, channels(5)), at(8, channels(2))], 0),  # one ends where the other begins
        ([at(8, channels(2)), at(3, channels(5))], 0),  # or the other way round
        ([at(3, channels(5)), at(9, channels(2))], 2),
        ([at(3, ONE), at(4, channels(2))], 0),
        ([at(3, channels(2, 3)), at(9, channels(2, 3))], 2),
        ([at(3, channels(2)), at(5, channels(2)), at(7, channels(4))], 0),
        ([at(3, channels(2)), at(6, channels(2)), at(8, channels(4))], 3),
        ([at(0, channels(3, 10), channels(4)), at(4, channels(3, 10), channels(2))], 0),
        ([at(0, channels(3, 10), channels(4)), at(4, channels(3, 12), channels(2))], 2),
        ([at(0, (Atom(2, 20), Atom(2, 1))), at(22, channels(2))], 2),
        ([at(0, (Atom(2, 1), Atom(2, 20))), at(2, channels(2))], 2),
        ([at(3, channels(4)), at(9, channels(4))], 2),
    ],
)
def test_dot_products_of_neighbours_are_one_run_and_others_are_brought_together(
    views: list[View], copies: int
) -> None:
    terms = [dot(view, seed=n) for n, view in enumerate(views)]
    made, expression = legal(*terms)
    assert made == copies
    end = None
    for term in expression.terms:
        (root, start), size = term.view.place, term.weights.shape[0]  # type: ignore[union-attr]
        assert end in (None, (root, start)), "each begins where the one before it ends"
        end = root, start + size


@pytest.mark.parametrize(
    ("terms", "copies", "kinds"),
    [
        ([scale(at(8, ROWS), 1, 2, 3, 4), scale(at(40, ROWS), 1, 1, 1, 1)], 0, {Scale}),
        ([scale(at(8, ROWS), 1, 2, 3, 4), scale(at(41, ROWS), 1, 1, 1, 1)], 1, {Scale}),
        ([scale(at(8, ROWS), 1, 2, 3, 4), dot(at(41, channels(5)), 4)], 1, {Scale}),
        ([dot(at(41, channels(5)), 4), scale(at(9, ROWS), 1, 2, 3, 4)], 2, {Scale}),
        ([scale(at(8, ROWS), 1, 2, 3, 4), scale(at(40, channels(4, 0)), 1, 1, 1, 1)], 1, {Scale}),
        ([scale(at(8 * n, ROWS), 1, 2, 3, 4) for n in range(3)], 3, {Scale}),
        (
            [scale(at(0, channels(2, 8), ROWS), 1, 2, 3, 4), scale(at(40, channels(2, 8), ROWS), 1, 1, 1, 1)],
            0,
            {Scale},
        ),
        (
            [scale(at(0, channels(2, 8), ROWS), 1, 2, 3, 4), scale(at(40, channels(2, 4), ROWS), 1, 1, 1, 1)],
            2,
            {Scale},
        ),
    ],
)
def test_scaled_values_are_rows_of_equal_steps(terms: list[Term], copies: int, kinds: set[type]) -> None:
    made, expression = legal(*terms)
    assert made == copies
    assert {type(term) for term in expression.terms} == kinds
    assert len({term.pixels for term in expression.terms}) == 1
    if len(terms) > 2:
        starts = [term.view.place[1] for term in expression.terms]  # type: ignore[union-attr]
        assert [b - a for a, b in pairwise(starts)] == [4, 4]


def test_a_sum_over_rows_and_another_value_are_two_runs() -> None:
    over = Scale(at(8, ROWS), np.ones((3, 4), np.int64), 4, channels(3, 8))
    made, expression = legal(over, scale(at(40, ROWS), 1, 2, 3, 4))
    assert made == 1
    assert [term.over for term in expression.terms] == [(), ()]  # type: ignore[union-attr]
    assert legal(over, replace(over, view=at(40, ROWS)))[0] == 2


def test_the_largest_of_values_at_one_binary_point() -> None:
    a, b = (replace(scale(at(n, ROWS), 1, 1, 1, 1), maximum=True) for n in (8, 40))
    assert legal(a, b)[0] == 0
    assert refused(a, replace(b, frac=5)) == (
        "takes the larger of two values with different fraction bits; cast one of them first"
    )
    assert legal(scale(at(8, ROWS), 1, 1, 1, 1), scale(at(40, ROWS), 1, 1, 1, 1, frac=6))[0] == 0


# ---- products ----------------------------------------------------------------------------------------------

PAIR = product(at(0, ROWS), at(8, ROWS))


@pytest.mark.parametrize(
    ("other", "copies"),
    [
        (product(at(16, ROWS), at(24, ROWS)), 0),  # as far apart as the first two
        (product(at(24, ROWS), at(16, ROWS)), 0),
        (product(at(16, ROWS), at(28, ROWS)), 4),
        (product(at(17, ROWS), at(25, ROWS)), 6),
    ],
)
def test_two_products_are_one_run_if_their_factors_are_equally_far_apart(other: Product, copies: int) -> None:
    made, expression = legal(PAIR, other)
    assert made == copies
    (f, c), (i, g) = (term.views() for term in expression.terms)
    assert i.place[1] - f.place[1] == g.place[1] - c.place[1]
    assert legal(other, PAIR)[0] == copies


def test_three_products_are_always_brought_together() -> None:
    assert legal(PAIR, product(at(16, ROWS), at(24, ROWS)), product(at(32, ROWS), at(40, ROWS)))[0] == 6


@pytest.mark.parametrize(
    ("weights", "frac", "power"),
    [((1, 1, 1, 1), 4, 4), ((4, 4, 4, 4), 4, 6), ((1, 1, 1, 1), 8, 0), ((2, 2, 2, 2), 6, 3)],
)
def test_a_plain_value_beside_a_product_is_multiplied_by_a_power_of_two(
    weights: tuple[int, ...], frac: int, power: int
) -> None:
    made, expression = legal(PAIR, scale(at(16, ROWS), *weights, frac=frac))
    assert [type(term) for term in expression.terms] == [Product, Product]
    constant = expression.terms[1].views()[1].buffer
    assert made == 4, "the row of constants is brought to the others"
    assert constant.root.name == "fc"
    assert power == 4 + (weights[0].bit_length() - 1) + (4 - frac)


@pytest.mark.parametrize(
    "term",
    [
        scale(at(16, ROWS), 3, 3, 3, 3),
        scale(at(16, ROWS), 2, 4, 2, 2),
        scale(at(16, ROWS), -2, -2, -2, -2),
        scale(at(16, ROWS), 0, 0, 0, 0),
        dot(at(17, channels(5)), 4),
        Scale(at(16, ROWS), np.ones((2, 4), np.int64), 4, channels(2, 8)),
        product(at(16, ROWS), at(24, ROWS, format=Q(4, 3))),
    ],
)
def test_anything_else_beside_a_product_is_stored_and_so_is_the_product(term: Term) -> None:
    made, expression = legal(PAIR, term)
    assert made == 2
    assert [type(one) for one in expression.terms] == [Scale, Scale]
    assert all(one.weights.tolist() == [[1, 1, 1, 1]] for one in expression.terms)  # type: ignore[union-attr]


def test_pixels_of_products_and_of_a_repeated_row_of_constants() -> None:
    a, b = at(0, channels(3, 8), ROWS), at(40, channels(3, 8), ROWS)
    made, expression = legal(product(a, b), scale(at(80, channels(3, 8), ROWS), 1, 1, 1, 1))
    assert [type(one) for one in expression.terms] == [Product, Product]
    assert made == 4


# ---- free buffers ------------------------------------------------------------------------------------------


def stored(*sources: int, pixels: int = 1) -> tuple[list[View], tuple[Compute, ...]]:
    """Values computed into buffers of their own, that may be put anywhere."""
    views, items = [], []
    for number, offset in enumerate(sources):
        buffer = Buffer(f"free{number}", 4 * pixels)
        axes = (channels(4),) if pixels == 1 else (channels(pixels, 4), channels(4))
        items.append(Compute("", "fc", (), load(at(offset, *axes)), Target(buffer, 0, 4)))
        views.append(at(0, *axes, buffer=buffer))
    return views, tuple(items)


@pytest.mark.parametrize("pixels", [1, 3])
def test_four_free_factors_are_put_where_one_run_reads_them(pixels: int) -> None:
    (f, c, i, g), before = stored(0, 16, 32, 48, pixels=pixels)
    made, expression = legal(product(f, c), product(i, g), before=before)
    assert made == 0, "no copy"
    (f, c), (i, g) = (term.views() for term in expression.terms)
    assert i.place[1] - f.place[1] == g.place[1] - c.place[1] != 0
    starts = sorted(view.place[1] for view in (f, c, i, g))
    assert starts == [n * 4 * pixels for n in range(4)]
    assert f.buffer.root.words == 16 * pixels


def test_factors_that_are_shared_or_read_elsewhere_are_copied() -> None:
    (f, c, i), before = stored(0, 16, 32)
    assert legal(product(f, c), product(i, f), before=before)[0] == 4
    (f, c, i, g), before = stored(0, 16, 32, 48)
    used = Compute("", "fc", (), Expression((1, 4), Q(16, 8), ((product(f, i),),)), Target(OUT, 100, 4))
    assert legal(product(f, c), product(i, g), before=(*before, used))[0] == 4


def test_factors_whose_distance_a_sum_has_fixed_are_copied() -> None:
    (f, c, i, g), before = stored(0, 16, 32, 48)
    for terms in ((scale(f, 1, 1, 1, 1), scale(g, 1, 1, 1, 1)), (product(f, g),)):
        used = Compute("", "fc", (), Expression((1, 4), Q(16, 8), (terms,)), Target(OUT, 100, 4))
        assert legal(product(f, c), product(i, g), before=(*before, used))[0] == 4
    alone = Compute(
        "", "fc", (), Expression((1, 4), Q(16, 8), ((scale(f, 1, 1, 1, 1),),)), Target(OUT, 100, 4)
    )
    assert legal(product(f, c), product(i, g), before=(*before, alone))[0] == 0


def test_what_a_loop_moves_and_what_it_does_not_are_not_read_in_one_run() -> None:
    moved = Buffer("moved", 160, IN, 0, Register(8))
    rows = [scale(at(n, ROWS, buffer=b), 1, 2, 3, 4) for n, b in ((8, IN), (40, moved), (80, moved))]
    assert legal(rows[0], rows[1])[0] == 2
    assert legal(rows[1], rows[2])[0] == 0
    dots = [dot(at(n, channels(4), buffer=b)) for n, b in ((8, IN), (12, moved), (16, moved))]
    assert legal(dots[0], dots[1])[0] == 2
    assert legal(dots[1], dots[2])[0] == 0
    still, moving = at(8, ROWS), at(40, ROWS, buffer=moved)
    assert legal(product(still, still))[0] == legal(product(moving, moving))[0] == 0
    for factors in ((still, moving), (moving, still)):
        made, expression = legal(product(*factors))
        assert made == 1, "what moves is copied to where it does not"
        assert {view.buffer.register for view in expression.terms[0].views()} == {None}
