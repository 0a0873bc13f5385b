# SPDX-License-Identifier: MIT
"""Sums brought to another scale: which chains become a run with multipliers, and that the words stay the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import UQ, FixedArray, Overflow, Q, QFormat, Quantizer, Rounding
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.multiplier_forms import Chain
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.rescaling import _powers, _slope
from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.numerics.value_table import ValueTable

EXACT = {"rounding": Rounding.FLOOR, "overflow": Overflow.WRAP}


def constant(ints: Any, bits: int, frac: int = 0, signed: bool = True) -> FixedArray:
    return FixedArray.from_ints(np.asarray(ints), QFormat(bits - frac, frac, signed))


def words(lowered: CompiledNetwork, x: FixedArray) -> np.ndarray:
    """What the engine's twin gives for each sample."""
    found = []
    for sample in x.ints.reshape(len(x.ints), -1):
        engine = Emulator(lowered.config, lowered.images)
        for address, word in zip(lowered.input.addresses().tolist(), sample.tolist(), strict=True):
            engine.write(address, np.array([word]))
        engine.run()
        found.append([int(engine.read(a)[0]) for a in lowered.output.addresses().tolist()])
    return np.array(found).reshape(len(found), *lowered.output.shape)


def run_of(lowered: CompiledNetwork) -> Run:
    (run,) = (one for one in lowered.instructions if isinstance(one, Run))
    return run


@dataclass(frozen=True)
class Scaled:
    """cast(x @ weight + bias) * factor [+ offset], rounded once; or twice, with a power of two in between."""

    weight: FixedArray
    bias: FixedArray
    factor: FixedArray
    out: Quantizer
    offset: FixedArray | None = None
    sum: Quantizer | None = None
    first: Quantizer | None = None
    power: FixedArray | None = None

    def __call__(self, x: Any) -> Any:
        total = x @ self.weight + self.bias
        y = (total if self.sum is None else total.cast(self.sum)) * self.factor
        y = y if self.offset is None else y + self.offset
        y = y if self.first is None else y.cast(self.first)
        y = y if self.power is None else y * self.power
        return y.cast(self.out)


def dense(seed: int, **about: Any) -> Scaled:
    rng = np.random.default_rng(seed)
    return Scaled(
        constant(rng.integers(-100, 101, (6, 4)), 8), constant(rng.integers(-900, 900, 4), 12), **about
    )


def samples(seed: int = 0, count: int = 60) -> FixedArray:
    rng = np.random.default_rng(seed)
    return FixedArray.from_ints(rng.integers(-128, 128, (count, 6)), Q(8, 0))


FACTORS = constant([0x5A3C9F11, 0x7FFFFFFF, 0x40000001, 0x61234567], 32, 40, signed=False)


def test_a_wide_factor_is_a_multiplier_of_its_channel() -> None:
    net = dense(1, factor=FACTORS, out=Quantizer(Q(8, 0), Rounding.HALF_AWAY))
    x = samples()
    lowered = lower(net, (6,), x.format)
    assert lowered.config.multiplier_width == 32
    assert lowered.config.weight_width == 8
    assert lowered.config.latency == 18
    assert lowered.images.parameters[:, 2].tolist() == FACTORS.ints.tolist()
    assert lowered.images.parameters[:, 0].tolist() == [40] * 4
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_without_a_multiplier_the_factors_are_weights() -> None:
    net = dense(1, factor=constant([3000, 4001, 2999, 4095], 12, 17, signed=False), out=Quantizer(Q(8, 0)))
    x = samples()
    forbidden, free = (lower(net, (6,), x.format, multiplier=bits) for bits in (0, 32))
    assert (forbidden.config.multiplier_width, forbidden.config.latency) == (0, 15)
    assert forbidden.config.weight_width > 18
    assert (free.config.multiplier_width, free.config.weight_width) == (13, 8)
    assert forbidden.images.parameters.shape == (4, 2)
    for lowered in (forbidden, free):
        assert np.array_equal(words(lowered, x), net(x).ints)


