# SPDX-License-Identifier: MIT
"""Every verb, alone and with its neighbours, in every shape: the engine's twin gives the model's integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer, Rounding, Table
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import UQ, QFormat

OUT = Quantizer(Q(4, 4))
FINE = Quantizer(Q(3, 7), Rounding.HALF_UP)
NARROW = Quantizer(Q(3, 2), Rounding.FLOOR, Overflow.WRAP)
TANH = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))
SIGMOID = Table("sigmoid", Q(3, 2), Quantizer(UQ(0, 6)))


def constants(*shape: int, format: QFormat = Q(2, 2), seed: int = 0) -> FixedArray:
    rng = np.random.default_rng(sum(shape) + seed)
    return FixedArray.from_ints(rng.integers(format.int_min, format.int_max + 1, shape), format)


def check(
    net: Callable[[Any], Any],
    shape: tuple[int, ...],
    lanes: int,
    format: QFormat = Q(4, 4),
    samples: int = 2,
    **engine: int,
) -> CompiledNetwork:
    """The engine's twin gives the integers of the model; gives what runs on it."""
    compiled = lower(net, shape, format, lanes, **engine)
    rng = np.random.default_rng(0)
    for ints in rng.integers(format.int_min, format.int_max + 1, (samples, *shape)):
        twin = Twin(compiled.config, compiled.images, compiled.input, ints.reshape(-1))
        twin.run()
        expected = net(FixedArray.from_ints(ints[None], format))
        assert (compiled.output.shape, compiled.output.format) == (expected.shape[1:], expected.format)
        assert np.array_equal(twin.memory[compiled.output.addresses()], expected.ints.reshape(-1))
    for kernel in compiled.kernels:
        root, low, high = kernel.writes
        assert low >= 0 and high < root.words or not kernel.write, "results stay in their buffer"
    return compiled


def cost(compiled: CompiledNetwork) -> tuple[int, int]:
    """Words of activation memory, and cycles."""
    config = compiled.config
    plan = schedule(compiled.instructions, config.lanes, config.drain, config.latency)
    assert plan is not None, "no verb jumps on a word"
    return config.activation_depth, plan.cycles


def _costs() -> dict[tuple[str, str], tuple[int, int]]:
    """By a verb's name and "SHAPE LANES" (or "SHAPE LANES/WORDS") what it may cost at most.

    One copy more than it needs is a mistake.
    """
    found = {}
    for line in Path(__file__).with_name("verb_costs.txt").read_text().splitlines():
        name, case, words, cycles = (part.strip() for part in line.split("|"))
        found[name, case] = int(words), int(cycles)
    return found


COSTS = _costs()


def costs_no_more(name: str, shape: tuple[int, ...], compiled: CompiledNetwork) -> None:
    config = compiled.config
    case = f"{'x'.join(map(str, shape))} {config.lanes}" + (f"/{config.words}" if config.words > 1 else "")
    words, cycles = cost(compiled)
    most = COSTS[name, case]
    assert words <= most[0] and cycles <= most[1], (
        f"{name} | {case} | {words} | {cycles}, and {most} is the most"
    )


