# SPDX-License-Identifier: MIT
"""Moving `FixedArray`s: windows with their edges, parts, loops over time; the integers are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.fixed import array as module
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer


def fixed(*shape: int, format: QFormat = Q(4, 2), seed: int = 0) -> FixedArray:
    ints = np.random.default_rng(seed).integers(format.int_min, format.int_max + 1, shape)
    return FixedArray.from_ints(ints, format)


PADDINGS = [((0, 0), (0, 0)), ((1, 0), (0, 0)), ((0, 0), (0, 2)), ((1, 1), (2, 0))]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("lowest", [False, True])
@pytest.mark.parametrize(
    ("groups", "dilation"), [(1, (1, 1)), (2, (1, 1)), (1, (2, 1)), (1, (1, 2)), (4, (2, 2))]
)
@pytest.mark.parametrize("format", [Q(4, 2), UQ(4, 2), Q(30, 0), Q(25, 0), Q(54, 0)])
def test_windows_are_padded_with_zeros_or_the_formats_lowest(
    padding: Any, lowest: bool, groups: int, dilation: Any, format: QFormat
) -> None:
    x = FixedArray.from_ints(np.random.default_rng(1).integers(1, 8, (2, 5, 6, 4)), format)
    slid = x.windows((2, 2), (1, 2), padding, groups, lowest, dilation)
    fill = format.int_min if lowest else 0
    expected = sliding_windows.windows(x.ints, (2, 2), (1, 2), padding, groups, fill, dilation)
    assert slid.format == format
    assert np.array_equal(slid.ints, expected)
    assert slid._bounded.bound >= np.abs(expected).max()
    assert slid._bounded.bound <= max(7, format.magnitude)
    assert np.array_equal((slid + slid).ints, 2 * expected)
    if not any(map(sum, padding)):
        assert slid._bounded.bound == 7


def test_a_sample_of_zeros_has_the_format_that_is_asked_for() -> None:
    x = fixed(3, 4)
    for zeros, format in ((x.zeros(2, 5), Q(4, 2)), (x.zeros(2, 5, like=Quantizer(UQ(1, 3))), UQ(1, 3))):
        assert (zeros.shape, zeros.format, zeros._bounded.bound) == ((3, 2, 5), format, 0)
        assert not zeros.ints.any()


def test_channels_are_cast_by_their_own_quantizers() -> None:
    x = fixed(5, 3, format=Q(4, 6))
    quantizer = ChannelQuantizer(Quantizer(Q(2, 4)), (0, 1, 2))
    cast = x.cast(quantizer)
    assert cast.format == quantizer.format
    assert np.array_equal(cast.ints, quantizer.from_ints(x.ints, 6))
    assert x.cast(None) is x


def test_parts_of_an_array() -> None:
    x = fixed(4, 6)
    for axis, parts in ((-1, 3), (1, 2), (0, 4), (-2, 2)):
        shares = x.split(parts, axis)
        assert [share.ints.tolist() for share in shares] == [
            one.tolist() for one in np.split(x.ints, parts, axis)
        ]
    deep = fixed(2, 3, 4)
    assert [share.ints.tolist() for share in deep.split(2)] == [
        one.tolist() for one in np.split(deep.ints, 2, -1)
    ]
    assert [row.ints.tolist() for row in x] == x.ints.tolist()
    assert np.array_equal(x.T.ints, x.ints.T)
    assert np.array_equal(x.take([3, 0, 3]).ints, x.ints[[3, 0, 3]])
    assert np.array_equal(x.take(FixedArray.from_ints([5, 1], UQ(3, 0)), axis=1).ints, x.ints[:, [5, 1]])
    assert np.array_equal(x.take([1], axis=-1).ints, x.ints[:, [1]])


def test_a_long_array_is_shown_from_both_ends() -> None:
    assert repr(FixedArray.from_ints(np.zeros(100, int), Q(4, 0))).count("0.") == 100
    assert "..." in repr(FixedArray.from_ints(np.zeros(101, int), Q(4, 0)))


@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 0, 2)])
def test_a_loop_needs_steps(shape: tuple[int, ...]) -> None:
    x = fixed(3, 4, 2)[:, :0] if shape == (3, 0, 2) else fixed(3, 4)[:, :0] if shape == (3, 0) else fixed(3)
    with pytest.raises(ValueError) as caught:
        x.scan(lambda x, s: (x, s), 0)
    assert str(caught.value) == f"scan needs steps along axis 1, and an array of shape {shape} has none"


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (2, 1), (3, 4), (2, 1024), (683, 3), (1, 2049)])
@pytest.mark.parametrize("pair", [False, True])
def test_each_is_computed_for_all_times_at_once_in_a_small_batch(batch: int, steps: int, pair: bool) -> None:
    x, calls = fixed(batch, steps, 2), []

    def each(now: FixedArray) -> Any:
        calls.append(now.shape)
        return (now + 1, now) if pair else now + 1

    def step(now: Any, state: FixedArray) -> tuple[FixedArray, FixedArray]:
        first = now[0] if pair else now
        new = (first + state).cast(Quantizer(Q(6, 2)))
        return (new + now[1] if pair else new), new

    state = x.zeros(2, like=Quantizer(Q(6, 2)))
    ys, last = x.scan(step, state, each=each)
    at_once = batch * steps <= module._SMALL_BATCH
    assert calls == ([(batch, steps, 2)] if at_once else [(batch, 2)] * steps)
    total, expected = np.zeros((batch, 2), np.int64), []
    for t in range(steps):
        total = np.clip(x.ints[:, t] + 4 + total, -128, 127)
        expected.append(total + x.ints[:, t] if pair else total)
    assert np.array_equal(ys.ints, np.stack(expected, axis=1))
    assert np.array_equal(last.ints, total)
    plain = x.scan(lambda now, s: (now, now), state)
    assert np.array_equal(plain[0].ints, x.ints)
    calls.clear()
    if at_once and steps < 9:
        with OverflowStats():
            counted, _ = x.scan(step, state, each=each)
        assert calls == [(batch, 2)] * steps
        assert np.array_equal(counted.ints, ys.ints)


def test_two_axes_are_enough_for_a_loop() -> None:
    x = fixed(3, 4)
    ys, last = x.scan(lambda now, state: (now, now), x[:, 0])
    assert np.array_equal(ys.ints, x.ints)
    assert np.array_equal(last.ints, x.ints[:, -1])