def test_small_factors_stay_weights() -> None:
    net = dense(1, factor=constant([13, 14, 15, 9], 4, 7, signed=False), out=Quantizer(Q(8, 0)))
    assert lower(net, (6,), Q(8, 0)).config.multiplier_width == 0


def test_a_cast_that_loses_nothing_is_no_run_of_its_own() -> None:
    about: dict[str, Any] = {"factor": FACTORS, "out": Quantizer(Q(8, 0), Rounding.HALF_UP)}
    net = dense(2, sum=Quantizer(Q(18, 0), **EXACT), **about)
    x = samples()
    lowered = lower(net, (6,), x.format)
    assert len(lowered.kernels) == 1
    assert np.array_equal(words(lowered, x), net(x).ints)
    lossy = dense(2, sum=Quantizer(Q(12, 0), **EXACT), **about)
    kept = lower(lossy, (6,), x.format)
    assert len(kept.kernels) == 2
    assert np.array_equal(words(kept, x), lossy(x).ints)


def twice(seed: int, **about: Any) -> Scaled:
    given: dict[str, Any] = {
        "factor": constant([0x5A3C9F11, 0x7FFFFFFF, 0x40000001, 0x61234567], 32, 31, signed=False),
        "first": Quantizer(Q(18, 0), Rounding.HALF_UP),
        "power": constant([1, 2, 4, 16], 5, 9, signed=False),
        "out": Quantizer(Q(8, 0), Rounding.HALF_AWAY),
    }
    return dense(seed, **(given | about))


def test_two_roundings_are_one_run() -> None:
    net, x = twice(3, sum=Quantizer(Q(18, 0), **EXACT)), samples(3)
    lowered = lower(net, (6,), x.format)
    assert len(lowered.kernels) == 1
    assert run_of(lowered).twice
    assert lowered.images.parameters[:, 0].tolist() == [40, 39, 38, 36]
    assert np.array_equal(words(lowered, x), net(x).ints)
    forbidden = lower(net, (6,), x.format, multiplier=0)
    assert len(forbidden.kernels) == 3
    assert np.array_equal(words(forbidden, x), net(x).ints)


def test_a_channel_without_a_second_shift_rounds_once_beside_others() -> None:
    net = twice(4, power=constant([1, 512, 4, 512], 10, 9, signed=False))
    x = samples(4)
    lowered = lower(net, (6,), x.format)
    assert lowered.images.parameters[1, 0] <= 31 < lowered.images.parameters[0, 0]
    assert np.array_equal(words(lowered, x), net(x).ints)


@pytest.mark.parametrize(
    "changed",
    [
        {"first": Quantizer(Q(18, 0), Rounding.HALF_EVEN)},
        {"first": Quantizer(Q(6, 0), Rounding.HALF_UP)},  # it saturates, and the last cast does not
        {"first": Quantizer(Q(18, 0), Rounding.HALF_UP), "out": Quantizer(Q(8, 0), Rounding.HALF_AWAY, Overflow.WRAP),
         "power": constant([3, 2, 4, 16], 5, 9, signed=False)},
    ],
)  # fmt: skip
def test_what_the_engine_does_not_round_so_keeps_its_runs(changed: dict[str, Any]) -> None:
    net, x = twice(5, **changed), samples(5)
    lowered = lower(net, (6,), x.format)
    assert len(lowered.kernels) > 1
    assert not any(kernel.twice for kernel in lowered.kernels)
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_an_offset_that_stands_for_the_first_rounding_is_found_again() -> None:
    fused = constant([0x5A3C9F11, 0x7FFFFFFF, 0x40000001, 0x61234567], 32, 38, signed=False)
    half = constant([1 << 30] * 4, 32, 38, signed=False)
    net = dense(6, factor=fused, offset=half, out=Quantizer(UQ(8, 0), Rounding.HALF_UP))
    x = samples(6)
    lowered = lower(net, (6,), x.format)
    assert run_of(lowered).twice
    assert np.array_equal(words(lowered, x), net(x).ints)


