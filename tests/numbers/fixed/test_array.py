# SPDX-License-Identifier: MIT
"""`FixedArray`: exact in everything but `cast`, and at home in NumPy."""

from __future__ import annotations

import operator
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import Tensor
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.table import Table
from tests.support import oracle


def fractions(x: FixedArray) -> np.ndarray:
    """Every value, exactly."""
    flat = [oracle.value(int(n), x.format) for n in x.ints.reshape(-1)]
    return np.array([*flat, None], object)[:-1].reshape(x.shape)


def check(result: FixedArray, exact: np.ndarray | Fraction) -> None:
    """The same values, integers within the format, and a bound that is one."""
    expected = np.asarray(exact, object)
    assert result.shape == expected.shape
    assert fractions(result).tolist() == expected.tolist()
    if result.size:
        assert result.format.int_min <= int(result.ints.min())
        assert int(result.ints.max()) <= result.format.int_max
        assert int(np.abs(result.ints).max()) <= result._bounded.bound


@st.composite
def formats(draw: st.DrawFn, most: int = 31) -> QFormat:
    bits, frac = draw(st.integers(1, most)), draw(st.integers(-5, 12))
    return QFormat(bits - frac, frac, draw(st.booleans()))


@st.composite
def arrays(draw: st.DrawFn, rows: int = 2, columns: int = 3, most: int = 31) -> FixedArray:
    format = draw(formats(most))
    entry = st.integers(format.int_min, format.int_max) | st.sampled_from([format.int_min, format.int_max])
    flat = draw(st.lists(entry, min_size=rows * columns, max_size=rows * columns))
    return FixedArray.from_ints(np.array(flat).reshape(rows, columns), format)


RNG = np.random.default_rng(0)
A = FixedArray.from_ints(RNG.integers(-100, 100, (3, 4)), Q(4, 4))
B = FixedArray.from_ints(RNG.integers(0, 60, (3, 4)), UQ(2, 6))


# ---- exactness ---------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(arrays(most=30), arrays(most=30))
def test_products_of_two_batches_of_matrices_are_exact(a: FixedArray, b: FixedArray) -> None:
    x, y = fractions(a), fractions(b)
    check(a.matmul(b.transpose(1, 0)), x @ y.T)
    check(a.reshape(1, 2, 3).matmul(b.reshape(1, 3, 2)), (x @ y.reshape(3, 2))[np.newaxis])


def test_a_product_of_matrices_has_room_for_its_own_terms() -> None:
    a = FixedArray.from_ints(np.full((2, 1, 40), -128), Q(8, 0))
    b = FixedArray.from_ints(np.full((2, 40, 1), -128), Q(8, 0))
    product = a.matmul(b)
    assert product.format == QFormat.for_dot(Q(8, 0), Q(8, 0), 40)
    assert product.ints.tolist() == [[[40 << 14]]] * 2
    wide = FixedArray.from_ints(np.full((1, 1, 512), -(1 << 22)), Q(23, 0))
    ones = FixedArray.from_ints(np.full((1, 512, 1), 3), Q(3, 0))
    odd = wide.matmul(ones) + FixedArray.from_ints(1, Q(2, 0))
    assert odd.ints.tolist() == [[[1 - 512 * 3 * (1 << 22)]]]


@settings(max_examples=150, deadline=None)
@given(arrays(), arrays(), st.integers(-(2**20), 2**20))
def test_arithmetic_is_exact(a: FixedArray, b: FixedArray, n: int) -> None:
    x, y = fractions(a), fractions(b)
    check(a + b, x + y)
    check(a - b, x - y)
    check(a * b, x * y)
    check(-a, -x)
    check(abs(a), abs(x))
    check(a.maximum(b), np.maximum(x, y))
    check(a.minimum(b), np.minimum(x, y))
    check(np.minimum(a, b), np.minimum(x, y))
    check(a.transpose(1, 0), x.T)
    check(a.relu(), np.maximum(x, 0))
    check(a.scaled(3), x * 8)
    check(a.scaled(-3), x / 8)
    check(a + n, x + n)
    check(n + a, x + n)
    check(n - a, n - x)
    check(a - n, x - n)
    check(n * a, x * n)
    check(a.sum(0), x.sum(0))
    check(a.sum(), x.sum())
    check(a.sum((0, 1), keepdims=True), x.sum(keepdims=True).reshape(1, 1))
    check(a.max(1), x.max(1))
    check(a.min(0), x.min(0))
    check(a.concat([b, a]), np.concatenate([x, y, x], axis=-1))
    for function in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        assert function(a, b).tolist() == function(x, y).tolist()
        assert function(a, n).tolist() == function(x, n).tolist()


