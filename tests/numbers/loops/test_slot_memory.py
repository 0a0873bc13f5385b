# SPDX-License-Identifier: MIT
"""Slots share memory only while none of them is needed: who reads what last, and what is given back."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn import Q, Quantizer
from fixedpoint_nn.numbers.loops.numpy_loop import NumpyLoop
from fixedpoint_nn.numbers.loops.plan import (
    Combine,
    LoopPlan,
    Part,
    ProductSum,
    RoundedColumns,
    SlotDot,
    SlotProduct,
)
from fixedpoint_nn.numbers.loops.slot_memory import (
    SlotMemory,
    last_reads,
    lasting_slots,
    read_slots,
    written_slots,
)
from fixedpoint_nn.numerics.bounded_ints import BoundedInts


def part(slot: int) -> Part:
    return Part(slot, 0, 4, Q(12, 0), 1 << 11, True)


def cut(out: int) -> RoundedColumns:
    return RoundedColumns(out, 0, 4, False, 0, Quantizer(Q(12, 0)), True)


def sums(*sources: int, cuts: tuple[int, ...] = (), raw: int | None = None) -> ProductSum:
    weights = BoundedInts.of(np.eye(4, dtype=np.int64))
    return ProductSum(
        tuple(SlotDot(part(n), weights) for n in sources), None, 4, 1 << 13, [cut(n) for n in cuts], raw
    )


def plan_of(
    *operations: ProductSum | SlotProduct | Combine, y: int, after: int = 1, slots: int = 9
) -> LoopPlan:
    return LoopPlan((4,) * slots, 0, Q(4, 0), (1,), operations, part(y), (part(after),), 1 << 11, 1 << 13)


def test_operations_read_their_operands_and_write_their_results() -> None:
    for operation, read, written in (
        (sums(0, 1, cuts=(2, 3)), [0, 1], [2, 3]),
        (sums(0, cuts=(2,), raw=5), [0], [2, 5]),
        (SlotProduct(4, part(2), part(3)), [2, 3], [4]),
        (Combine(4, part(2), 1, None, 0, None), [2], [4]),
        (Combine(4, part(2), 1, part(6), -1, None), [2, 6], [4]),
    ):
        assert list(read_slots(operation)) == read
        assert list(written_slots(operation)) == written


def test_a_slot_lives_until_its_last_reader_or_the_end_of_the_step() -> None:
    plan = plan_of(
        sums(0, 1, cuts=(2, 3)),
        SlotProduct(4, part(2), part(3)),
        Combine(5, part(4), 1, part(2), 1, None),
        y=5,
        after=4,
    )
    assert last_reads(plan) == {0: 0, 1: 0, 2: 2, 3: 1, 4: 2}
    assert lasting_slots(plan) == {0, 1, 4, 5}
    assert lasting_slots(plan_of(sums(0, 2, cuts=(3,)), y=3)) == {0, 1, 2, 3}  # 2 stands beside 0


def test_memory_is_taken_again_the_smallest_that_is_large_enough() -> None:
    memory = SlotMemory(3, np.dtype("f4"))
    small, large = memory.take(4), memory.take(7)
    assert (small.shape, large.shape, small.dtype) == ((3, 4), (3, 7), np.float32)
    assert not np.shares_memory(small, large)
    memory.give(large)
    memory.give(small)
    again, other, new = memory.take(4), memory.take(5), memory.take(1)
    assert np.shares_memory(again, small) and np.shares_memory(other, large)
    assert other.shape == (3, 5) and other.flags.c_contiguous
    assert not np.shares_memory(new, small) and not np.shares_memory(new, large)
    memory.give(other)
    assert np.shares_memory(memory.take(7), large)  # all of it came back


def test_a_step_with_every_reuse_computes_what_its_operations_say() -> None:
    operations = (
        sums(0, 1, cuts=(2,)),
        SlotProduct(3, part(2), part(0)),
        Combine(4, part(3), 1, part(2), 1, None),  # the last reader of 2
        SlotProduct(5, part(4), part(3)),
        Combine(6, part(5), 1, part(4), -1, None),
        sums(6, 2, cuts=(), raw=7),
        Combine(8, part(7), 1, part(5), 1, None),
    )
    plan = plan_of(*operations, y=8)
    loop = NumpyLoop(plan, np.dtype("f8"))
    slots, _ = loop._prepared(2)
    for number, operation in enumerate(operations):
        alive = [
            slot
            for slot, last in last_reads(plan).items()
            if last >= number and any(slot in written_slots(one) for one in operations[:number])
        ]
        for slot in written_slots(operation):
            assert not any(np.shares_memory(slots[slot], slots[other]) for other in alive)
    distinct = {slots[n].__array_interface__["data"][0] for n in (2, 3, 4, 5, 6, 7)}
    assert len(distinct) < 6
    rng = np.random.default_rng(0)
    x, h = rng.integers(-4, 4, (2, 3, 4)), rng.integers(-4, 4, (2, 4))
    ys, (final,) = loop.run(BoundedInts(x.astype("f4"), 4), [h])
    for t in range(3):
        total = x[:, t] + h
        product = total * x[:, t]
        both = product + total
        square = both * product
        assert np.array_equal(ys[:, t], (square - both) + total + square)
    assert np.array_equal(final, h)