@settings(deadline=None)
@given(
    seed=st.integers(0, 1 << 30), factor=st.integers(1 << 20, (1 << 31) - 1), frac=st.integers(28, 44),
    rounding=st.sampled_from(list(Rounding)), overflow=st.sampled_from(list(Overflow)), bits=st.integers(2, 9),
    offset=st.none() | st.integers(0, 1 << 34),
)  # fmt: skip
def test_any_chain_gives_the_models_words(
    seed: int, factor: int, frac: int, rounding: Rounding, overflow: Overflow, bits: int, offset: int | None
) -> None:
    factors = constant([factor, 3 * factor >> 2, factor | 1, 1 << 30], 32, frac, signed=False)
    half = None if offset is None else constant([offset] * 4, 36, frac, signed=False)
    net = dense(seed % 97, factor=factors, offset=half, out=Quantizer(Q(bits, 0), rounding, overflow))
    x = samples(seed, 4)
    try:
        lowered = lower(net, (6,), x.format)
    except LoweringError as error:  # an offset that keeps wide factors in the weights
        assert offset is not None
        assert "bits" in str(error)
        return
    assert np.array_equal(words(lowered, x), net(x).ints)


@pytest.mark.parametrize("bits", [1, 33, -1])
def test_a_multiplier_of_another_width_is_refused(bits: int) -> None:
    net = dense(1, factor=constant([1, 1, 2, 2], 4), out=Quantizer(Q(14, -4)))
    with pytest.raises(LoweringError, match=rf"A multiplier has 2 to 32 bits, or 0 for none, not {bits}\."):
        lower(net, (6,), Q(8, 0), multiplier=bits)
    for allowed in (0, 2, 32):
        lower(net, (6,), Q(8, 0), multiplier=allowed)


def test_an_engine_that_is_there_keeps_its_multiplier_and_its_timing() -> None:
    plain = dense(1, factor=constant([1, 1, 2, 2], 4, signed=False), out=Quantizer(Q(14, -4)))
    engine = EngineConfig(lanes=4, weight_width=12, multiplier_width=20)
    x = samples()
    lowered = lower(plain, (6,), x.format, engine=engine)
    assert lowered.config.multiplier_width == 20
    assert np.array_equal(words(lowered, x), plain(x).ints)
    wide = dense(1, factor=FACTORS, out=Quantizer(Q(8, 0)))
    with pytest.raises(LoweringError, match="weights, aligned, need"):
        lower(wide, (6,), x.format, engine=engine)


@dataclass(frozen=True)
class TwoCodes:
    """table(x[:4]) + table(x[4:]), rescaled: a residual addition of different scales."""

    left: ValueTable
    right: ValueTable
    factor: FixedArray
    out: Quantizer
    minus: bool = False

    def __call__(self, x: Any) -> Any:
        code = Quantizer(Q(8, 0), **EXACT)
        a = x[..., :4].cast(code).lookup("addend", self.left)
        b = x[..., 4:].cast(code).lookup("addend", self.right)
        return ((a - b if self.minus else a + b) * self.factor).cast(self.out)


def addend(slope: float, source: QFormat = Q(8, 0)) -> ValueTable:
    return ValueTable.of("addend", lambda code: round(code * slope), source, Q(29, 0))


