# SPDX-License-Identifier: MIT
"""Each verb becomes the same integers on the engine, or is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer, Table
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import UQ, QFormat

OUT = Quantizer(Q(4, 4))


def check(
    net: Callable[[Any], Any], shape: tuple[int, ...], format: QFormat, high: int | None = None
) -> None:
    """The engine's twin gives the integers of the model."""
    compiled = lower(net, shape, format, 4)
    top = format.int_max + 1 if high is None else high
    for sample in np.random.default_rng(0).integers(format.int_min, top, (3, *shape)):
        twin = Twin(compiled.config, compiled.images, compiled.input, sample.reshape(-1))
        twin.run()
        expected = net(FixedArray.from_ints(sample[None], format)).ints
        assert np.array_equal(twin.memory[compiled.output.addresses()], expected.reshape(-1))


NETS: dict[str, Callable[[Any], Any]] = {
    "maximum(3)": lambda x: x.maximum(3),
    "maximum(-1)": lambda x: x.maximum(-1),
    "x + 1": lambda x: x + 1,
    "1 - x": lambda x: 1 - x,
    "x * 3": lambda x: x * 3,
    "sum with keepdims": lambda x: x.sum(1, keepdims=True),
}


@pytest.mark.parametrize("shape", [(6,), (4, 6)])
@pytest.mark.parametrize("name", NETS)
def test_integers_in_a_layer_are_lowered(name: str, shape: tuple[int, ...]) -> None:
    check(lambda x: NETS[name](x).cast(OUT), shape, Q(4, 4))


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (
            lambda x: x.sum(1).cast(OUT),
            "Layer 'sum' does not fit the engine: it sums a sample to one word without an axis for it; "
            "set keepdims=True.",
        ),
        (
            lambda x: x.max(1).cast(OUT),
            "Layer 'max' does not fit the engine: it takes the largest word of a sample without an axis for it; "
            "set keepdims=True.",
        ),
        (
            lambda x: x.sum(0).cast(OUT),
            "Layer 'sum' does not fit the engine: it sums over the samples of a batch, and the engine runs one after "
            "the other.",
        ),
        (
            lambda x: x.sum().cast(OUT),
            "Layer 'sum' does not fit the engine: it sums over the samples of a batch, and the engine runs one after "
            "the other.",
        ),
        (
            lambda x: (x[:, 0] + x[:, 1]).cast(OUT),
            "Layer 'cast' does not fit the engine: it has one word for a sample, without an axis for it; keep the "
            "axis, as in x[:, 0:1].",
        ),
        (
            lambda x: x[:, np.array([1, 0])].cast(OUT),
            "Layer 'index' does not fit the engine: it takes elements by an array of indices, which is not lowered; "
            "use slices.",
        ),
    ],
)
def test_what_the_engine_cannot_do_is_refused_in_a_sentence(net, sentence: str) -> None:
    with pytest.raises(LoweringError) as caught:
        lower(net, (6,), Q(4, 4), 4)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("verb", ["sum", "max"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [1, 2, 3, -1, (1, 2), (2, 1), (-2, -3), (1, 3), (2, 3)])
def test_sums_and_maxima_over_any_axes(verb: str, keepdims: bool, axis: Any) -> None:
    check(lambda x: getattr(x, verb)(axis, keepdims=keepdims).cast(OUT), (3, 2, 5), Q(4, 4))


def weights(*shape: int) -> FixedArray:
    ints = np.random.default_rng(sum(shape)).integers(-8, 8, shape)
    return FixedArray.from_ints(ints, Q(2, 2))


def test_a_lookup_of_rows_inside_of_a_loop_leaves_the_loops_registers_alone() -> None:
    table, matrix = weights(6, 5), weights(5, 5)

    def net(x: Any) -> Any:
        def step(token: Any, state: Any) -> tuple[Any, Any]:
            new = (table.take(token) @ matrix + state).cast(OUT)
            return new, new

        return x.scan(step, FixedArray.from_ints(np.zeros((1, 5), np.int64), OUT.format))[1]

    check(net, (7,), UQ(3, 0), high=6)


@pytest.mark.parametrize("lowest", [False, True])
@pytest.mark.parametrize("verb", ["sum", "max"])
def test_windows_read_beyond_the_edge_what_the_model_has_there(verb: str, lowest: bool) -> None:
    """By itself the engine's maxima read the lowest word there, and its sums 0."""

    def net(x: Any) -> Any:
        windows = x.windows((2, 2), (1, 1), ((1, 0), (1, 0)), lowest=lowest)
        return getattr(windows, verb)(axis=3).cast(OUT)

    check(net, (4, 4, 3), Q(2, 2))


def test_the_largest_of_grouped_channels_is_searched_over_all_groups() -> None:
    groups = weights(2, 3, 4)
    check(lambda x: x.reshape(-1, 2, 3).dot(groups).cast(OUT).argmax(), (6,), Q(2, 2))


@pytest.mark.parametrize("drain", [2.0, True, 3, "2", 0, 16])
def test_a_drain_that_no_engine_has_is_refused_in_a_sentence(drain: Any) -> None:
    with pytest.raises(LoweringError) as caught:
        lower(lambda x: x.cast(OUT), (6,), Q(4, 4), drain=drain)
    assert str(caught.value) == (
        f"The network does not fit any engine: drain = {drain!r} is no engine; "
        "use 1, 2, 4, 8 or 16, and at most the 8 lanes."
    )


@pytest.mark.parametrize("lanes", [8.0, True, 3, "8", 0])
def test_lanes_that_no_engine_has_are_refused_in_a_sentence(lanes: Any) -> None:
    with pytest.raises(LoweringError) as caught:
        lower(lambda x: x.cast(OUT), (6,), Q(4, 4), lanes)
    assert str(caught.value) == (
        f"The network does not fit any engine: lanes = {lanes!r} is no engine; use 1, 2, 4, 8, 16, 32, 64, 128 or 256."
    )


def test_rows_by_an_array_and_reversed_axes_are_refused_while_the_network_is_traced() -> None:
    with pytest.raises(TypeError) as caught:
        lower(lambda x: x.take(np.array([1, 0]), 1).cast(OUT), (6,), Q(4, 4), 4)
    assert str(caught.value) == (
        "rows are taken by a value of the network, not by a ndarray of indices; use slices"
    )
    with pytest.raises(ValueError) as moved:
        lower(lambda x: x.T.cast(OUT), (6,), Q(4, 4), 4)
    assert str(moved.value) == "the axes (1, 0) move the batch; it stays first"


def test_copied_rows_have_the_name_of_the_cast_behind_them_or_are_an_embedding() -> None:
    table = weights(6, 5)
    for name, expected in (("tokens", "tokens"), ("", "embedding")):

        def net(x: Any, name: str = name) -> Any:
            return table.take(x).cast(Quantizer(Q(4, 4), name=name))

        copies = [kernel.name for kernel in lower(net, (2,), UQ(2, 0), 4).kernels][:2]
        assert copies == [expected] * 2
    (first, *_) = lower(lambda x: table.take(x).relu(), (2,), UQ(2, 0), 4).kernels
    assert first.name == "embedding"


GROUPS = weights(2, 3, 4)
SIGMOID = Table("sigmoid", Q(4, 4), Quantizer(Q(1, 7)))
TANH = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))


