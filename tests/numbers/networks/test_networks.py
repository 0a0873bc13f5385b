# SPDX-License-Identifier: MIT
"""A planned network gives the integers of the same network verb by verb, at every level of the compiled kernels."""

from __future__ import annotations

import gc
import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer, Rounding, Table
from fixedpoint_nn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    MaxPool2D,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.networks import dispatch
from fixedpoint_nn.numbers.networks.native_network import NativeNetwork
from fixedpoint_nn.numbers.networks.numpy_network import numpy_network
from fixedpoint_nn.numbers.networks.planner import NetworkPlanner, NoNetworkPlan, plan_of
from fixedpoint_nn.numbers.threads import VARIABLE as THREADS
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.bounded_ints import CompactInts
from fixedpoint_nn.numerics.native import library, network_self_test
from fixedpoint_nn.numerics.native import network as native
from fixedpoint_nn.numerics.native.library import VARIABLE, Kernels, available, chosen
from fixedpoint_nn.numerics.overflow_stats import OverflowStats, OverflowTotals
from fixedpoint_nn.numerics.qformat import UQ, QFormat
from tests.support.battery import CASES, quantized_case

LEVELS = available()
MODES = [(rounding, overflow) for rounding in Rounding for overflow in Overflow]
PLANNED = (
    "Dense", "Dense without bias", "Conv2D same", "Conv2D valid, stride 2", "Conv2D explicit padding",
    "Conv2D without bias", "MaxPool2D", "AvgPool2D", "GlobalAvgPool", "ReLU", "Tanh", "Sigmoid", "Flatten",
    "Residual", "Sequential", "GlobalMaxPool",
)  # fmt: skip