@pytest.mark.parametrize("minus", [False, True])
@pytest.mark.parametrize(("a", "b"), [(524288.0, 371211.3), (100031.7, 524288.0), (524288.0, 524288.0)])
def test_a_sum_of_two_codes_is_one_run_with_small_weights(a: float, b: float, minus: bool) -> None:
    net = TwoCodes(
        addend(a), addend(b), constant(0x5F0A_1C2B, 32, 50, signed=False),
        Quantizer(Q(9, 0), Rounding.HALF_AWAY), minus,
    )  # fmt: skip
    pairs = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 4, 2)
    x = FixedArray.from_ints(np.concatenate([pairs[..., 0], pairs[..., 1]], axis=1)[::59], Q(8, 0))
    lowered = lower(net, (8,), x.format, lanes=4)
    sums = [kernel for kernel in lowered.kernels if len(kernel.operands) == 2]
    assert len(sums) == 1
    assert lowered.config.activation_width <= 10
    assert lowered.config.weight_width <= 16
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_a_sum_of_curves_keeps_its_tables() -> None:
    curved = ValueTable.of("addend", lambda code: code * code * 40, Q(8, 0), Q(29, 0))
    net = TwoCodes(curved, addend(300.0), constant(0x5F0A_1C2B, 32, 44, signed=False), Quantizer(Q(9, 0)))
    x = FixedArray.from_ints(np.random.default_rng(0).integers(-128, 128, (20, 8)), Q(8, 0))
    lowered = lower(net, (8,), x.format, lanes=4)
    assert sum(kernel.table is not None for kernel in lowered.kernels) == 2
    assert np.array_equal(words(lowered, x), net(x).ints)


@pytest.mark.parametrize(
    ("entries", "power", "slope"),
    [
        ([0, 10, 20, 36], None, 12.0),
        ([0, 10, 20, 36], 2, 24.0),
        ([4, 8], None, 4.0),
        ([8, 4], None, -4.0),
        ([9], None, 0.0),
    ],
)
def test_the_slope_is_how_much_the_result_rises_from_code_to_code(
    entries: list[int], power: int | None, slope: float
) -> None:
    """Entries have 2 fraction bits, the factor is 1/2, and the result has 3."""
    chain = Chain(
        0,
        constant([1], 8, 1),
        None,
        None,
        None if power is None else constant([power], 8),
        Quantizer(Q(5, 3)),
        (),
    )
    assert _slope(constant(entries, 12, 2), chain) == slope


def test_powers_of_two_are_above_0() -> None:
    assert _powers(constant([1, 2, 64], 9))
    assert not any(_powers(constant(ints, 9)) for ints in ([0], [1, 0], [-2], [3], [4, 6]))


@pytest.mark.parametrize(
    ("weight_bits", "factor", "multiplied"), [(8, 1023, 0), (8, 1025, 1), (9, 511, 0), (9, 513, 1)]
)
def test_factors_that_weights_of_18_bits_take_in_are_no_multipliers(
    weight_bits: int, factor: int, multiplied: int
) -> None:
    made = dense(1, factor=constant([factor | 1] * 4, 12, 12, signed=False), out=Quantizer(Q(8, 0)))
    low = constant(np.random.default_rng(0).integers(-100, 101, (6, 4)), weight_bits)
    net = replace(made, weight=low)
    lowered = lower(net, (6,), Q(8, 0))
    assert bool(lowered.config.multiplier_width) is bool(multiplied)
    x = samples()
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_two_codes_with_a_factor_for_each_channel_keep_their_tables() -> None:
    factors = constant([0x5F0A_1C2B] * 3 + [0x5F0A_1C2A], 32, 50, signed=False)
    net = TwoCodes(addend(524288.0), addend(371211.3), factors, Quantizer(Q(9, 0), Rounding.HALF_AWAY))
    x = FixedArray.from_ints(np.random.default_rng(0).integers(-128, 128, (20, 8)), Q(8, 0))
    lowered = lower(net, (8,), x.format, lanes=4)
    assert sum(kernel.table is not None for kernel in lowered.kernels) == 2
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_a_factor_without_a_shift_is_a_multiplier() -> None:
    net = dense(1, factor=constant([300001, 262145, 399999, 277777], 20), out=Quantizer(Q(30, 0)))
    x = samples()
    lowered = lower(net, (6,), x.format)
    assert lowered.images.parameters[:, 0].tolist() == [0] * 4
    assert lowered.images.parameters[:, 2].tolist() == net.factor.ints.tolist()
    assert np.array_equal(words(lowered, x), net(x).ints)


