# SPDX-License-Identifier: MIT
"""Which kernels run, what their own test looks at, and which products they take; with kernels that only pretend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.numerics.native.library import LEVELS, SUM_LIMIT, Choice, KernelError, available, self_test
from fixedpoint_nn.numerics.native.operands import operands
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding


@dataclass
class Pretended:
    """Kernels by NumPy that remember what they were asked."""

    level: int = 2
    asked: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        return LEVELS[self.level]

    def pack(self, weights: np.ndarray, bits: int) -> np.ndarray:
        return weights.astype(np.int64)

    def product(self, source, weights, columns, bits, offset, bias, addend, epilogue, out, wide=0) -> None:  # type: ignore[no-untyped-def]
        x = source.array.astype(np.int64)
        if wide:
            low, high = np.split(weights, 2)
            assert abs(low).max() <= 128 and abs(high).max() <= 128
            weights = low + 256 * high
        sums = (x + offset) @ weights + bias
        self.asked.append(("wide" if wide else bits, offset, x, weights, sums, epilogue))
        q = epilogue.quantizer
        total = np.maximum(sums, 0) if epilogue.relu else sums
        out[...] = convert(total, -epilogue.shift, q.format, q.rounding, q.overflow)


def test_the_kernels_own_test_looks_at_both_ends_of_every_range_and_at_all_modes() -> None:
    pretended = Pretended()
    assert self_test(pretended) == ""  # type: ignore[arg-type]
    kinds = {(bits, offset) for bits, offset, *_ in pretended.asked}
    assert kinds == {(8, 0), (8, 128), (16, 0), ("wide", -32768)}
    _look_at_wide([call for call in pretended.asked if call[0] == "wide"])
    kinds -= {("wide", -32768)}
    ends = {
        (8, 0): (0, 255, -128, 127),
        (8, 128): (-128, 127, -128, 127),
        (16, 0): (-32768, 32767, -256, 255),
    }
    for kind in kinds:
        calls = [call for call in pretended.asked if call[:2] == kind]
        x, w = [call[2] for call in calls], [call[3] for call in calls]
        low, high, lightest, heaviest = ends[kind]
        assert (min(map(np.min, x)), max(map(np.max, x))) == (low, high)
        assert (min(map(np.min, w)), max(map(np.max, w))) == (lightest, heaviest)
        # The largest product of either sign, over all taps of a column.
        assert any(
            (one[0] == high).all() and (other[:, 0] == lightest).all()
            for one, other in zip(x, w)
            if len(other) > 1
        )
        assert any(
            one[0, 0] == low and other[0, 0] == heaviest for one, other in zip(x, w) if len(other) == 1
        )
        assert {other.shape for other in w} == {(1, 1), (67, 37), (130, 129)}
        assert all(len(one) == 50 for one in x)
        epilogues = [call[5] for call in calls]
        assert {e.quantizer.rounding for e in epilogues} == set(Rounding)
        assert {e.quantizer.overflow for e in epilogues} == set(Overflow)
        assert {e.quantizer.format.signed for e in epilogues} == {True, False}
        assert {e.relu for e in epilogues} == {True, False}
        assert {e.quantizer.format.bits for e in epilogues} == {9}
        sums = np.concatenate([call[4].reshape(-1) for call in calls])
        assert sums.min() < -(1 << 19) and sums.max() > 1 << 19  # a bias of 20 bits
        assert (
            len({(e.quantizer.rounding, e.quantizer.overflow, e.quantizer.format.signed) for e in epilogues})
            == 7
        )


def _look_at_wide(calls: list[Any]) -> None:
    x, w = [call[2] for call in calls], [call[3] for call in calls]
    assert (min(map(np.min, x)), max(map(np.max, x))) == (0, 65535)
    assert min(map(np.min, w)) == -32768 and max(map(np.max, w)) > 32700
    assert {other.shape for other in w} == {(1, 1), (67, 37), (130, 129)}
    assert {call[5].quantizer.rounding for call in calls} == set(Rounding)
    assert {call[5].relu for call in calls} == {True, False}
    assert {call[5].quantizer.overflow for call in calls} == set(Overflow)


@pytest.mark.parametrize("number", [63, 64, 83])
def test_one_wrong_integer_of_a_wide_product_is_found(number: int) -> None:
    class Wrong(Pretended):
        def product(self, *arguments: Any) -> None:
            super().product(*arguments)
            if len(self.asked) == number + 1:
                arguments[8][-1, -1] += 1

    wrong = Wrong()
    failure = self_test(wrong)  # type: ignore[arg-type]
    assert len(wrong.asked) == number + 1
    _, _, _, weights, _, epilogue = wrong.asked[-1]
    taps, columns = weights.shape
    q = epilogue.quantizer
    assert failure == f"a wide product, {taps} x {columns}, {q.rounding.name}, {q.overflow.name}"


@pytest.mark.parametrize("number", [0, 1, 30, 62])
def test_one_wrong_integer_is_found_wherever_it_stands(number: int) -> None:
    class Wrong(Pretended):
        def product(self, *arguments: Any) -> None:
            super().product(*arguments)
            if len(self.asked) == number + 1:
                arguments[-1][-1, -1] += 1

    wrong = Wrong()
    failure = self_test(wrong)  # type: ignore[arg-type]
    assert len(wrong.asked) == number + 1
    bits, _, _, weights, _, epilogue = wrong.asked[-1]
    taps, columns = weights.shape
    q = epilogue.quantizer
    assert failure == f"a product of {bits} bits, {taps} x {columns}, {q.rounding.name}, {q.overflow.name}"


@pytest.fixture
def anew() -> Iterator[None]:
    """What is remembered of this machine is asked again, before and after."""
    caches = (library._chosen, library.available)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("wanted", ["", "c", "numpy"])
@pytest.mark.parametrize("level", [None, 0, 1, 2])
@pytest.mark.parametrize("failure", ["", "a product"])
def test_the_best_kernels_run_if_they_are_right_and_faster(
    wanted: str, level: int | None, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = () if level is None else tuple(Pretended(n) for n in range(level + 1))
    monkeypatch.setattr(library, "available", lambda: every)
    monkeypatch.setattr(library, "self_test", lambda kernels: failure if kernels is every[-1] else "")
    monkeypatch.setattr(library, "MORE_TESTS", [])  # of functions that these kernels only pretend to have
    monkeypatch.setenv(library.VARIABLE, wanted)
    if level is None:
        reason = "no compiled kernels: the package was built without a C compiler"
    elif failure:
        reason = f"the {LEVELS[level]} kernels fail their own test: a product"
    elif level == 0 and wanted != "c":
        reason = "this processor has none of AVX2, AVX-512 VNNI, and plain C is slower than NumPy"
    else:
        reason = ""
    if wanted == "numpy":
        assert library.chosen() == Choice(None, "FIXEDPOINT_NN_KERNELS=numpy")
    elif not reason:
        assert library.chosen() == Choice(every[-1], f"{LEVELS[level or 0]}, tested")  # type: ignore[arg-type]
    elif wanted == "c":
        with pytest.raises(KernelError) as caught:
            library.chosen()
        assert str(caught.value) == (
            f"FIXEDPOINT_NN_KERNELS=c demands the compiled kernels, and there is a reason against: {reason}"
        )
    else:
        assert library.chosen() == Choice(None, reason)


@pytest.mark.usefixtures("anew")
def test_every_further_test_is_asked_before_kernels_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pretended = Pretended()
    monkeypatch.setattr(library, "available", lambda: (pretended,))
    monkeypatch.setattr(library, "self_test", lambda kernels: "")
    monkeypatch.setattr(library, "MORE_TESTS", [lambda kernels: "", lambda kernels: "a network"])
    monkeypatch.delenv(library.VARIABLE, raising=False)
    assert library.chosen() == Choice(None, "the AVX-512 VNNI kernels fail their own test: a network")


@pytest.mark.usefixtures("anew")
def test_kernels_are_there_at_every_level_up_to_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded:
        def __init__(self, origin: str) -> None:
            self.fx_padded_taps = self.fx_packed_bytes = self.fx_scratch_bytes = SimpleNamespace()

        def fx_best_level(self) -> int:
            return 1

    monkeypatch.setattr(library, "find_spec", lambda name: SimpleNamespace(origin="there"))
    monkeypatch.setattr(library.ctypes, "CDLL", Loaded)
    assert [(kernels.level, kernels.name) for kernels in available()] == [(0, "portable C"), (1, "AVX2")]


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("spec", [None, SimpleNamespace(origin=None), SimpleNamespace(origin="/nowhere.so")])
def test_without_a_library_there_are_no_kernels(spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "find_spec", lambda name: spec)
    assert available() == ()


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize(
    ("rows", "weights", "bits", "offset"),
    [
        ((0, 255), (-128, 127), 8, 0),
        ((1, 2), (-1, 1), 8, 0),
        ((0, 256), (-128, 127), 16, 0),
        ((0, 255), (-129, 127), 16, 0),
        ((0, 255), (-128, 128), 16, 0),
        ((-128, 127), (-128, 127), 8, 128),
        ((-1, 1), (-128, 127), 8, 128),
        ((-129, 127), (-128, 127), 16, 0),
        ((-128, 128), (-128, 127), 16, 0),
        ((-1, 128), (-1, 1), 16, 0),
        ((-32767, 32767), (-32767, 32767), 16, 0),
    ],
)
def test_products_are_of_bytes_where_the_operands_are(
    level, rows, weights, bits, offset, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("fixedpoint_nn.numerics.native.operands.chosen", lambda: Choice(Pretended(level), ""))  # type: ignore[arg-type]
    a, b = BoundedInts.of(np.array([rows])), BoundedInts.of(np.array([[weights[0]], [weights[1]]]))
    found = operands(a, b, 1)
    assert found is not None
    if level < 2:
        bits, offset = 16, 0
    assert (found.bits, found.offset, found.columns) == (bits, offset, 1)
    assert found.correction.tolist() == [-offset * sum(weights)]
    assert operands(a, b, SUM_LIMIT) is found
    assert found.wide == 0 and found.most == SUM_LIMIT
    assert found.can_finish(-30) and found.can_finish(0)
    assert not found.can_finish(-31) and not found.can_finish(1)
    wide = operands(a, b, SUM_LIMIT + 1)
    assert (wide is not None) == (level > 0)
    assert wide is None or wide.wide > 0


@pytest.mark.parametrize("level", [0, 1, 2])
def test_words_of_16_bits_are_wide_and_wider_ones_are_not_taken(level, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("fixedpoint_nn.numerics.native.operands.chosen", lambda: Choice(Pretended(level), ""))  # type: ignore[arg-type]

    def of(rows, weights, bound=1):  # type: ignore[no-untyped-def]
        a, b = BoundedInts.of(np.array([rows])), BoundedInts.of(np.array([[weights[0]], [weights[1]]]))
        return operands(a, b, bound)

    found = of((0, 32768), (0, 1))
    assert (found is not None) == (level > 0)
    if found is not None:
        assert (found.bits, found.offset, found.wide, found.most) == (16, -32768, 2, 1 << 53)
        assert found.correction.tolist() == [32768]
        assert found.can_finish(-62) and not found.can_finish(-63) and not found.can_finish(1)
    assert of((0, 65536), (0, 1)) is None
    assert of((0, 1), (0, 32768)) is None


@pytest.mark.parametrize(("largest", "bits"), [(1, 16), (0, 8)])
def test_rows_made_positive_must_not_leave_the_sum(
    largest: int, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of -127..127 become 1..255: their sum is below 2**31 if the weights' norm is at most (2**31 - 1) / 255."""
    monkeypatch.setattr("fixedpoint_nn.numerics.native.operands.chosen", lambda: Choice(Pretended(), ""))  # type: ignore[arg-type]
    terms, rest = divmod(SUM_LIMIT // 255 + largest, 127)
    w = np.full((terms + 1, 1), 127)
    w[-1] = rest
    b = BoundedInts.of(w)
    assert b.columns.norm == SUM_LIMIT // 255 + largest
    found = operands(BoundedInts(np.array([[-127, 127]]), 127), b, 1)
    assert found is not None
    assert found.bits == bits


def test_without_kernels_no_product_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixedpoint_nn.numerics.native.operands.chosen", lambda: Choice(None, "none"))
    one = BoundedInts.of(np.array([[1]]))
    assert operands(one, one, 1) is None