@pytest.fixture(params=LEVELS, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param


def ints(format: QFormat, *shape: int, seed: int = 0) -> FixedArray:
    """Random integers of a format; the first and the last sample hold its two ends."""
    rng = np.random.default_rng(seed)
    values = rng.integers(format.int_min, format.int_max + 1, shape)
    values[0], values[-1] = format.int_max, format.int_min
    return FixedArray.from_ints(values, format)


def same(net: Any, x: FixedArray, kernels: Kernels, input: Quantizer | None = None) -> None:
    """The plan in these kernels gives what the verbs give, in blocks of every kind."""
    expected = net(x)
    plan = NetworkPlanner(trace(net, x.shape[1:], x.format)).plan()
    compiled = NativeNetwork(plan, kernels, input or Quantizer(x.format))
    f = x.format
    kinds = [np.dtype(np.float32)]
    if f.bits <= 16:
        kinds.append(np.dtype(f"{'i' if f.signed else 'u'}{1 if f.bits <= 8 else 2}"))
    assert plan.format == expected.format
    assert expected.ints.min() >= plan.low and expected.ints.max() <= plan.high
    for kind in kinds:
        for block in (1, 2, len(x)):
            compiled.block = block
            got = compiled.run(x.ints.astype(kind), False)
            assert np.array_equal(got, expected.ints), (kernels.name, kind, block)


def same_by_numpy(net: Any, x: FixedArray) -> bool:
    """Whether NumPy takes the plan; if so, it gives what the verbs give, in blocks of every kind."""
    compiled = numpy_network(NetworkPlanner(trace(net, x.shape[1:], x.format)).plan())
    if compiled is None:
        return False
    expected = net(x).ints
    for block in (1, 2, len(x)):
        compiled.block = block
        for samples in (x.ints, x.ints.astype(np.float32)):
            assert np.array_equal(compiled.run(samples), expected), block
            assert np.array_equal(compiled.run(samples[:1]), expected[:1]), block
    return True


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", PLANNED)
def test_every_layer_that_plans_hold_by_numpy(name: str, seed: int) -> None:
    _, _, net, format = quantized_case(name, seed)
    assert same_by_numpy(net, ints(format, 3, *CASES[name].shape, seed=seed))


@pytest.mark.parametrize(("rounding", "overflow"), MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("seed", range(8))
def test_random_networks_in_every_mode_by_numpy(rounding: Rounding, overflow: Overflow, seed: int) -> None:
    rng = np.random.default_rng(seed)
    word = int(rng.integers(3, 7))
    net, input = random_network(rng, word, 5, lambda: (rounding, overflow))
    assert same_by_numpy(net, ints(input, 5, 7, 6, 3, seed=seed))


def test_sums_that_float32_does_not_hold_are_left_to_the_verbs() -> None:
    for value, taken in ((128, True), (129, False)):  # 1024 * 128 * 128 is 2**24
        weight = FixedArray.from_ints(np.full((1024, 1), value), Q(2, 7))
        net = Sequential(fc=Dense(weight, None, Quantizer(Q(8, 0))))
        assert same_by_numpy(net, ints(Q(1, 7), 3, 1024)) == taken


def test_two_threads_do_not_meet_in_the_buffers() -> None:
    net, input = random_network(np.random.default_rng(1), 5, 5, lambda: (Rounding.FLOOR, Overflow.SATURATE))
    x = ints(input, 40, 7, 6, 3)
    compiled = numpy_network(NetworkPlanner(trace(net, x.shape[1:], input)).plan())
    assert compiled is not None
    compiled.block = 1
    expected = net(x).ints
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(compiled.run, [x.ints] * 12):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", PLANNED)
def test_every_layer_that_plans_hold(name: str, seed: int, kernels: Kernels) -> None:
    _, _, net, format = quantized_case(name, seed)
    same(net, ints(format, 3, *CASES[name].shape, seed=seed), kernels)


@pytest.mark.parametrize("name", sorted(set(CASES) - set(PLANNED)))
def test_every_other_layer_runs_verb_by_verb_or_by_a_plan(name: str, kernels: Kernels) -> None:
    _, _, net, format = quantized_case(name, 0)
    if CASES[name].ids or plan_of(trace(net, CASES[name].shape, format)) is None:
        return
    same(net, ints(format, 3, *CASES[name].shape), kernels)


def random_network(rng: np.random.Generator, word: int, weight_word: int, modes: Any) -> tuple[Any, QFormat]:
    """A residual network of convolutions and pools with random formats, for images of 7 x 6 x 3."""

    def quantizer(signed: bool) -> Quantizer:
        rounding, overflow = modes()
        frac = int(rng.integers(2, word))
        return Quantizer(QFormat(word - frac, frac, signed), rounding, overflow)

    def weights(*shape: int) -> FixedArray:
        f = QFormat(2, weight_word - 2)
        spread = rng.choice([1, 8])
        values = rng.integers(f.int_min // spread, f.int_max // spread + 1, shape)
        return FixedArray.from_ints(values, f)

    def bias(columns: int) -> FixedArray:
        return FixedArray.from_ints(
            rng.integers(-(1 << 12), 1 << 12, columns), Q(10, int(rng.integers(4, 9)))
        )

    columns = int(rng.integers(1, 70))
    signed = bool(rng.integers(0, 2))
    input = QFormat(2, word - 2, signed)
    net = Sequential(
        conv=Conv2D(weights(27, columns), bias(columns), (3, 3), (1, 1), "same", out=None),
        relu=ReLU(quantizer(False)),
        pool=MaxPool2D(),
        block=Residual(
            Sequential(
                one=Conv2D(weights(9 * columns, columns), bias(columns), (3, 3), (1, 1), "same"),
                relu=ReLU(quantizer(False)),
                two=Conv2D(weights(columns, columns), None, (1, 1), (1, 1), "valid", out=quantizer(True)),
            ),
            None,
            quantizer(True),
        ),
        average=AvgPool2D(FixedArray.from_ints(np.array(85), Q(0, 8)), (2, 2), (1, 1), out=quantizer(True)),
        flat=Flatten(),
        head=Dense(weights(2 * 2 * columns, 5), bias(5), quantizer(True)),
    )
    return net, input


@pytest.mark.parametrize(("rounding", "overflow"), MODES, ids=lambda mode: mode.name)
@given(seed=st.integers(0, 2**32 - 1), word=st.integers(3, 16), weight_word=st.integers(3, 16))
@settings(max_examples=8, deadline=None)
def test_random_networks_in_every_mode(rounding, overflow, seed, word, weight_word) -> None:
    rng = np.random.default_rng(seed)
    net, input = random_network(rng, word, weight_word, lambda: (rounding, overflow))
    x = ints(input, 5, 7, 6, 3, seed=seed)
    try:
        NetworkPlanner(trace(net, x.shape[1:], input)).plan()
    except NoNetworkPlan as reason:  # sums of saturating 16-bit formats at far binary points may be too wide
        assert str(reason) in ("a shift that is too wide", "weights that are too wide")
        return
    for kernels in LEVELS:
        same(net, x, kernels)


@pytest.mark.parametrize("taps", [1, 2, 3, 5, 63, 64, 300])
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 33, 64, 65, 130])
def test_dense_layers_of_every_shape(kernels: Kernels, taps: int, columns: int) -> None:
    rng = np.random.default_rng(taps * 1000 + columns)
    for word, signed in ((8, False), (8, True), (16, True), (16, False)):
        top = 1 << (word - 1)
        values = rng.integers(-top, top, (taps, columns))
        if word == 8:  # words of 16 bits at the ends are a test of their own
            values[:, 0], values[0] = -top, top - 1
        weight = FixedArray.from_ints(values, Q(1, word - 1))
        net = Sequential(fc=Dense(weight, None, Quantizer(Q(3, word - 3), Rounding.HALF_EVEN)))
        for rows in (1, 2, 7, 17):
            same(net, ints(QFormat(1, word - 1, signed), rows, taps, seed=rows), kernels)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rounding", Rounding)
def test_the_longest_sums_of_16_bits(kernels: Kernels, rounding: Rounding, sign: int, signed: bool) -> None:
    weight = FixedArray.from_ints(np.full((777, 3), sign * ((1 << 15) - 1)), Q(1, 15))
    for shift in (10, 16, 17, 18, 24):
        bias = FixedArray.from_ints(np.array([1, -1, 1 << (shift - 1)]), Q(1, 30))
        fixed = Dense(weight, bias, Quantizer(QFormat(16 + shift - 30, 30 - shift), rounding))
        same(Sequential(fc=fixed), ints(QFormat(1, 15, signed), 9, 777), kernels)


def test_two_weights_at_the_end_of_16_bits_are_left_to_the_verbs(kernels: Kernels) -> None:
    lowest = np.full((4, 1), -(1 << 15))
    assert native.packed_weights(kernels, lowest, native.WIDE, [(0, 4)]) is None
    assert native.packed_weights(kernels, lowest + 1, native.WIDE, [(0, 4)]) is not None
    net = Sequential(
        fc=Dense(FixedArray.from_ints(np.full((900, 2), -(1 << 15)), Q(1, 15)), None, Quantizer(Q(8, 0)))
    )
    x = ints(Q(1, 15), 4, 900)
    fixed = Quantized(net, Quantizer(x.format))
    assert np.array_equal(fixed(x).ints, net(x).ints)


def test_segments_are_as_long_as_int32_allows(kernels: Kernels) -> None:
    ones = native.packed_weights(kernels, np.ones((70_000, 1), np.int64), native.WIDE, [(0, 70_000)])
    assert ones is not None
    assert [(s.offset, s.groups, s.join) for s in ones.segments] == [(0, 32767, 1), (4 * 32767, 2233, 1)]


def test_edges_hold_the_zero_of_signed_bytes_and_of_unsigned_words(kernels: Kernels) -> None:
    for format in (Q(1, 7), UQ(1, 15)):
        weight = FixedArray.from_ints(np.ones((25, 4), np.int64), Q(2, 6))
        net = Sequential(
            conv=Conv2D(weight, None, (5, 5), (2, 1), ((2, 1), (0, 3)), out=Quantizer(Q(8, 6))),
        )
        same(net, ints(format, 3, 6, 7, 1), kernels)


def test_a_table_is_looked_up(kernels: Kernels) -> None:
    for source in (Q(3, 5), UQ(3, 5), Q(4, 8)):
        table = Table("tanh", source, Quantizer(Q(1, 7)))
        net = Sequential(tanh=Tanh(table=table, input=Quantizer(source)))
        same(net, ints(source, 5, 33), kernels)


# ---- which networks, and when ----------------------------------------------------------------------------------------


def small() -> tuple[Quantized, FixedArray]:
    weight = FixedArray.from_ints(np.arange(-6, 6).reshape(4, 3), Q(4, 4))
    net = Sequential(fc=Dense(weight, None, Quantizer(Q(6, 2), name="fc.out")))
    return Quantized(net, Quantizer(Q(2, 6))), ints(Q(2, 6), 9, 4)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "c")