@dataclass(frozen=True)
class MovedCodes:
    """table(x[:4]) + table(x[4:]), of codes with any binary point, rescaled with an offset."""

    left: QFormat
    right: QFormat
    offset: FixedArray

    def __call__(self, x: Any) -> Any:
        exact = {"rounding": Rounding.FLOOR, "overflow": Overflow.WRAP}
        a = x[..., :4].cast(Quantizer(self.left, **exact)).lookup("addend", addend(524288.0, self.left))
        b = x[..., 4:].cast(Quantizer(self.right, **exact)).lookup("addend", addend(371211.3, self.right))
        factor = constant(0x5F0A_1C2B, 32, 50, signed=False)
        return ((a + b) * factor + self.offset).cast(Quantizer(Q(9, 0), Rounding.HALF_UP))


@pytest.mark.parametrize(
    ("left", "right", "offset", "tables"),
    [
        (Q(8, 0), Q(8, 0), constant(0, 4), 0),
        (Q(8, 0), Q(8, 0), constant([0], 4), 0),
        (Q(8, 0), Q(8, 0), constant([0, 0, 1, 0], 4), 2),
        (Q(8, 0), Q(6, 2), constant(0, 4), 2),
        (Q(6, 0), Q(8, 0), constant(0, 4), 0),
        (Q(8, 0), Q(6, 0), constant(0, 4), 0),
    ],
)
def test_two_codes_become_one_run_if_they_count_alike_and_all_channels_have_one_offset(
    left: QFormat, right: QFormat, offset: FixedArray, tables: int
) -> None:
    net = MovedCodes(left, right, offset)
    x = FixedArray.from_ints(np.random.default_rng(0).integers(-128, 128, (20, 8)), Q(8, 0))
    lowered = lower(net, (8,), x.format, lanes=4)
    assert sum(kernel.table is not None for kernel in lowered.kernels) == tables
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_a_cast_that_loses_nothing_is_spared_by_a_small_factor_too() -> None:
    about: dict[str, Any] = {
        "factor": constant([13, 14, 15, 9], 4, 7, signed=False),
        "out": Quantizer(Q(8, 0)),
    }
    net = dense(1, sum=Quantizer(Q(18, 0), **EXACT), **about)
    x = samples()
    lowered = lower(net, (6,), x.format)
    assert (len(lowered.kernels), lowered.config.multiplier_width) == (1, 5)
    assert np.array_equal(words(lowered, x), net(x).ints)


@pytest.mark.parametrize(("factor", "width"), [((1 << 17) - 1, 0), ((1 << 17) + 1, 19)])
def test_a_factor_of_a_plain_value_is_a_weight_of_18_bits_at_most(factor: int, width: int) -> None:
    def net(x: Any) -> Any:
        return (x * constant([factor], 20, 16)).cast(Quantizer(Q(10, 0)))

    x = samples()
    lowered = lower(net, (6,), x.format)
    assert lowered.config.multiplier_width == width
    assert np.array_equal(words(lowered, x), net(x).ints)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_every_row_has_the_multipliers_of_its_channels(rows: int) -> None:
    net = dense(1, factor=FACTORS, out=Quantizer(Q(8, 0)))
    x = FixedArray.from_ints(np.random.default_rng(0).integers(-128, 128, (9, rows, 6)), Q(8, 0))
    lowered = lower(net, (rows, 6), x.format)
    assert lowered.images.parameters[:, 2].tolist() == FACTORS.ints.tolist()
    assert np.array_equal(words(lowered, x), net(x).ints)