@settings(max_examples=150, deadline=None)
@given(arrays(2, 3, most=29), arrays(3, 2, most=29))
def test_a_matrix_product_is_exact(a: FixedArray, b: FixedArray) -> None:
    exact = np.array(
        [[sum(p) for p in row] for row in (fractions(a)[:, :, None] * fractions(b)).transpose(0, 2, 1)]
    )
    check(a @ b, exact)
    check(a.dot(b, initial=a @ b), exact * 2)


@settings(max_examples=200, deadline=None)
@given(arrays(most=63), arrays(most=63))
def test_comparison_knows_no_width(a: FixedArray, b: FixedArray) -> None:
    assert (a < b).tolist() == (fractions(a) < fractions(b)).tolist()
    assert (a == b).tolist() == (fractions(a) == fractions(b)).tolist()


def test_formats_grow_as_the_rules_say() -> None:
    a, b = Q(4, 12), UQ(2, 6)
    x, y = FixedArray.from_ints([[1]], a), FixedArray.from_ints([[1]], b)
    assert (x + y).format == QFormat.for_sum(a, b)
    assert (x - y).format == QFormat.for_difference(a, b)
    assert (y - x).format == QFormat.for_difference(b, a)
    assert (x * y).format == QFormat.for_product(a, b)
    assert (x @ y).format == QFormat.for_dot(a, b, 1)
    assert (-y).format == QFormat.for_negation(b)
    assert x.maximum(y).format == QFormat.for_maximum(a, b)
    assert x.sum(0).format == QFormat.for_sum(a, terms=1)
    assert x.concat([y]).format == QFormat.for_any([a, b])
    assert (1 - y).format == QFormat.for_difference(UQ(1, 0), b)
    assert x.relu().format == a
    assert x.scaled(2).format == Q(6, 10)


def test_empty_arrays_add_multiply_and_compare() -> None:
    empty, other = A[:0], B[:0]
    for result in (empty + other, empty * other, empty.maximum(other), -empty, empty.relu(), abs(empty)):
        assert result.shape == (0, 4) and result.ints.shape == (0, 4)
    assert (empty == other).shape == (0, 4)
    assert empty.concat([A], axis=0).ints.tolist() == A.ints.tolist()


def test_a_maximum_with_an_unsigned_number_is_unsigned() -> None:
    x = FixedArray.from_ints([-8, 7], Q(4, 0)).maximum(FixedArray.from_ints([3, 3], UQ(3, 0)))
    assert x.format == UQ(3, 0) and x.ints.tolist() == [3, 7]


def test_broadcasting_is_numpys() -> None:
    row, column = A[:1], B[:, :1]
    check(row * column, fractions(row) * fractions(column))
    check(A + B[0], fractions(A) + fractions(B[0]))
    check(A[0, 0] + B, fractions(A)[0, 0] + fractions(B))


def test_values_survive_every_container() -> None:
    """Integers of 24, 53 and 63 bits live in float32, float64 and int64."""
    for bits, dtype in (
        (24, np.float32),
        (25, np.float32),
        (26, np.float64),
        (54, np.float64),
        (55, np.int64),
    ):
        format = Q(bits, 0)
        x = FixedArray.from_ints([format.int_min, format.int_max, 1], format)
        assert x._bounded.array.dtype == dtype
        assert x.ints.tolist() == [format.int_min, format.int_max, 1]
        assert (x + x).ints.tolist() == [2 * format.int_min, 2 * format.int_max, 2]
    x = FixedArray.from_ints([-(2**62), 2**62 - 1], Q(63, 0))
    assert x.ints.tolist() == [-(2**62), 2**62 - 1]
    assert (x.cast(Quantizer(Q(62, 0)))).ints.tolist() == [-(2**61), 2**61 - 1]


def test_a_minus_zero_is_a_zero() -> None:
    x = FixedArray.from_float([-0.0, -0.1], Quantizer(Q(4, 0)))
    assert not np.signbit(x.to_float()).any()
    assert not np.signbit((-x).to_float()).any()