@pytest.mark.usefixtures("compiled")
def test_floats_are_rounded_as_from_float_rounds_them() -> None:
    rng = np.random.default_rng(3)
    weight = FixedArray.from_ints(np.eye(6, dtype=np.int64), Q(2, 0))
    for rounding in Rounding:
        for overflow in Overflow:
            input = Quantizer(Q(3, 5), rounding, overflow)
            fixed = Quantized(Sequential(fc=Dense(weight)), input)
            x = (rng.integers(-600, 600, (40, 6)) / 128).astype(np.float32)
            x[0] = [1e30, -1e30, 1e-30, -1e-30, 3.4e38, -0.0]
            x[1] = np.nextafter(np.float32(1 / 64), np.float32([0, 1, 0, 1, 0, 1]))
            assert np.array_equal(fixed(x).ints, FixedArray.from_float(x, input).ints)


@pytest.mark.usefixtures("compiled")
def test_a_float_that_is_not_finite_raises_the_sentence_of_from_float() -> None:
    fixed, _ = small()
    x = np.zeros((3, 4), np.float32)
    x[1, 2] = np.nan
    with pytest.raises(ValueError) as caught:
        fixed(x)
    assert str(caught.value) == "nan cannot be quantised at index (1, 2); replace NaN and infinities first"


