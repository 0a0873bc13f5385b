# SPDX-License-Identifier: MIT
"""Puts a mutant into functions that are imported already, by their code: no module is imported again."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any


class LiveFunctions:
    """The functions of some files that exist in this process, by their code; and all caches of results."""

    def __init__(self, files: Iterable[str]) -> None:
        wanted, everything = set(files), gc.get_objects()
        self._functions: dict[CodeType, list[FunctionType]] = {}
        for one in everything:
            if isinstance(one, FunctionType) and one.__code__.co_filename in wanted:
                self._functions.setdefault(one.__code__, []).append(one)
        self._caches: list[Any] = [one for one in everything if isinstance(one, functools._lru_cache_wrapper)]

    def patch(self, original: CodeType, mutated: CodeType) -> bool:
        """Change the functions that differ; False if the difference lies in what runs at import alone."""
        pairs = list(_differences((original,), (mutated,)))
        swaps: list[tuple[FunctionType, CodeType]] = []
        for before, after in pairs:
            live = [
                (function, new)
                for old, new in zip(before[1:], after[1:])  # the module's own code is no function
                for function in self._functions.get(old, ())
                if function.__code__.co_filename == old.co_filename
            ]
            if not live:
                return False
            swaps += live
        if not swaps or any(len(f.__code__.co_freevars) != len(c.co_freevars) for f, c in swaps):
            return False
        for function, code in swaps:
            function.__code__ = code
        for cache in self._caches:
            cache.cache_clear()
        return True


def _differences(
    before: tuple[CodeType, ...], after: tuple[CodeType, ...]
) -> Iterable[tuple[tuple[CodeType, ...], tuple[CodeType, ...]]]:
    """Paths from the module's code to each code inside it that differs by itself."""
    if before[-1] == after[-1]:
        return
    inner_before = [value for value in before[-1].co_consts if isinstance(value, CodeType)]
    inner_after = [value for value in after[-1].co_consts if isinstance(value, CodeType)]
    if len(inner_before) != len(inner_after) or _alone(before[-1]) != _alone(after[-1]):
        yield before, after
        return
    for old, new in zip(inner_before, inner_after):
        yield from _differences((*before, old), (*after, new))


def _alone(code: CodeType) -> CodeType:
    """A code without the codes inside it."""
    return code.replace(
        co_consts=tuple(None if isinstance(value, CodeType) else value for value in code.co_consts)
    )