# With how many runs at most: what follows a sum is done in the sum's own run.
ANY_SHAPE: dict[str, tuple[Callable[[Any], Any], int]] = {
    "cast": (lambda x: x.cast(NARROW), 1),
    "a cast that holds": (lambda x: x.cast(Quantizer(Q(6, 4))).cast(FINE), 1),
    "two casts": (lambda x: x.cast(NARROW).cast(FINE), 2),
    "cast and wider": (lambda x: (x + 1).cast(NARROW).cast(Quantizer(Q(9, 2))), 1),
    "cast to unsigned": (lambda x: x.cast(Quantizer(UQ(3, 4))), 1),
    "cast to unsigned and back": (lambda x: x.cast(Quantizer(UQ(3, 4))).cast(Quantizer(Q(3, 4))), 2),
    "relu": (lambda x: x.relu().cast(OUT), 1),
    "relu after": (lambda x: x.cast(NARROW).relu(), 1),
    "relu twice": (lambda x: (x - 2).relu().cast(NARROW).relu().cast(OUT), 2),
    "scaled": (lambda x: x.scaled(3).cast(NARROW), 1),
    "scaled, and nothing else": (lambda x: x.scaled(-2), 1),
    "scaled relu": (lambda x: x.relu().scaled(-1).cast(OUT), 2),
    "scaled, more than once": (lambda x: (x.scaled(1) + x.scaled(-1)).cast(OUT), 1),
    "leaky relu": (lambda x: x.maximum(x.scaled(-3)).cast(OUT), 1),
    "leaky relu of a sum": (lambda x: (lambda y: y.maximum(y.scaled(-2)))(x + 3).cast(OUT), 1),
    "no leaky relu": (lambda x: x.maximum(x.scaled(2)).cast(OUT), 3),
    "maximum": (lambda x: x.maximum(x.cast(NARROW)).cast(OUT), 3),
    "minimum": (lambda x: x.minimum(x.cast(NARROW)).cast(OUT), 5),
    "maximum of a constant": (lambda x: x.maximum(-2).minimum(3).cast(OUT), 8),
    "the same cast twice": (lambda x: (x * 3).cast(OUT).cast(OUT), 1),
    "a narrower cast of a cast": (lambda x: x.cast(FINE).cast(Quantizer(Q(1, 7))), 2),
    "a wider cast of a cast": (lambda x: x.cast(FINE).cast(Quantizer(Q(3, 7), overflow=Overflow.WRAP)), 1),
    "x + x": (lambda x: (x + x).cast(OUT), 1),
    "x - x * 2": (lambda x: (x - x * 2).cast(OUT), 1),
    "x - 5": (lambda x: (x - 5).cast(OUT), 1),
    "5 - x": (lambda x: (5 - x).cast(OUT), 1),
    "-x": (lambda x: (-x).cast(OUT), 1),
    "-(x * x)": (lambda x: (-(x * x)).cast(OUT), 2),
    "x - x * x": (lambda x: (x - x * x).cast(OUT), 2),
    "x * x": (lambda x: (x * x).cast(OUT), 1),
    "x * x + x": (lambda x: (x * x + x).cast(OUT), 5),
    "x * x * x": (lambda x: (x * x * x).cast(OUT), 2),
    "x * x times 3": (lambda x: (x * x * 3).cast(OUT), 2),
    "(x + 1) * x": (lambda x: ((x + 1) * x).cast(OUT), 2),
    "relu times 3": (lambda x: (x.relu() * 3).cast(OUT), 2),
    "(x + 1) * 3": (lambda x: ((x + 1) * 3).cast(OUT), 1),
    "x * -3 + 7": (lambda x: (x * -3 + 7).relu().cast(NARROW).relu(), 2),
    "a finer sum": (lambda x: (x.cast(FINE) + x.scaled(-2) - x.cast(NARROW)).cast(OUT), 6),
    "tanh": (lambda x: (x * 3).cast(OUT).lookup("tanh", TANH), 1),
    "tanh of what is stored": (lambda x: x.lookup("tanh", TANH).cast(NARROW), 2),
    "tanh after relu": (lambda x: x.cast(OUT).relu().lookup("tanh", TANH), 2),
    "sigmoid of tanh": (
        lambda x: x.lookup("tanh", TANH).cast(NARROW).lookup("sigmoid", SIGMOID).cast(OUT), 3
    ),
    "tanh and wider": (lambda x: x.lookup("tanh", TANH).cast(Quantizer(Q(4, 7))), 1),
    "relu of tanh": (lambda x: x.lookup("tanh", TANH).relu(), 2),
    "concat": (lambda x: x.concat([x.cast(NARROW), x * 3]).cast(OUT), 5),
    "concat of relu": (lambda x: x.relu().cast(OUT).concat([x.lookup("tanh", TANH)]), 4),
    "split": (lambda x: (lambda a, b: (a * b - a).cast(OUT))(*x.split(2)), 6),
    "last of a sum": (lambda x: (x + x.scaled(-1))[..., 1:3].cast(OUT), 3),
    "last of a cast": (lambda x: (x * 3).cast(NARROW)[..., 2:], 1),
    "every second": (lambda x: (x * 3).cast(NARROW)[..., ::2].cast(OUT), 2),
    "kept in two ways": (lambda x: (lambda y: y.concat([y.relu(), y]))(x.cast(NARROW)), 5),
    "saturating": (lambda x: (x * 9).cast(Quantizer(Q(3, 3), Rounding.HALF_AWAY, Overflow.SATURATE_SYMMETRIC)), 1),
    "zeroing": (lambda x: (x * 9).cast(Quantizer(Q(3, 3), Rounding.TOWARD_ZERO, Overflow.ZERO)), 1),
    "one of the results twice": (lambda x: (lambda y: (y * y + y).cast(OUT))((x + 1).cast(NARROW)), 6),
    "argmax": (lambda x: x.argmax(), 6),
    "argmax of a sum": (lambda x: (x * -3).cast(OUT).argmax(), 7),
}  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
@pytest.mark.parametrize("name", ANY_SHAPE)
def test_verbs_of_any_shape(name: str, shape: tuple[int, ...], lanes: int) -> None:
    net, most = ANY_SHAPE[name]
    compiled = check(net, shape, lanes)
    assert len(compiled.kernels) <= most
    costs_no_more(name, shape, compiled)