@pytest.mark.usefixtures("compiled")
def test_statistics_are_counted_verb_by_verb() -> None:
    fixed, x = small()
    fixed(x)
    with OverflowStats() as stats:
        counted = fixed(x)
    assert "fc.out" in stats
    assert np.array_equal(counted.ints, fixed(x).ints)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("seed", range(6))
def test_totals_of_overflows_are_those_of_the_verbs(seed: int) -> None:
    def modes() -> tuple[Rounding, Overflow]:
        return Rounding.HALF_EVEN, Overflow.SATURATE

    net, format = random_network(np.random.default_rng(seed), 6, 6, modes)
    input = Quantizer(format, name="input")
    fixed = Quantized(net, input)
    x = np.random.default_rng(seed).normal(0, 3, (30, 7, 6, 3)).astype(np.float32)
    with OverflowStats(count_rounded=False) as counted:
        expected = fixed(x)
    with OverflowTotals() as totals:
        got = fixed(x)
    assert np.array_equal(got.ints, expected.ints)
    assert {n: (e.values, e.saturated, e.wrapped) for n, e in totals.items()} == {
        n: (e.values, e.saturated, e.wrapped) for n, e in counted.items()
    }
    assert totals["input"].saturated > 0
    assert next(iter(dispatch._known[id(net)].values())).native(LEVELS[-1]).casts is not None