@pytest.mark.parametrize(("factors", "offsets", "tables"), [(2, 1, 2), (1, 2, 2), (1, 1, 0)])
def test_two_channels_of_two_codes_keep_their_tables_if_they_differ(
    factors: int, offsets: int, tables: int
) -> None:
    exact = Quantizer(Q(8, 0), **EXACT)
    factor = constant([0x5F0A_1C2B, 0x5F0A_1C2A][:factors], 32, 50, signed=False)

    def net(x: Any) -> Any:
        a = x[..., :2].cast(exact).lookup("addend", addend(524288.0))
        b = x[..., 2:].cast(exact).lookup("addend", addend(371211.3))
        return ((a + b) * factor + constant([0, 1][:offsets], 4)).cast(Quantizer(Q(9, 0), Rounding.HALF_UP))

    x = FixedArray.from_ints(np.random.default_rng(0).integers(-128, 128, (20, 4)), Q(8, 0))
    lowered = lower(net, (4,), x.format, lanes=4)
    assert sum(kernel.table is not None for kernel in lowered.kernels) == tables
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_a_sum_that_a_loop_gives_too_is_computed_on_its_own() -> None:
    weight = constant(np.random.default_rng(1).integers(-100, 101, (6, 4)), 8)
    exact, out = Quantizer(Q(18, 0), **EXACT), Quantizer(Q(8, 0), Rounding.HALF_UP)
    start = FixedArray.from_ints(np.zeros((1, 4), np.int64), Q(18, 0))

    def step(now: Any, state: Any) -> Any:
        total = (now @ weight).cast(exact)
        return (total * FACTORS).cast(out), total

    x = FixedArray.from_ints(np.random.default_rng(0).integers(-128, 128, (9, 3, 6)), Q(8, 0))
    for result in (0, 1):

        def net(x: Any, result: int = result) -> Any:
            return x.scan(step, start)[result]

        assert np.array_equal(words(lower(net, (3, 6), x.format), x), net(x).ints)


def test_a_shift_of_63_bits_is_the_most() -> None:
    x = samples()
    far = dense(1, factor=constant(FACTORS.ints, 32, 63, signed=False), out=Quantizer(Q(8, 0)))
    lowered = lower(far, (6,), x.format)
    assert lowered.images.parameters[:, 0].tolist() == [63] * 4
    assert np.array_equal(words(lowered, x), far(x).ints)
    with pytest.raises(LoweringError, match="needs a right shift of 64 bits, and 63 is the most"):
        lower(
            dense(1, factor=constant(FACTORS.ints, 32, 64, signed=False), out=Quantizer(Q(8, 0))),
            (6,),
            x.format,
        )


@pytest.mark.parametrize("code", [-128, 127])
@pytest.mark.parametrize("bent", ["left", "right"])
def test_tables_that_are_bent_at_their_ends_alone_are_kept(bent: str, code: int) -> None:
    straight = addend(524288.0)
    curved = ValueTable.of("addend", lambda c: round(c * 524288) + (c == code) * (1 << 27), Q(8, 0), Q(29, 0))
    tables = (curved, straight) if bent == "left" else (straight, curved)
    net = TwoCodes(*tables, constant(0x5F0A_1C2B, 32, 50, signed=False), Quantizer(Q(9, 0)))
    x = FixedArray.from_ints(np.array([[code] * 8, [0] * 8, [-code - 1] * 8, [5] * 8]), Q(8, 0))
    lowered = lower(net, (8,), x.format, lanes=4)
    assert sum(kernel.table is not None for kernel in lowered.kernels) == 2
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_a_constant_may_come_first() -> None:
    weight, x = constant(np.random.default_rng(1).integers(-100, 101, (6, 4)), 8), samples()

    def net(x: Any) -> Any:
        return (FACTORS * (x @ weight)).cast(Quantizer(Q(8, 0), Rounding.HALF_AWAY))

    lowered = lower(net, (6,), x.format)
    assert lowered.images.parameters[:, 2].tolist() == FACTORS.ints.tolist()
    assert np.array_equal(words(lowered, x), net(x).ints)


def test_a_cast_that_differs_from_channel_to_channel_is_refused() -> None:
    channels = ChannelQuantizer(Quantizer(Q(8, 0)), (0, 1, 0, 2))
    weight = constant(np.ones((6, 4), np.int64), 8)
    with pytest.raises(
        LoweringError, match="rounds activations channel by channel; use one quantizer for all channels"
    ):
        lower(lambda x: ((x @ weight) * FACTORS).cast(channels), (6,), Q(8, 0))