W, V, SQUARE = constants(6, 5), constants(6, 5, seed=1), constants(6, 6)
LINE, GRID, COLUMN = constants(6), constants(3, 6), constants(3, 1)
ACC = Accumulator(Q(6, 8), Overflow.SATURATE)
ROUNDED = Accumulator(Q(6, 4), Overflow.WRAP, Quantizer(Q(6, 4), Rounding.FLOOR, Overflow.WRAP))
ROWS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "dot": (lambda x: (x @ W).cast(OUT), 1),
    "dot and bias": (lambda x: (x @ W + LINE[:5]).relu().cast(OUT), 1),
    "dot and a matrix": (lambda x: (x @ SQUARE + GRID).cast(OUT), 2),
    "dot and itself": (lambda x: (x @ SQUARE + x).cast(OUT), 2),
    "two dots": (lambda x: (x @ W + x.cast(NARROW) @ V).cast(OUT), 4),
    "dot goes on": (lambda x: x.dot(W, None, x.cast(NARROW) @ V).cast(OUT), 4),
    "dot times": (lambda x: ((x @ W) * LINE[:5]).cast(OUT), 1),
    "dot minus dot": (lambda x: (x @ W - x @ V).cast(OUT), 3),
    "modelled": (lambda x: x.dot(W, ACC).cast(OUT), 1),
    "modelled goes on": (lambda x: x.dot(W, ACC, x.cast(NARROW).dot(V, ACC)).cast(OUT), 4),
    "modelled, rounded": (lambda x: x.dot(W, ROUNDED).cast(NARROW), 1),
    "modelled times": (lambda x: (x.dot(W, ACC) * 3).cast(OUT), 2),
    "modelled scaled": (lambda x: x.dot(W, ACC).scaled(-1).cast(OUT), 2),
    "columns of a dot": (lambda x: (x @ W)[..., 1:4].cast(OUT), 1),
    "dot of relu": (lambda x: (x.relu() @ W).cast(OUT), 2),
    "per channel": (lambda x: (x * LINE + LINE.scaled(1)).cast(OUT), 1),
    "times a grid": (lambda x: (x * GRID).cast(OUT), 1),
    "plus a grid": (lambda x: (x + GRID).cast(OUT), 1),
    "minus a column": (lambda x: (x - COLUMN).cast(OUT), 2),
    "times a column": (lambda x: (x * COLUMN).cast(OUT), 2),
    "row to all rows": (lambda x: (x + x[:, 1:2]).cast(OUT), 3),
    "row times all rows": (lambda x: (x * x[:, :1]).cast(OUT), 3),
    "column to all columns": (lambda x: (x + x[..., 2:3]).cast(OUT), 2),
    "column times all columns": (lambda x: (x * x.max(2, keepdims=True)).cast(OUT), 3),
    "reversed": (lambda x: x[:, ::-1].cast(OUT), 1),  # the host reads forwards
    "rows": (lambda x: (x[:, 1:] - x[:, :2]).cast(OUT), 1),
    "row": (lambda x: (x[:, 2] @ W).cast(OUT), 1),
    "flat": (lambda x: (x.reshape(-1, 18) @ constants(18, 4)).cast(OUT), 1),
    "other rows": (lambda x: (x.reshape(-1, 6, 3) @ constants(3, 4)).cast(OUT), 1),
    "turned": (lambda x: x.transpose(0, 2, 1).cast(OUT), 1),
    "turned dot": (lambda x: (x.transpose(0, 2, 1) @ constants(3, 4)).cast(OUT), 1),
    "joined rows": (lambda x: x.concat([x[:, :2].cast(NARROW)], axis=1).cast(OUT), 3),
    "products of matrices": (lambda x: x.matmul(x.transpose(0, 2, 1)).cast(OUT), 4),
    "product of a row": (lambda x: x[:, :1].matmul(x.transpose(0, 2, 1)).cast(OUT),4),
    "product with a row": (lambda x: x.matmul(x[:, 1:2].transpose(0, 2, 1)).cast(OUT),6),
    "relu of modelled": (lambda x: x.dot(W, ACC).relu().cast(OUT), 2),
    "a relu that goes on": (lambda x: (x @ W).relu().cast(NARROW).relu().lookup("sigmoid", SIGMOID).cast(OUT),4),
    "a sum of relu": (lambda x: x.relu().scaled(2).cast(NARROW).scaled(1).cast(OUT),3),
    "a third of three": (lambda x: (x @ W).cast(NARROW)[:, 1:].cast(OUT),2),
    "every second of a dot": (lambda x: (x @ W).cast(NARROW)[..., ::2].cast(OUT),2),
    "first rows of a dot": (lambda x: (x @ W)[:, :2, 1:3].cast(OUT),2),
    "one number for all": (lambda x: (x * constants(1)).cast(OUT), 1),
    "one number of two axes": (lambda x: (x * constants(1, 1)).cast(OUT), 1),
    "wide and back": (lambda x: x.cast(Quantizer(Q(9, 4))).cast(Quantizer(Q(9, 6))).cast(OUT),2),
    "a narrower name": (lambda x: x.cast(Quantizer(Q(3, 4), overflow=Overflow.WRAP)).cast(Quantizer(Q(5, 4))),1),
    "largest, kept": (lambda x: x.max(1, keepdims=True).cast(OUT),1),
    "sum, kept": (lambda x: x.sum(2, keepdims=True).cast(OUT),1),
    "sum of channels": (lambda x: x.sum(2).cast(OUT),2),
    "groups": (lambda x: x.reshape(-1, 3, 2, 3).dot(constants(2, 3, 4)).cast(OUT), 2),
    "groups and bias": (lambda x: (x.reshape(-1, 3, 2, 3).dot(constants(2, 3, 4)) + constants(8)).relu().cast(OUT), 2),
    "groups times": (lambda x: (x.reshape(-1, 3, 2, 3).dot(constants(2, 3, 4)) * constants(8)).cast(OUT), 2),
    "groups times a number": (lambda x: (x.reshape(-1, 3, 2, 3).dot(constants(2, 3, 4)) * constants(1)).cast(OUT), 2),
    "with an ellipsis": (lambda x: (x @ W)[:, ..., 1:3].cast(OUT), 1),
    "product with two rows": (lambda x: x.matmul(x[:, 1:].transpose(0, 2, 1)).cast(OUT), 6),
    "products of one channel": (lambda x: (x[..., :1] * x[..., 1:2] + x[..., 2:3].scaled(-3)).cast(OUT), 9),
    "columns of groups": (lambda x: x.reshape(-1, 3, 2, 3).dot(constants(2, 3, 4))[..., 2:7].cast(OUT), 3),
    "argmax of rows": (lambda x: (x @ W).cast(OUT).argmax(), 4),
    "embedded": (lambda x: constants(7, 5).take(x.argmax()).cast(OUT), 7),
    "sum of some channels": (lambda x: x[..., 1:5].sum(1).cast(OUT), 2),
    "largest of some channels": (lambda x: x[..., 1:5].max(1, keepdims=True).cast(OUT), 2),
    "every single one": (lambda x: (x @ W).cast(NARROW)[..., 1:4:1].cast(OUT), 2),
    "sum of rows that were turned": (lambda x: x.reshape(-1, 2, 9).sum(1).cast(OUT), 3),
}  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 4, 8])
@pytest.mark.parametrize("name", ROWS)
def test_verbs_of_rows(name: str, lanes: int) -> None:
    net, most = ROWS[name]
    compiled = check(net, (3, 6), lanes)
    assert len(compiled.kernels) <= most
    costs_no_more(f"rows: {name}", (3, 6), compiled)