def slid(x: Any, groups: int) -> Any:
    return x.windows((2, 2), (1, 1), ((0, 1), (1, 0)), groups)


OWN_RUNS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "a square times 3": (lambda x: x * x * 3, (6,)),
    "the largest times a row": (lambda x: x.max(1, keepdims=True) * weights(6), (4, 6)),
    "a modelled sum times 3": (lambda x: x.dot(weights(6, 5), Accumulator(Q(12, 6))) * 3, (6,)),
    "a column times a row": (lambda x: (x[..., :1] + 1) * weights(5), (6,)),
    "groups times a number": (lambda x: x.reshape(-1, 2, 3).dot(GROUPS) * 3, (6,)),
    "groups times a number with an axis": (lambda x: x.reshape(-1, 2, 3).dot(GROUPS) * weights(1), (6,)),
    "groups and a row": (lambda x: x.reshape(-1, 2, 3).dot(GROUPS) + weights(8), (6,)),
    "three groups and a row": (lambda x: x.reshape(-1, 3, 2).dot(weights(3, 2, 3)) + weights(9), (6,)),
    "relu of a table": (lambda x: x.lookup("tanh", TANH).relu(), (6,)),
    "relu of a sigmoid": (lambda x: x.lookup("sigmoid", SIGMOID).relu(), (6,)),
    "relu of a cast relu": (lambda x: (x - 2).relu().cast(OUT).relu(), (6,)),
    "relu of a relu": (lambda x: (x - 2).relu().relu(), (6,)),
    "relu of a leaky relu": (lambda x: (x - 1).maximum((x - 1).scaled(-2)).relu(), (6,)),
    "relu of a relu after its cast": (lambda x: (x - 2).cast(OUT).relu().relu(), (6,)),
    "some rows of a sum": (lambda x: (x + 1)[:, 1:3], (4, 6)),
    "some rows and columns of a sum": (lambda x: (x + 1)[:, 1:3, 2:4], (4, 6)),
    "some columns of a sum": (lambda x: (x + 1)[:, :, 2:4], (4, 6)),
    "some columns of a sum, by dots": (lambda x: (x + 1)[..., 2:4], (4, 6)),
    "every second column of a sum": (lambda x: (x + 1)[..., ::2], (4, 6)),
    "two groups of windows": (lambda x: slid(x, 2).reshape(-1, 3, 4, 2, 12).dot(weights(2, 12, 4)), (3, 4, 6)),
    "a window for each channel": (lambda x: slid(x, 6).reshape(-1, 3, 4, 6, 4).dot(weights(6, 4, 1)), (3, 4, 6)),
    "one group of one channel": (lambda x: slid(x, 1).reshape(-1, 3, 4, 1, 4).dot(weights(1, 4, 1)), (3, 4, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN_RUNS)
def test_what_one_run_cannot_do_is_done_by_two(name: str) -> None:
    net, shape = OWN_RUNS[name]
    check(lambda x: net(x).cast(OUT), shape, Q(4, 4))


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("result", [0, 1, 2, 3])
def test_a_loop_of_three_states_of_different_widths(result: int, steps: int) -> None:
    """What it gives is none of them, and every state goes its own way: from x, from itself, and from another."""
    inputs, own, other = weights(3, 4), weights(5, 5), weights(5, 2)
    starts = [FixedArray.from_ints(np.arange(width)[None] - 2, OUT.format) for width in (5, 2, 3)]

    def step(x: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any, Any, Any]:
        y = (x @ inputs).cast(OUT)
        return y, (a @ own + 1).cast(OUT), (a @ other - b).cast(OUT), (c - x).cast(OUT)

    check(lambda x: x.scan(step, *starts)[result], (steps, 3), Q(4, 4))