# ---- making and reading ------------------------------------------------------------------------------------


def test_it_shows_its_values_and_its_format() -> None:
    x = FixedArray.from_float([[0.5, -1.25], [3.0, 4.0]], Quantizer(Q(4, 12)))
    assert repr(x) == "FixedArray([[ 0.5 , -1.25],\n            [ 3.  ,  4.  ]], Q(4, 12))"
    assert repr(x[0, 1]) == "FixedArray(-1.25, Q(4, 12))"
    assert repr(x[:0]) == "FixedArray([], Q(4, 12))"


def test_integers_are_copied_in_and_read_only_out() -> None:
    ints = np.arange(4) << 55
    x = FixedArray.from_ints(ints, Q(60, 0))
    ints[:] = 0
    assert x.ints.tolist() == [n << 55 for n in range(4)]
    with pytest.raises(ValueError, match="read-only"):
        x.ints[0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        x.ints.flags.writeable = True
    with pytest.raises(TypeError, match="does not support item assignment"):
        x[0] = 1
    with pytest.raises(AttributeError):
        x.format = Q(4, 12)


def test_from_float_copies_too() -> None:
    source = np.array([1 << 60])
    x = FixedArray.from_float(source, Quantizer(Q(63, 0)))
    source[0] = 0
    assert x.ints.tolist() == [1 << 60]


def test_floats_are_the_values() -> None:
    assert A.to_float().tolist() == (A.ints / 16).tolist()
    assert float(A[1, 2]) == A.ints[1, 2] / 16
    assert int(FixedArray.from_ints(6, Q(4, 1))) == 3
    assert int(FixedArray.from_ints(3, Q(60, -3))) == 24
    assert FixedArray.from_ints([3], Q(-1071, 1074)).to_float().tolist() == [3 * 2.0**-1074]


# ---- movement ----------------------------------------------------------------------------------------------


def test_moving_elements_moves_the_integers() -> None:
    for index in (0, -1, slice(1, None), (slice(None), 2), np.array([2, 0]), A.ints > 0, (..., None), (1, 1)):
        assert np.array_equal(A[index].ints, A.ints[index])
        assert A[index].format == A.format
    assert [row.ints.tolist() for row in A] == A.ints.tolist()
    assert np.array_equal(A.reshape(-1, 2).ints, A.ints.reshape(-1, 2))
    assert np.array_equal(A.reshape((2, 6)).ints, A.ints.reshape(2, 6))
    assert np.array_equal(A.T.ints, A.ints.T)
    assert [part.ints.tolist() for part in A.split(2)] == [p.tolist() for p in np.split(A.ints, 2, -1)]
    assert np.array_equal(A.take(np.array([[2], [0]])).ints, A.ints[[[2], [0]]])
    assert np.array_equal(A.take(FixedArray.from_ints([1, 3], UQ(2, 0)), axis=1).ints, A.ints[:, [1, 3]])
    assert (len(A), A.shape, A.ndim, A.size) == (3, (3, 4), 2, 12)


def test_windows_are_padded_with_zeros_or_with_the_lowest_value() -> None:
    x = FixedArray.from_ints(RNG.integers(-8, 8, (2, 3, 3, 2)), Q(4, 0))
    padded = x.windows((2, 2), (1, 1), ((1, 0), (0, 1)))
    assert padded.shape == (2, 3, 3, 4, 2)
    assert padded[:, 0, 0, 0].ints.tolist() == [[0, 0], [0, 0]]
    lowest = x.windows((2, 2), (1, 1), ((1, 0), (0, 1)), lowest=True)
    assert lowest[:, 0, 0, 0].ints.tolist() == [[-8, -8], [-8, -8]]
    assert np.array_equal(lowest.max(axis=3)[:, 1, 0].ints, x[:, :2, :2].reshape(2, 4, 2).max(1).ints)
    wide = FixedArray.from_ints([[[[1]]]], Q(40, 0)).windows((2, 1), (1, 1), ((1, 0), (0, 0)), lowest=True)
    assert wide.ints.reshape(-1).tolist() == [-(1 << 39), 1]


def test_argmax_is_a_whole_number_and_takes_the_first_of_equals() -> None:
    x = FixedArray.from_ints([[1, 3, 3], [2, 2, 1]], Q(4, 4))
    assert x.argmax().ints.tolist() == [1, 0]
    assert x.argmax().format == UQ(2, 0)
    assert (x.argmax() == np.array([1, 2])).tolist() == [True, False]


def test_a_lookup_gives_the_tables_entries() -> None:
    table = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))
    y = A.lookup("tanh", table)
    assert y.format == Q(1, 7)
    assert np.array_equal(y.ints, table.lookup(A.ints))