EDGES = ((1, 0), (0, 2))


def grouped(x: Any) -> Any:
    """Padded windows of an image of two channels, each in a group of its own."""
    return x.windows((2, 2), (1, 1), EDGES, groups=2).reshape(-1, 4, 6, 2, 4)


IMAGES: dict[str, Callable[[Any], Any]] = {
    "windows": lambda x: x.windows((2, 3), (1, 2), ((0, 0), (0, 0))).max(3).cast(OUT),
    "padded maximum": lambda x: x.windows((2, 3), (1, 1), EDGES, lowest=True).max(3).cast(OUT),
    "padded sum": lambda x: x.windows((2, 3), (1, 1), EDGES).sum(3).cast(OUT),
    "convolution": lambda x: (
        x.windows((2, 3), (1, 1), EDGES).reshape(-1, 4, 5, 12).dot(constants(12, 3)).cast(OUT)
    ),
    "convolution and more": lambda x: (
        (x.windows((2, 2), (1, 1), ((0, 1), (0, 1))).reshape(-1, 4, 5, 8).dot(constants(8, 2)) + x).cast(OUT)
    ),
    "convolution of a sum": lambda x: (
        (x + 1).windows((2, 2), (2, 1), ((0, 0), (0, 0))).reshape(-1, 2, 4, 8).dot(constants(8, 2)).cast(OUT)
    ),
    "depthwise": lambda x: grouped(x).dot(constants(2, 4, 1)).cast(OUT),
    "two groups": lambda x: grouped(x).dot(constants(2, 4, 3)).cast(OUT),
    "zeros around, the largest": lambda x: x.windows((2, 3), (1, 1), EDGES).max(3).cast(OUT),
    "zeros around one channel": lambda x: x[..., 1:].windows((2, 3), (1, 1), EDGES).max(3).cast(OUT),
    "zeros around a sum": lambda x: (x + 1).windows((2, 3), (1, 1), EDGES).max(3).cast(OUT),
    "the lowest around, summed": lambda x: x.windows((2, 3), (1, 1), EDGES, lowest=True).sum(3).cast(OUT),
    "zeros around, alone": lambda x: x.windows((1, 1), (1, 1), EDGES).cast(OUT),
    "windows of a flattened image": lambda x: (
        x[:, :, 1:4].reshape(-1, 2, 6, 2).windows((1, 2), (1, 1), ((0, 0), (0, 0))).max(3).cast(OUT)
    ),
    "zeros around a flattened image": lambda x: (
        x[:, :, 1:4].reshape(-1, 2, 6, 2).windows((2, 2), (1, 1), EDGES).max(3).cast(OUT)
    ),
    "sums of a flattened image": lambda x: (
        x[:, :, 1:4].reshape(-1, 2, 6, 2).windows((2, 2), (1, 1), ((0, 0), (0, 0))).sum(3).cast(OUT)
    ),
    "windows of some channels": lambda x: (
        x[..., 1:].windows((2, 2), (1, 1), ((0, 0), (0, 0))).reshape(-1, 3, 4, 4).dot(constants(4, 3)).cast(OUT)
    ),
    "dilated maximum": lambda x: x.windows((2, 2), (1, 2), ((0, 0), (0, 0)), dilation=(2, 1)).max(3).cast(OUT),
    "dilated of a part": lambda x: (
        x[:, :, 1:4].reshape(-1, 2, 6, 2).windows((1, 2), (1, 1), ((0, 0), (0, 0)), dilation=(1, 2)).max(3).cast(OUT)
    ),
    "dilated in groups": lambda x: (
        x.windows((2, 2), (1, 1), ((0, 0), (0, 0)), groups=2, dilation=(2, 1))
        .reshape(-1, 2, 4, 2, 4).dot(constants(2, 4, 3)).cast(OUT)
    ),
    "products of matrices": lambda x: x.matmul(x.transpose(0, 1, 3, 2)).cast(OUT),
    "sum of two axes, kept": lambda x: x.sum((1, 3), keepdims=True).cast(OUT),
    "sum of rows and channels": lambda x: x.sum((1, 3)).cast(OUT),
    "largest of a row": lambda x: x.max(2, keepdims=True).cast(OUT),
    "argmax": lambda x: x.argmax(),
    "one of two channels": lambda x: (x * -3).cast(NARROW)[..., 1:].cast(OUT),
    "two of all rows": lambda x: (x * -3).cast(NARROW)[:, 1:3],
    "dilated": lambda x: (
        x.windows((2, 2), (1, 1), EDGES, dilation=(2, 1)).reshape(-1, 3, 6, 8).dot(constants(8, 3)).cast(OUT)
    ),
    "the lowest around one channel": lambda x: x[..., 1:].windows((2, 3), (1, 1), EDGES, lowest=True).sum(3).cast(OUT),
    "groups of some channels": lambda x: (
        x.reshape(-1, 2, 5, 4)[..., 1:3].windows((2, 2), (1, 1), ((0, 0), (0, 0)), groups=2)
        .reshape(-1, 1, 4, 2, 4).dot(constants(2, 4, 1)).cast(OUT)
    ),
    "padded pixels in groups": lambda x: (
        x.windows((1, 1), (1, 1), EDGES, groups=2).reshape(-1, 5, 7, 2, 1).dot(constants(2, 1, 3)).cast(OUT)
    ),
    "padded pairs of columns": lambda x: x.windows((1, 2), (1, 2), ((1, 0), (0, 1))).sum(3).cast(OUT),
    "padded pairs of rows": lambda x: x.windows((2, 1), (2, 1), ((1, 1), (0, 1))).sum(3).cast(OUT),
    "padded, side by side": lambda x: x.windows((2, 2), (2, 2), ((1, 1), (1, 0))).sum(3).cast(OUT),
    "padded pixels apart": lambda x: x.windows((1, 1), (2, 2), ((1, 1), (1, 0))).sum(3).cast(OUT),
    "largest of some channels": lambda x: x[..., 1:].windows((2, 2), (1, 1), ((0, 0), (0, 0))).max(3).cast(OUT),
    "groups of some": lambda x: (
        x[:, 1:].windows((2, 2), (1, 1), ((0, 0), (0, 0)), groups=2).reshape(-1, 2, 4, 2, 4)
        .dot(constants(2, 4, 1)).cast(OUT)
    ),
    "mean": lambda x: x.sum((1, 2)).scaled(-4).cast(OUT),
    "mean, kept": lambda x: (x - x.sum((1, 2), keepdims=True).scaled(-4)).cast(OUT),
    "sum of rows": lambda x: x.sum(1).cast(OUT),
    "sum of columns": lambda x: x.sum(2).cast(OUT),
    "sum of channels": lambda x: x.sum(3).cast(OUT),
    "maximum of channels": lambda x: x.max(3, keepdims=True).cast(OUT),
    "sum of a part": lambda x: x[:, 1:3, ::2].sum(2).cast(OUT),
    "turned": lambda x: x.transpose(0, 2, 1, 3).cast(OUT),
    "channels first": lambda x: x.transpose(0, 3, 1, 2).cast(OUT),
    "a corner": lambda x: x[:, 1:, :3].cast(OUT),
    "backwards": lambda x: x[:, ::-1, ::-1].cast(OUT),
    "a pixel": lambda x: x[:, 2, 3].cast(OUT),
    "flat": lambda x: (x.reshape(-1, 40) @ constants(40, 3)).cast(OUT),
    "flat of a part": lambda x: (x[:, 1:3].reshape(-1, 20) @ constants(20, 3)).cast(OUT),
    "times a channel": lambda x: (x * x.max((1, 2), keepdims=True)).cast(OUT),
    "plus a constant image": lambda x: (x + constants(4, 5, 2)).cast(OUT),
    "side by side": lambda x: x.concat([x], axis=2).cast(OUT),
    "below": lambda x: x.concat([x.cast(NARROW), x], axis=1).cast(OUT),
    "more channels": lambda x: x.concat([x.relu()]).cast(OUT),
    "some of all pixels": lambda x: x.reshape(-1, 20, 2)[:, 3:9].cast(OUT),
}  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("name", IMAGES)
def test_verbs_of_images(name: str, lanes: int) -> None:
    costs_no_more(f"images: {name}", (4, 5, 2), check(IMAGES[name], (4, 5, 2), lanes))