@pytest.mark.usefixtures("compiled")
def test_a_plan_is_made_once_and_forgotten_with_its_network() -> None:
    fixed, x = small()
    fixed(x)
    place = id(fixed.net)
    (made,) = dispatch._known[place].values()
    fixed(x)
    assert [*dispatch._known[place].values()] == [made]
    del fixed, made
    gc.collect()
    assert place not in dispatch._known


@pytest.mark.usefixtures("compiled")
def test_threads_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, _ = small()
    x = ints(Q(2, 6), 2000, 4)
    expected = fixed(x).ints
    for count in ("2", "3", "64"):
        monkeypatch.setenv(THREADS, count)
        assert np.array_equal(fixed(x).ints, expected)


@pytest.mark.parametrize("kernels", ["numpy", *(["c"] if library.available() else [])])
def test_a_plan_makes_no_floats_of_weights_that_are_kept_in_words(kernels: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(library.VARIABLE, kernels)
    words = np.random.default_rng(0).integers(-9, 10, (256, 128))
    weight = FixedArray.from_float(words.astype(np.float32), Quantizer(Q(8, 0)))
    net = Sequential(fc=Dense(weight, None, Quantizer(Q(16, 0), Rounding.FLOOR)))
    x = ints(Q(2, 6), 3, 256)
    assert np.array_equal(Quantized(net, Quantizer(Q(2, 6)))(x).ints, x.ints @ words >> 6)
    held = weight._bounded
    assert isinstance(held, CompactInts) and held._wide is None and held._others is None


def test_large_arrays_of_few_bits_are_kept_in_words() -> None:
    x = np.linspace(-3, 3, 1 << 15).reshape(-1, 8)
    for format, kind in (
        (Q(2, 6), np.int8),
        (UQ(2, 6), np.uint8),
        (Q(2, 14), np.int16),
        (UQ(0, 16), np.uint16),
    ):
        kept = FixedArray.from_float(x, Quantizer(format))
        bounded = kept._bounded
        assert isinstance(bounded, CompactInts) and bounded.words.dtype == kind
        assert np.array_equal(kept.ints, Quantizer(format).from_floats(x))
        part = kept[3:9].reshape(-1, 4).T
        assert isinstance(part._bounded, CompactInts)
        assert np.array_equal(part.ints, kept.ints[3:9].reshape(-1, 4).T)
        assert np.array_equal((kept + 1).ints, (FixedArray.from_ints(kept.ints, format) + 1).ints)


def test_the_networks_kernels_pass_their_own_test(kernels: Kernels) -> None:
    assert network_self_test.network_self_test(kernels) == ""


def test_a_networks_kernel_that_is_wrong_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Kernels.network

    def off_by_one(self: Kernels, *arguments: Any) -> bool:
        done = right(self, *arguments)
        arguments[-1][-1, -1] += 1
        return done

    monkeypatch.setattr(Kernels, "network", off_by_one)
    monkeypatch.delenv(VARIABLE, raising=False)
    library._chosen.cache_clear()
    try:
        assert chosen().kernels is None
        assert chosen().reason == (
            f"the {LEVELS[-1].name} kernels fail their own test: a network's product of 8 bits, 1 x 1, FLOOR, WRAP"
        )
    finally:
        library._chosen.cache_clear()


@pytest.mark.parametrize("choice", ["numpy", "c"])
def test_numbers_and_networks_that_have_run_can_be_copied_and_sent(choice: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(VARIABLE, choice)
    fixed, x = small()
    expected = fixed(x).ints
    large = FixedArray.from_float(np.linspace(-1, 1, 1 << 15).reshape(-1, 4), fixed.input)
    product = large[:5] @ fixed.net["fc"].weight  # waits for what follows
    for copied in (pickle.loads(pickle.dumps(fixed)), deepcopy(fixed)):
        assert np.array_equal(copied(x).ints, expected)
    for number in (large, large[3:7], product):
        for copied in (pickle.loads(pickle.dumps(number)), deepcopy(number)):
            assert copied.format == number.format
            assert np.array_equal(copied.ints, number.ints)