def test_scan_runs_over_axis_1_and_stacks_there() -> None:
    x = FixedArray.from_ints(RNG.integers(-8, 8, (2, 5, 3)), Q(4, 4))
    acc = Quantizer(Q(9, 4))

    def step(x_t: FixedArray, total: FixedArray) -> tuple[FixedArray, FixedArray]:
        total = (total + x_t).cast(acc)
        return total, total

    ys, last = x.scan(step, x.zeros(3, like=acc))
    assert np.array_equal(ys.ints, np.cumsum(x.ints, axis=1))
    assert np.array_equal(last.ints, x.ints.sum(1))
    doubled, _ = x.scan(lambda both, h: (both[0] + both[1], h), x.zeros(3), each=lambda v: (v, v))
    assert np.array_equal(doubled.ints, 2 * x.ints)


def test_zeros_have_the_batch_and_the_quantizers_format() -> None:
    zeros = A.zeros(5, 2, like=Quantizer(Q(3, 3)))
    assert (zeros.shape, zeros.format) == ((3, 5, 2), Q(3, 3))
    assert not zeros.ints.any()


# ---- no axes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("rounding", Rounding)
def test_a_number_without_axes_is_cast_like_an_element(overflow: Overflow, rounding: Rounding) -> None:
    """In every container, with and without statistics; by subscript, by product and from a plain integer."""
    targets = [Q(4, 0), UQ(3, 1), Q(4, -1), Q(20, 0), Q(40, 3), Q(62, 0)]
    for value, source, target in product((100, 7, -100), (Q(10, 0), Q(8, 4), Q(30, 0), Q(60, 0)), targets):
        quantizer = Quantizer(target, rounding, overflow)
        x = FixedArray.from_ints([value, 1], source)
        expected = int(x.cast(quantizer).ints[0])
        scalar = FixedArray.from_ints(value, source)
        for one in (
            scalar,
            x[0],
            (x[:1] * FixedArray.from_ints(1, Q(2, 0))).sum(),
            x.max() if value > 0 else x.min(),
        ):
            with OverflowStats():
                watched = one.cast(quantizer)
            for result in (one.cast(quantizer), watched):
                assert isinstance(result.ints, np.ndarray)
                assert result.shape == () and int(result.ints) == expected
        assert isinstance(quantizer.from_ints(value, source.frac_bits), np.ndarray)
        assert int(quantizer.from_ints(value, source.frac_bits)) == expected


def test_a_product_without_axes_is_cast() -> None:
    x = FixedArray.from_ints([100, 3], Q(10, 0))
    assert (x @ x).cast(Quantizer(Q(4, 0), overflow=Overflow.WRAP)).ints.tolist() == -7


def test_nothing_makes_the_integers_and_the_values_disagree() -> None:
    arrays = [FixedArray.from_ints([[1, 2], [3, 4]], format) for format in (Q(4, 0), Q(40, 0), Q(60, 0))]
    for x in [*arrays, *(x.T for x in arrays), *(x[0] for x in arrays), *(x[0, 0] for x in arrays)]:
        before = repr(x), x.ints.tolist()
        for ints in (x.ints, x.ints[...], x.ints.base):
            if isinstance(ints, np.ndarray):
                assert not ints.flags.writeable
                with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
                    ints.flags.writeable = True
        x.ints.shape = (1, *x.shape)
        assert (repr(x), x.ints.tolist()) == before


# ---- masks -------------------------------------------------------------------------------------------------