RECURRENT, INWARD = constants(4, 4), constants(6, 4)
ZERO, ONES = (FixedArray.from_ints(np.full((1, 4), n, np.int64), OUT.format) for n in (0, 1))


def one(now: Any, state: Any) -> Any:
    new = (now @ INWARD + state @ RECURRENT).cast(OUT)
    return new, new


def two(now: Any, a: Any, b: Any) -> Any:
    new = (now @ INWARD + a * b).cast(OUT)
    return (new + b).cast(NARROW), b, new


def kept(now: Any, state: Any) -> Any:
    return now[..., :4].cast(OUT), state


def gated(now: Any, h: Any, c: Any) -> Any:
    """Of an LSTM: c' = f*c + i*g, h' = c' * f."""
    f, i, g = ((now.dot(INWARD, None, h @ w)).cast(OUT) for w in (RECURRENT, SQUARE[:4, :4], SQUARE[1:5, :4]))
    c = (f * c + i * g).cast(OUT)
    h = (c * f).cast(OUT)
    return h, h, c


def sliced(now: Any, state: Any) -> Any:
    """The result is a part of the input, as it is, and shorter than the state."""
    return now[..., 2:5], (now @ INWARD + state).cast(OUT)


def late(now: Any, state: Any) -> Any:
    """The result is the state of before."""
    return state, (now @ INWARD + state @ RECURRENT).cast(OUT)


def counted(now: Any, state: Any) -> Any:
    """The result is no state, and the state needs no input."""
    return (now @ INWARD).cast(NARROW), (state + 1).cast(OUT)


def delayed(now: Any, a: Any, b: Any) -> Any:
    """The second state is the first one of before."""
    return b, (now @ INWARD + a @ RECURRENT).cast(OUT), a


def beside(now: Any, a: Any, b: Any) -> Any:
    """The second state stays as it is."""
    new = (now @ INWARD + a).cast(OUT)
    return (new * b).cast(OUT), new, b


def swapped(now: Any, a: Any, b: Any) -> Any:
    """Two states change places."""
    return (now @ INWARD + a - b).cast(OUT), b, a


def in_turn(now: Any, a: Any, b: Any, c: Any) -> Any:
    """Three states follow each other, and the first is read as it was."""
    new = (now @ INWARD + c * 2).cast(OUT)
    return (new + a).cast(OUT), b, c, new


