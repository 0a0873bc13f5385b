# SPDX-License-Identifier: MIT
"""Parts of a batch are shared among threads: every part once, in order, whatever happens meanwhile."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar

import pytest

from fixedpoint_nn.numbers.threads import PARTS, VARIABLE, by_threads, rows_of_part, threads


@pytest.mark.parametrize(("given", "number"), [("", 1), ("1", 1), ("2", 2), ("16", 16)])
def test_the_number_of_threads_is_in_the_environment(
    given: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, given)
    assert threads() == number
    monkeypatch.delenv(VARIABLE)
    assert threads() == 1


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "many", " "])
def test_a_number_of_threads_is_a_whole_one(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, wrong)
    with pytest.raises(ValueError) as caught:
        threads()
    assert str(caught.value) == f"{VARIABLE}={wrong!r} is no number of threads; use 1, 2, 3, ..."


def test_a_part_is_of_whole_blocks_and_no_thread_has_more_than_eight() -> None:
    assert [rows_of_part(batch, 2, 10) for batch in (1, 160, 161, 320, 321)] == [10, 10, 20, 20, 30]
    for batch in range(1, 700):
        rows = rows_of_part(batch, 3, 7)
        assert rows % 7 == 0 and -(-batch // rows) <= 3 * PARTS
        assert rows == 7 or -(-batch // (rows - 7)) > 3 * PARTS


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("parts", [0, 1, 2, 40])
def test_every_part_is_done_once_and_the_results_are_in_order(count: int, parts: int) -> None:
    seen: list[int] = []

    def work(part: int) -> int:
        seen.append(part)
        return part * part

    assert by_threads(count, work, range(parts)) == [part * part for part in range(parts)]
    assert sorted(seen) == list(range(parts))


def test_as_many_threads_as_wanted_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)  # passed only if three threads wait at once
    by_threads(3, lambda _: together.wait(), range(3))


def test_no_more_threads_work_than_wanted() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    by_threads(2, work, range(8))
    assert most == 2


def test_an_error_of_any_thread_is_raised() -> None:
    together = threading.Barrier(2, timeout=20)
    for wrong in (threading.main_thread().ident, None):

        def work(_: int, wrong: int | None = wrong) -> None:
            together.wait()
            if (threading.get_ident() == threading.main_thread().ident) == (wrong is not None):
                raise KeyError("this part")

        with pytest.raises(KeyError, match="this part"):
            by_threads(2, work, range(2))


def test_threads_see_the_variables_of_the_context() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")
    token = variable.set("seen")
    together = threading.Barrier(2, timeout=20)

    def work(_: int) -> str:
        together.wait()
        return variable.get()

    assert by_threads(2, work, range(2)) == ["seen", "seen"]
    variable.reset(token)


def test_work_that_is_itself_shared_does_not_wait_for_itself() -> None:
    def outer(part: int) -> list[int]:
        return by_threads(2, lambda inner: 10 * part + inner, range(3))

    assert by_threads(2, outer, range(4)) == [[10 * part + inner for inner in range(3)] for part in range(4)]
