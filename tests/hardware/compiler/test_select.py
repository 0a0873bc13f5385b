# SPDX-License-Identifier: MIT
"""Each computation becomes one run of the engine, or one for each channel group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer, Table
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.legalise import legalise
from fixedpoint_nn.hardware.compiler.lower import lowered
from fixedpoint_nn.hardware.compiler.select import select
from fixedpoint_nn.numbers.traced.traced import trace

OUT = Quantizer(Q(4, 4), name="out")


def kernels(net, *shape: int) -> list[Kernel]:
    program = select(legalise(lowered(trace(net, shape, Q(4, 4)), 8)))
    return [item for item in program.items if isinstance(item, Kernel)]


def test_a_product_with_weights_is_one_run_that_is_named_by_its_cast() -> None:
    ints = np.arange(30).reshape(5, 6)
    (kernel,) = kernels(lambda x: (x @ FixedArray.from_ints(ints, Q(6, 2))).cast(OUT), 5)
    assert kernel.name == "out"
    assert (kernel.channels, kernel.tile_steps, kernel.steps) == (6, 5, 5)
    assert kernel.weights is not None
    shift = kernel.parameters[:, 0]  # what a channel's weights have in common is taken off its shift
    assert np.array_equal(kernel.weights[:, :6] << 2 - shift, ints)


def test_each_channel_group_is_a_run_that_writes_its_own_channels() -> None:
    weights = FixedArray.from_ints(np.ones((2, 3, 4), np.int64), Q(4, 4))
    first, second = kernels(lambda x: x.reshape(-1, 2, 3).dot(weights).cast(OUT), 6)
    assert (first.channels, second.channels) == (4, 4)
    assert second.target.offset - first.target.offset == 4


def test_a_search_is_part_of_the_run_before_it() -> None:
    weights = FixedArray.from_ints(np.ones((3, 4), np.int64), Q(4, 4))
    (kernel,) = kernels(lambda x: (x @ weights).cast(OUT).argmax(), 3)
    assert kernel.argmax
    assert kernel.write


def test_what_no_run_can_do_is_refused_with_its_layer() -> None:
    fine = Quantizer(Q(4, 12), name="fine")
    with pytest.raises(LoweringError) as caught:
        kernels(lambda x: (x * x).cast(fine), 3)
    assert str(caught.value) == (
        "Layer 'fine' does not fit the engine: it casts a product with 8 fraction bits to 12; use no more than the "
        "product has."
    )


def test_noise_takes_the_place_of_a_table() -> None:
    weights = FixedArray.from_ints(np.ones((3, 4), np.int64), Q(4, 4))
    program = legalise(lowered(trace(lambda x: (x @ weights).cast(OUT), (3,), Q(4, 4)), 8))
    noise = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))
    items = tuple(replace(one, noise=noise) if isinstance(one, Compute) else one for one in program.items)
    (run,) = (item for item in select(replace(program, items=items)).items if isinstance(item, Kernel))
    assert run.noise and run.table is noise
    (plain,) = kernels(lambda x: (x @ weights).cast(OUT), 3)
    assert not plain.noise and plain.table is None