def reset(now: Any, h: Any) -> Any:
    """Of a GRU: the state is multiplied by a gate before its own product with weights."""
    r = h.dot(RECURRENT, None, now @ INWARD).cast(OUT)
    new = (r * h).cast(OUT).dot(SQUARE[:4, :4], None, now @ INWARD).cast(OUT)
    return new, new


def both(now: Any, a: Any, b: Any) -> Any:
    """Two states are read beside the input, and the result is neither."""
    new = now.dot(INWARD, None, a.dot(RECURRENT, None, b @ SQUARE[:4, :4])).cast(OUT)
    return (new * 3).cast(NARROW), new, (a + b).cast(OUT)


def turned(now: Any, a: Any, b: Any) -> Any:
    """Two states that are read beside the input change places."""
    return now.dot(INWARD, None, a.dot(RECURRENT, None, b @ SQUARE[:4, :4])).cast(OUT), b, a


LOOPS: dict[str, Callable[[Any], Any]] = {
    "outputs": lambda x: x.scan(one, ZERO)[0],
    "state": lambda x: x.scan(one, ZERO)[1],
    "outputs, read": lambda x: (x.scan(one, ZERO)[0] @ RECURRENT).cast(OUT),
    "both": lambda x: (lambda y, s: (y[:, 1] + s).cast(OUT))(*x.scan(one, ZERO)),
    "from ones": lambda x: x.scan(one, ONES)[1],
    "from a value": lambda x: x.scan(one, x[:, 0, :4])[1],
    "each before": lambda x: x.scan(one, ZERO, each=lambda now: now.relu().cast(OUT))[1],
    "a product of states": lambda x: x.scan(two, ZERO, ZERO)[0],
    "the second state": lambda x: x.scan(two, ONES, ZERO)[2],
    "the first state": lambda x: x.scan(two, ONES, ZERO)[1],
    "a state that is kept": lambda x: x.scan(kept, ZERO)[0],
    "gates": lambda x: x.scan(gated, ZERO, ZERO)[0],
    "gates, the cell": lambda x: x.scan(gated, ONES, ONES)[2],
    "counted": lambda x: x.scan(counted, ZERO)[0],
    "counted, the state": lambda x: x.scan(counted, ZERO)[1],
    "a part of the input": lambda x: x.scan(sliced, ONES)[0].cast(NARROW),
    "a part of the input, the state": lambda x: x.scan(sliced, ONES)[1],
    "the state of before": lambda x: x.scan(late, ONES)[0],
    "of one channel": lambda x: (
        x[..., :1].scan(lambda now, s: ((now @ constants(1, 4) + s @ RECURRENT).cast(OUT),) * 2, ZERO)[0]
    ),
    "two steps ago": lambda x: x.scan(delayed, ZERO, ONES)[0],
    "the states of two steps": lambda x: (lambda y, a, b: (a * 3 + b).cast(OUT))(*x.scan(delayed, ONES, ZERO)),
    "two that change places": lambda x: x.scan(swapped, ZERO, ONES)[0],
    "two that have changed places": lambda x: (lambda y, a, b: (a * 3 + b).cast(OUT))(*x.scan(swapped, ONES, ZERO)),
    "three in turn": lambda x: x.scan(in_turn, ZERO, ONES, ZERO)[0],
    "three in turn, at last": lambda x: (
        (lambda y, a, b, c: (a * 3 + b * 5 + c).cast(OUT))(*x.scan(in_turn, ZERO, ONES, ZERO))
    ),
    "the state of the step before": lambda x: (
        x.scan(lambda now, a, b: ((n := (now @ INWARD + a - b).cast(OUT)), n, a), ZERO, ONES)[0]
    ),
    "a gate on the state": lambda x: x.scan(reset, ONES)[0],
    "a gate on the state, at last": lambda x: x.scan(reset, ONES)[1],
    "two states in a row": lambda x: x.scan(both, ONES, ZERO)[0],
    "two states in a row, at last": lambda x: (lambda y, a, b: (a * 3 + b).cast(OUT))(*x.scan(both, ZERO, ONES)),
    "two states in a row that change places": lambda x: x.scan(turned, ONES, ZERO)[0],
    "two states in a row that have changed places": lambda x: (
        (lambda y, a, b: (a * 3 + b).cast(OUT))(*x.scan(turned, ZERO, ONES))
    ),
    "one step in a row": lambda x: x[:, :1].scan(both, ONES, ZERO)[0],
    "beside a state that stays": lambda x: x.scan(beside, ZERO, ONES)[0],
    "a state that stays": lambda x: x.scan(beside, ZERO, ONES)[2],
    "of what is computed": lambda x: x.relu().cast(OUT).scan(one, ZERO)[1],
    "one after the other": lambda x: x.scan(one, ZERO)[0].scan(lambda n, s: ((n + s).cast(OUT),) * 2, ZERO)[1],
    "one over the other": lambda x: (
        x.scan(one, ZERO)[0].scan(lambda n, s: ((n @ RECURRENT + s).cast(OUT),) * 2, ZERO)[0]
    ),
    "backwards": lambda x: x[:, ::-1].scan(one, ZERO)[1],
    "of a part": lambda x: x[:, 1:].scan(one, ZERO)[0],
    "two steps": lambda x: x[:, :2].scan(one, ZERO)[0],
    "two steps, the cell": lambda x: x[:, 1:].scan(gated, ONES, ONES)[2],
    "one step": lambda x: x[:, :1].scan(one, ZERO)[0],
    "one step, the cell": lambda x: x[:, 2:].scan(gated, ONES, ONES)[2],
}  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_over_time(name: str, lanes: int) -> None:
    costs_no_more(f"loops: {name}", (3, 6), check(LOOPS[name], (3, 6), lanes))