MASKED = np.ma.array([1, 2, 0], mask=[False, True, True])
SENTENCE = (
    "2 of 3 elements of a masked array are masked, and a mask would be ignored; "
    "fill them first, by .filled(value)"
)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FixedArray.from_ints(MASKED, Q(4, 4)),
        lambda: FixedArray.from_ints([MASKED, MASKED], Q(4, 4)),
        lambda: FixedArray.from_float(MASKED * 0.5, Quantizer(Q(4, 4))),
        lambda: Quantizer(Q(4, 4)).from_ints(MASKED, 0),
        lambda: ChannelQuantizer(Quantizer(Q(4, 4)), (0, 1, 2)).from_ints(MASKED, 0),
        lambda: A.take(MASKED),
        lambda: A[MASKED],
        lambda: A[:, MASKED],
        lambda: A[:, :3] + MASKED,
        lambda: np.where(MASKED > 0, A[:, :3], B[:, :3]),
        lambda: np.compress(MASKED > 0, A, axis=0),
        lambda: np.take_along_axis(A[0], MASKED, axis=0),
        lambda: Tensor(MASKED),
        lambda: Tensor(np.ones(3))[MASKED],
    ],
)
def test_a_mask_is_refused_because_it_would_be_ignored(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == SENTENCE


def test_a_masked_element_of_a_list_is_refused() -> None:
    with pytest.raises(TypeError, match="1 of 1 elements of a masked array are masked"):
        FixedArray.from_float([1.0, np.ma.masked], Quantizer(Q(4, 4)))


def test_a_masked_array_that_masks_nothing_is_an_array() -> None:
    assert FixedArray.from_ints(np.ma.array([1, 2]), Q(4, 0)).ints.tolist() == [1, 2]
    assert A[np.ma.array([0, 0])].ints.tolist() == A.ints[[0, 0]].tolist()


# ---- NumPy -------------------------------------------------------------------------------------------------

KEEPING = {
    "reshape": lambda np_, x: np.reshape(x, (2, 6)),
    "ravel": lambda np_, x: np.ravel(x),
    "transpose": lambda np_, x: np.transpose(x),
    "expand_dims": lambda np_, x: np.expand_dims(x, 1),
    "squeeze": lambda np_, x: np.squeeze(np.expand_dims(x, 1)),
    "moveaxis": lambda np_, x: np.moveaxis(x, 0, 1),
    "broadcast_to": lambda np_, x: np.broadcast_to(x, (2, 3, 4)),
    "repeat": lambda np_, x: np.repeat(x, 2, axis=0),
    "tile": lambda np_, x: np.tile(x, 2),
    "roll": lambda np_, x: np.roll(x, 1),
    "flip": lambda np_, x: np.flip(x),
    "sort": lambda np_, x: np.sort(x, axis=0),
    "unique": lambda np_, x: np.unique(x),
    "compress": lambda np_, x: np.compress([True, False, True, True, False], x),
    "compress_axis": lambda np_, x: np.compress(np.array([False, True, True]), x, axis=0),
    "take_along_axis": lambda np_, x: np.take_along_axis(x, np.array([[0, 0, 1, 2]]), axis=0),
    "take": lambda np_, x: np.take(x, [2, 0], axis=0),
    "take of all elements": lambda np_, x: np.take(x, [[4, 0], [1, 4]]),
    "concatenate": lambda np_, x: np.concatenate([x, x], axis=1),
    "stack": lambda np_, x: np.stack([x, x]),
    "vstack": lambda np_, x: np.vstack([x, x]),
    "hstack": lambda np_, x: np.hstack([x, x]),
    "where": lambda np_, x: np.where(x > 0, x, x[0]),
    "max": lambda np_, x: np.max(x, axis=1),
    "amax": lambda np_, x: np.amax(x, axis=1, keepdims=True),
    "min": lambda np_, x: np.min(x),
    "sum": lambda np_, x: np.sum(x, axis=0),
    "add": lambda np_, x: np.add(x, x),
    "subtract": lambda np_, x: np.subtract(x, x[0]),
    "negative": lambda np_, x: np.negative(x),
    "absolute": lambda np_, x: np.abs(x),
    "maximum": lambda np_, x: np.maximum(x, x[::-1]),
    "zeros_like": lambda np_, x: np.zeros_like(x),
    "copy": lambda np_, x: np.copy(x),
    "tril": lambda np_, x: np.tril(x),
}


@pytest.mark.parametrize("name", KEEPING)
def test_numpys_functions_keep_the_binary_point(name: str) -> None:
    result = KEEPING[name](np, A)
    assert isinstance(result, FixedArray)
    assert result.format.frac_bits == A.format.frac_bits
    assert np.array_equal(result.ints, KEEPING[name](np, A.ints))


def test_numpys_products_are_exact() -> None:
    for function in (np.matmul, np.dot):
        result = function(A, B.T)
        assert result.format == QFormat.for_dot(Q(4, 4), UQ(2, 6), 4)
        assert np.array_equal(result.ints, A.ints @ B.ints.T)
    assert np.array_equal(np.multiply(A, B).ints, A.ints * B.ints)


def test_joining_aligns_the_binary_points() -> None:
    for join in (np.concatenate, np.stack):
        result = join([A, B])
        assert result.format == QFormat.for_any([A.format, B.format])
        assert np.array_equal(result.ints, join([A.ints << 2, B.ints]))


def test_places_counts_and_truths_are_plain_arrays() -> None:
    assert np.array_equal(np.argmax(A, axis=1), np.argmax(A.ints, axis=1))
    assert np.array_equal(np.argsort(A), np.argsort(A.ints))
    assert np.count_nonzero(A) == np.count_nonzero(A.ints)
    assert (np.shape(A), np.ndim(A), np.size(A)) == ((3, 4), 2, 12)
    assert np.array_equal(A, A + 0)
    assert not np.array_equal(A, B)
    assert not np.array_equal(A, A[:2])
    assert [part.ints.tolist() for part in np.split(A, 3)] == [p.tolist() for p in np.split(A.ints, 3)]


def test_whole_numbers_are_exact_operands() -> None:
    n = np.array([1, -2, 3, 4])
    check(n * A, fractions(A) * n)
    check(A + np.int64(3), fractions(A) + 3)
    check(np.int64(3) - A, 3 - fractions(A))
    assert ((n * 16 == A) == (n * 256 == A.ints * 16)).all()


@pytest.mark.parametrize(
    "name",
    ["mean", "std", "var", "median", "cumsum", "prod", "diff", "einsum", "tensordot", "round", "clip",
     "interp", "linalg.norm", "allclose", "full_like", "ones_like", "pad", "append"],
)  # fmt: skip
def test_other_functions_are_refused(name: str) -> None:
    function = operator.attrgetter(name)(np)
    arguments = {
        "einsum": ("ij->j", A), "tensordot": (A, A), "clip": (A, 0, 1), "interp": (A, [0, 1], [0, 1]),
        "allclose": (A, A), "full_like": (A, 0), "pad": (A, 1), "append": (A, A),
    }  # fmt: skip
    with pytest.raises(TypeError) as caught:
        function(*arguments.get(name, (A,)))
    short = name.rsplit(".")[-1]
    assert str(caught.value) == (
        f"numpy.{short} does not keep a FixedArray exact; take .to_float() for floats, or .ints for integers"
    )


@pytest.mark.parametrize("name", ["exp", "tanh", "sqrt", "divide", "power", "floor", "sign", "isnan", "fmin"])
def test_other_ufuncs_are_refused(name: str) -> None:
    ufunc = getattr(np, name)
    with pytest.raises(TypeError) as caught:
        ufunc(*[A] * ufunc.nin)
    assert str(caught.value) == (
        f"numpy.{name} does not keep a FixedArray exact; take .to_float() for floats, or .ints for integers"
    )


# ---- bad input ---------------------------------------------------------------------------------------------

MIXED = "a FixedArray is not mixed with {}; make it one first: FixedArray.from_float(..., quantizer)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: A + 0.5, TypeError, MIXED.format("0.5")),
        (lambda: 0.5 * A, TypeError, MIXED.format("0.5")),
        (lambda: A - np.float32(0.5), TypeError, MIXED.format("np.float32(0.5)")),
        (lambda: A > 0.5, TypeError, MIXED.format("0.5")),
        (lambda: A + True, TypeError, MIXED.format("True")),
        (lambda: A * np.ones(4), TypeError, MIXED.format("an array of float64")),
        (lambda: np.ones(4) + A, TypeError, MIXED.format("an array of float64")),
        (lambda: A + [1, 2, 3, 4], TypeError, MIXED.format("an array of int64")),
        (lambda: A @ np.ones((4, 4)), TypeError, MIXED.format("an array of float64")),
        (lambda: np.ones((4, 3)) @ A, TypeError, MIXED.format("an array of float64")),
        (lambda: A.dot(np.ones((4, 4))), TypeError, MIXED.format("an array of float64")),
        (
            lambda: np.asarray(A),
            TypeError,
            "a FixedArray is not turned into a NumPy array silently; take .ints or .to_float()",
        ),
        (
            lambda: np.add(A, A, out=np.zeros((3, 4))),
            TypeError,
            "numpy.add of a FixedArray takes no out",
        ),
        (
            lambda: np.concatenate([A, A], out=np.zeros((6, 4))),
            TypeError,
            "numpy.concatenate of a FixedArray takes no out: it is never written to",
        ),
        (
            lambda: np.add.reduce(A),
            TypeError,
            "numpy.add.reduce does not keep a FixedArray exact; "
            "take .to_float() for floats, or .ints for integers",
        ),
        (
            lambda: np.concatenate([A, np.ones((1, 4))]),
            TypeError,
            "a FixedArray is joined with FixedArrays only, not with ndarray",
        ),
        (
            lambda: FixedArray([1, 2]),
            TypeError,
            "a FixedArray is made by FixedArray.from_float(x, quantizer) or from_ints(ints, format)",
        ),
        (
            lambda: FixedArray.from_float([1.0], Q(4, 12)),
            TypeError,
            "from_float rounds by a Quantizer, not by Q(4, 12); use Quantizer(Q(4, 12))",
        ),
        (
            lambda: FixedArray.from_float([0.0, np.nan], Quantizer(Q(4, 12))),
            ValueError,
            "nan cannot be quantised at index 1; replace NaN and infinities first",
        ),
        (
            lambda: FixedArray.from_float([], Quantizer(Q(4, 12))),
            ValueError,
            "an array of shape (0,) holds no values; give at least one",
        ),
        (
            lambda: FixedArray.from_ints(np.zeros((2, 0), int), Q(4, 12)),
            ValueError,
            "an array of shape (2, 0) holds no values; give at least one",
        ),
        (
            lambda: FixedArray.from_ints([[1], [2, 3]], Q(4, 12)),
            ValueError,
            "the rows of a nested list differ in length; make them equally long",
        ),
        (
            lambda: FixedArray.from_ints([1.0], Q(4, 12)),
            TypeError,
            "from_ints takes integers, not float64; use from_float to round real numbers",
        ),
        (
            lambda: FixedArray.from_ints([[0, 0], [0, 8]], Q(4, 0)),
            ValueError,
            "8 at index (1, 1) is outside of Q(4, 0), which holds -8 to 7",
        ),
        (
            lambda: FixedArray.from_ints([-(2**63)], Q(63, 0)),
            ValueError,
            "-9223372036854775808 at index 0 is outside of Q(63, 0), "
            "which holds -4611686018427387904 to 4611686018427387903",
        ),
        (lambda: FixedArray.from_ints([1], "Q4.12"), TypeError, "from_ints takes a QFormat, not 'Q4.12'"),
        (
            lambda: FixedArray.from_ints([1], Q(4, 12), signed=True),
            TypeError,
            "FixedArray.from_ints() got an unexpected keyword argument 'signed'",
        ),
        (
            lambda: np.take_along_axis(A.ints, A, axis=0),
            TypeError,
            "numpy.take_along_axis takes one FixedArray, as its first argument; "
            "give the others as integers, by .ints",
        ),
        (
            lambda: np.repeat(A, FixedArray.from_ints([1, 2, 3], Q(4, 0)), axis=0),
            TypeError,
            "numpy.repeat takes one FixedArray, as its first argument; give the others as integers, by .ints",
        ),
        (
            lambda: np.sort(a=A),
            TypeError,
            "numpy.sort takes one FixedArray, as its first argument; give the others as integers, by .ints",
        ),
        (
            lambda: np.concatenate(arrays=[A, A]),
            TypeError,
            "numpy.concatenate takes its FixedArrays as the first argument",
        ),
        (
            lambda: np.where(A, A, B),
            TypeError,
            "a condition is made of truths, not of a FixedArray; compare it first, as x != 0",
        ),
        (
            lambda: np.compress(A[0], A[0]),
            TypeError,
            "a condition is made of truths, not of a FixedArray; compare it first, as x != 0",
        ),
        (lambda: A + A[:, :3], ValueError, "shapes (3, 4) and (3, 3) do not fit together"),
        (lambda: operator.lt(A, A[:, :3]), ValueError, "shapes (3, 4) and (3, 3) do not fit together"),
        (
            lambda: A @ A,
            ValueError,
            "shapes (3, 4) and (3, 4) have no product: rows of (4,) values meet columns of (3,)",
        ),
        (lambda: A @ A[0, 0], ValueError, "shapes (3, 4) and () have no product: both need an axis"),
        (
            lambda: A[:, :0] @ A[:0],
            ValueError,
            "shapes (3, 0) and (0, 4) have no product: there is nothing to add",
        ),
        (
            lambda: A[:0] @ B.T,
            ValueError,
            "shapes (0, 4) and (4, 3) have no product: there is nothing to add",
        ),
        (
            lambda: A @ B.T[:, :0],
            ValueError,
            "shapes (3, 4) and (4, 0) have no product: there is nothing to add",
        ),
        (lambda: A[:0].max(0), ValueError, "an array of shape (0, 4) has nothing to choose from or to add"),
        (lambda: A[:0].sum(0), ValueError, "an array of shape (0, 4) has nothing to choose from or to add"),
        (
            lambda: A / 2,
            TypeError,
            "a FixedArray is not divided; use scaled(-n), or multiply by a quantised reciprocal",
        ),
        (
            lambda: 1 / A,
            TypeError,
            "a FixedArray is not divided; use scaled(-n), or multiply by a quantised reciprocal",
        ),
        (lambda: A**2, TypeError, "a FixedArray has no powers; write x * x"),
        (
            lambda: int(FixedArray.from_ints(5, Q(4, 1))),
            ValueError,
            "2.5 is not a whole number; cast it first, which says how to round",
        ),
        (lambda: np.sum(A, dtype=np.float64), TypeError, "numpy.sum of a FixedArray takes no dtype"),
        (lambda: A.split(3), ValueError, "4 elements do not split into 3 equal parts"),
        (lambda: A.take([3]), IndexError, "index 3 is outside of the 3 rows, 0 to 2"),
        (lambda: A.take([-1]), IndexError, "index -1 is outside of the 3 rows, 0 to 2"),
        (lambda: A.take([0.5]), TypeError, "indices are integers, not float64"),
        (
            lambda: A.take(A),
            ValueError,
            "indices are whole numbers, but Q(4, 4) has a fraction; cast them first",
        ),
        (
            lambda: A.lookup("tanh"),
            TypeError,
            "a FixedArray takes 'tanh' from a Table, and was given none; add one to the layer",
        ),
        (
            lambda: A.lookup("tanh", Table("sigmoid", Q(4, 4), Quantizer(Q(1, 7)))),
            ValueError,
            "'tanh' was asked of a table of 'sigmoid'",
        ),
        (
            lambda: A.lookup("tanh", Table("tanh", Q(4, 3), Quantizer(Q(1, 7)))),
            ValueError,
            "the table of 'tanh' is addressed by Q(4, 3), not Q(4, 4); cast to it first",
        ),
        (
            lambda: A[0].scan(lambda x: (x,)),
            ValueError,
            "scan needs steps along axis 1, and an array of shape (4,) has none",
        ),
        (
            lambda: bool(A),
            ValueError,
            "an array of shape (3, 4) has no truth of its own; compare, then use .all()",
        ),
        (
            lambda: FixedArray.from_ints([1], Q(40, 0)) * FixedArray.from_ints([1], Q(40, 0)),
            ValueError,
            "the product of Q(40, 0) and Q(40, 0) needs 80 bits, and 63 is the most; "
            "cast to fewer bits first",
        ),
    ],
)
def test_bad_input_is_one_clear_sentence(make, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_a_float_is_not_equal_to_anything_silently() -> None:
    with pytest.raises(TypeError, match="not mixed with 0"):
        A == 0.5  # noqa: B015
    assert (A == None) is False  # noqa: E711
    assert A != "text"


def test_modelled_accumulators_belong_to_dot() -> None:
    x = FixedArray.from_ints([[7, 7]], Q(4, 0))
    acc = Accumulator(Q(6, 0), Overflow.SATURATE)
    assert x.dot(x.T, acc).ints.tolist() == [[31]]
    assert x.dot(x.T, acc).format == Q(6, 0)


def test_a_product_by_groups_has_the_columns_of_all_groups() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(-8, 8, (5, 3, 2)), rng.integers(-8, 8, (3, 2, 4))
    product = FixedArray.from_ints(x, Q(4, 0)) @ FixedArray.from_ints(w, Q(4, 0))
    assert product.shape == (5, 12)
    assert np.array_equal(product.ints, np.einsum("ngk,gkm->ngm", x, w).reshape(5, 12))