def test_a_result_that_moves_as_the_outputs_do_is_copied_to_them() -> None:
    """With 8 lanes the rows of the loop are as far apart as its outputs."""

    def step(now: Any, state: Any) -> Any:
        return state, now.dot(constants(3, 4), None, state @ RECURRENT).cast(OUT)

    check(lambda x: x.scan(step, ONES)[0], (4, 3), 8)


TABLE, SINGLE, LONG = constants(8, 5), constants(8, 1), constants(8, 6)
TOKENS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "one": (lambda x: TABLE.take(x).cast(OUT), (1,)),
    "four": (lambda x: TABLE.take(x).cast(OUT), (4,)),
    "five": (lambda x: TABLE.take(x).cast(OUT), (5,)),
    "of one word": (lambda x: SINGLE.take(x).cast(OUT), (5,)),
    "a grid": (lambda x: TABLE.take(x).cast(OUT), (2, 3)),
    "the last three": (lambda x: TABLE.take(x[:, 1:]).cast(OUT), (4,)),
    "the last five": (lambda x: TABLE.take(x[:, 1:]).cast(OUT), (6,)),
    "side by side": (lambda x: (TABLE.take(x).reshape(-1, 20) @ constants(20, 3)).cast(OUT), (4,)),
    "times weights": (lambda x: (TABLE.take(x) @ constants(5, 3)).cast(OUT), (5,)),
    "seven": (lambda x: TABLE.take(x).cast(OUT), (7,)),
    "eight, times weights": (lambda x: (TABLE.take(x) @ constants(5, 3)).cast(OUT), (8,)),
    "every second of six": (lambda x: TABLE.take(x[:, ::2]).cast(OUT), (14,)),
    "seven in a loop": (lambda x: LONG.take(x).scan(one, ZERO)[0], (7,)),
    "all lanes": (lambda x: (TABLE.take(x) * TABLE.take(x)).cast(OUT), (5,)),
    "all lanes, few": (lambda x: (TABLE.take(x) * TABLE.take(x)).cast(OUT), (3,)),
    "in a loop": (lambda x: LONG.take(x).scan(one, ZERO)[1], (5,)),
    "in a short loop": (lambda x: LONG.take(x).scan(one, ZERO)[0], (3,)),
    "in a loop, rounded": (lambda x: LONG.take(x).cast(NARROW).scan(one, ZERO)[1], (5,)),
    "in the body of a loop": (
        lambda x: x.reshape(-1, 5, 1).scan(lambda t, s: ((LONG.take(t[..., 0]) @ INWARD + s).cast(OUT),) * 2, ZERO)[1],
        (5,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 4, 8])
@pytest.mark.parametrize("name", TOKENS)
def test_rows_of_tokens(name: str, lanes: int) -> None:
    net, shape = TOKENS[name]
    costs_no_more(f"tokens: {name}", shape, check(net, shape, lanes, UQ(3, 0)))


POOLED: dict[str, Callable[[Any], Any]] = {
    "of a convolution": lambda x: pooled(convolved(x)),
    "of a convolution at the edge": lambda x: pooled(convolved(x, ((1, 1), (1, 0)))),
    "of many channels": lambda x: pooled(convolved(x, channels=8)),
    "of a sum": lambda x: pooled((convolved(x, ((0, 1), (0, 1))) + x).cast(OUT)),
    "of an odd number of columns": lambda x: pooled(convolved(x, ((1, 1), (1, 1)))),
    "of a modelled accumulator": lambda x: pooled(convolved(x, accumulator=ACC)),
    "of what is no sum": lambda x: pooled((x * 3).cast(OUT)),
    "of what is read twice": lambda x: (lambda y: (pooled(y) + y[:, ::2, ::2]).cast(NARROW))(convolved(x)),
    "and the edges": lambda x: pooled(convolved(x), ((1, 1), (1, 1))),
    "of three columns": lambda x: convolved(x).windows((2, 3), (2, 2), ((0, 0), (0, 0))).max(3),
    "of three rows": lambda x: convolved(x).windows((3, 2), (2, 2), ((0, 0), (0, 0))).max(3),
    "of every column": lambda x: convolved(x).windows((2, 2), (2, 1), ((0, 0), (0, 0))).max(3),
    "of every row": lambda x: convolved(x).windows((2, 2), (1, 2), ((0, 0), (0, 0))).max(3),
    "a sum, no maximum": lambda x: convolved(x).windows((2, 2), (2, 2), ((0, 0), (0, 0))).sum(3).cast(NARROW),
    "and the axis kept": lambda x: convolved(x).windows((2, 2), (2, 2), ((0, 0), (0, 0))).max(3, keepdims=True),
    "twice": lambda x: pooled(convolved(pooled(convolved(x)))),
    "and dense": lambda x: (pooled(convolved(x)).reshape(-1, 24) @ constants(24, 3)).cast(OUT),
}  # fmt: skip


def convolved(
    x: Any, padding: Any = ((0, 1), (0, 1)), channels: int = 2, accumulator: Accumulator | None = None
) -> Any:
    windows = x.windows((2, 2), (1, 1), padding)
    taps = windows.shape[-2] * windows.shape[-1]
    flat = windows.reshape(-1, *windows.shape[1:3], taps)
    return flat.dot(constants(taps, channels), accumulator).cast(OUT)


def pooled(x: Any, padding: Any = ((0, 0), (0, 0))) -> Any:
    return x.windows((2, 2), (2, 2), padding, lowest=True).max(3)


@pytest.mark.parametrize(("lanes", "words"), [(4, 1), (4, 4), (8, 8)])
@pytest.mark.parametrize("name", POOLED)
def test_maxima_of_convolutions(name: str, lanes: int, words: int) -> None:
    shape = (6, 8, 1)
    costs_no_more(f"pooled: {name}", shape, check(POOLED[name], shape, lanes, words=words))


EVEN_AND_ODD: dict[str, Callable[[Any], Any]] = {
    "windows": lambda x: x.windows((2, 3), (1, 1), ((0, 0), (0, 0))).max(3).cast(OUT),
    "sums": lambda x: x.windows((2, 2), (2, 2), ((0, 0), (0, 0))).sum(3).cast(OUT),
    "maxima": lambda x: x.windows((2, 2), (2, 2), ((0, 0), (0, 0))).max(3).cast(OUT),
}


@pytest.mark.parametrize("name", EVEN_AND_ODD)
def test_an_image_of_two_whose_columns_take_turns_is_an_image_like_another(name: str) -> None:
    """Its columns stand as those that are computed apart for the maximum of two."""

    def net(x: Any) -> Any:
        turns = x.reshape(-1, 4, 2, 3, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 4, 6, 2)
        return EVEN_AND_ODD[name](turns)

    for words in (1, 2):
        check(net, (4, 6, 2), 2, words=words)


WORDS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...], QFormat]] = {
    **{name: (net, (2, 3, 6), Q(4, 4)) for name, (net, _) in ANY_SHAPE.items()},
    **{f"rows: {name}": (net, (3, 6), Q(4, 4)) for name, (net, _) in ROWS.items()},
    **{f"images: {name}": (net, (4, 5, 2), Q(4, 4)) for name, net in IMAGES.items()},
    **{f"loops: {name}": (net, (3, 6), Q(4, 4)) for name, net in LOOPS.items()},
    **{f"tokens: {name}": (net, shape, UQ(3, 0)) for name, (net, shape) in TOKENS.items()},
}


@pytest.mark.parametrize("name", WORDS)
def test_an_engine_that_reads_several_words_gives_the_same(name: str) -> None:
    net, shape, format = WORDS[name]
    costs_no_more(name, shape, check(net, shape, 8, format, words=4, drain=2))


@pytest.mark.parametrize(("words", "at_once"), [(1, 1), (2, 3), (4, 3)])
@pytest.mark.parametrize("tokens", [5, 6, 7, 9, 11])
def test_rows_of_many_tokens_are_copied_in_a_loop_one_by_one_or_three_at_a_time(
    words: int, at_once: int, tokens: int
) -> None:
    compiled = check(lambda x: TABLE.take(x), (tokens,), 4, UQ(3, 0), words=words)
    assert len(compiled.kernels) == at_once + tokens % at_once


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (lambda x: (x @ W.scaled(0)).dot(SQUARE[:5, :5], ACC, x.dot(W, ROUNDED)).cast(OUT), None),
        (
            lambda x: x.dot(W, None, (x @ W).cast(Quantizer(Q(9, 4)))).cast(OUT),
            "continues a sum that has been rounded, or another accumulator; give both dots one accumulator",
        ),
        (
            lambda x: x.dot(W, ACC, x.dot(W, Accumulator(ACC.format, Overflow.WRAP))).cast(OUT),
            "continues a sum that has been rounded, or another accumulator; give both dots one accumulator",
        ),
        (
            lambda x: constants(8, 5, 2).take(x.argmax()).cast(OUT),
            "takes rows of something else than a constant matrix, which is not lowered",
        ),
        (
            lambda x: constants(8, 5).take(x.argmax(), 1).cast(OUT),
            "takes rows of something else than a constant matrix, which is not lowered",
        ),
        (
            lambda x: x.reshape(-1, 3, 2, 3).transpose(0, 2, 1, 3).reshape(-1, 6, 3)
            .scan(lambda now, s: ((now * s).cast(OUT),) * 2, ZERO[:, :3])[1],
            "takes [0] of a flattened axis, which is not lowered; index before the reshape",
        ),
        (
            lambda x: (x @ constants(6)).cast(OUT),
            "multiplies by a matrix that is no constant (groups, taps, outputs); only weights are lowered",
        ),
        (lambda x: x.argmax(1), "searches along another axis than the last, which is not lowered"),
        (
            lambda x: x.dot(W, ACC, (x @ W).cast(Quantizer(ACC.format))).cast(OUT),
            "continues a sum that has been rounded, or another accumulator; give both dots one accumulator",
        ),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(net: Callable[[Any], Any], sentence: str | None) -> None:
    with pytest.raises((LoweringError, ValueError, TypeError)) as caught:
        lower(net, (3, 6), Q(4, 4), 4)
    assert sentence is None or sentence in str(caught.value)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("words", [1, 2])
def test_products_of_different_points_are_added_whichever_factor_is_of_a_table(
    words: int, first: bool
) -> None:
    """Where several words are read a clock, the table gives more fraction bits, so that no product is stored."""
    coarse = Table("tanh", Q(4, 4), Quantizer(Q(1, 3)))

    def net(x: Any) -> Any:
        factors = [x[:, :4], x[:, 4:8].lookup("tanh", coarse)]
        a, b = factors[::-1] if first else factors
        return (a * b + x[:, 8:12] * x[:, 12:]).cast(OUT)

    check(net, (16,), 4, samples=4, words=words)
