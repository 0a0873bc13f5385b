# SPDX-License-Identifier: MIT
"""NumPy's functions on `FixedArray`s: they keep the format, or they raise. None gives floats silently."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.fixed.movement import FixedMovement
from fixedpoint_nn.numerics.arrays import refuse_masked

# Functions of one array that move its elements.
_MOVES = {
    np.reshape, np.ravel, np.transpose, np.squeeze, np.expand_dims, np.moveaxis, np.swapaxes, np.rollaxis,
    np.broadcast_to, np.repeat, np.tile, np.roll, np.flip, np.fliplr, np.flipud, np.rot90, np.copy, np.sort,
    np.diagonal, np.delete, np.take_along_axis, np.atleast_1d, np.atleast_2d, np.atleast_3d,
    np.tril, np.triu, np.unique, np.resize,
}  # fmt: skip
_SPLITS = {np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit}
_JOINS = {np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack}
# Functions whose results are places, counts or truths, the same for the integers as for the values.
_ABOUT = {
    np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.flatnonzero, np.count_nonzero,
    np.any, np.all, np.shape, np.ndim, np.size,
}  # fmt: skip

_OPERATORS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.matmul: operator.matmul,
    np.negative: operator.neg,
    np.positive: operator.pos,
    np.absolute: operator.abs,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.maximum: lambda a, b: a.maximum(b),
}


class FixedNumPy(FixedMovement):
    """NumPy's two protocols, on top of the verbs."""

    __slots__ = ()

    def _operand(self, other: Any) -> Any:
        raise NotImplementedError

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a FixedArray is not turned into a NumPy array silently; take .ints or .to_float()")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or ufunc not in _OPERATORS:
            _refuse(ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}")
        if kwargs:
            raise TypeError(f"numpy.{ufunc.__name__} of a FixedArray takes no {', '.join(kwargs)}")
        operands = [self._operand(x) for x in inputs]
        if any(x is NotImplemented for x in operands):
            return NotImplemented
        return _OPERATORS[ufunc](*operands)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        if kwargs.get("out") is not None:
            raise TypeError(f"numpy.{function.__name__} of a FixedArray takes no out: it is never written to")
        if function in _MOVES:
            moved = function(*_arrays(function, args, kwargs), **kwargs)
            if isinstance(moved, tuple):
                _refuse(f"{function.__name__} with further results")
            return self._like(moved)
        if function in _SPLITS:
            return [self._like(part) for part in function(*_arrays(function, args, kwargs), **kwargs)]
        if function in _JOINS:
            if not args:
                raise TypeError(f"numpy.{function.__name__} takes its FixedArrays as the first argument")
            return self._joined(list(args[0]), lambda arrays: function(arrays, *args[1:], **kwargs))
        if function in _ABOUT:
            return function(*_arrays(function, args, kwargs), **kwargs)
        if function in _SPECIAL:
            return _SPECIAL[function](*args, **kwargs)
        return _refuse(function.__name__)


def _refuse(name: str) -> Any:
    raise TypeError(
        f"numpy.{name} does not keep a FixedArray exact; take .to_float() for floats, or .ints for integers"
    )


def _arrays(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The integers of the first argument; the others are indices and shapes, and no FixedArrays."""
    refuse_masked(args)
    first, *others = args or (None,)
    if not isinstance(first, FixedMovement) or any(
        isinstance(x, FixedMovement) for x in (*others, *kwargs.values())
    ):
        raise TypeError(
            f"numpy.{function.__name__} takes one FixedArray, as its first argument; "
            "give the others as integers, by .ints"
        )
    return [first._held.array, *others]


def _check_condition(condition: Any) -> None:
    refuse_masked(condition)
    if isinstance(condition, FixedMovement):
        raise TypeError("a condition is made of truths, not of a FixedArray; compare it first, as x != 0")


def _compress(condition: Any, x: Any, axis: int | None = None) -> Any:
    """The elements, or the parts along `axis`, where the condition holds."""
    _check_condition(condition)
    return x._like(np.compress(condition, x._held.array, axis))


def _where(condition: Any, x: Any, y: Any) -> Any:
    _check_condition(condition)
    first = x if isinstance(x, FixedNumPy) else y
    parts = [first._operand(x), first._operand(y)]
    return first._joined(parts, lambda arrays: np.where(condition, *arrays))


def _array_equal(a: Any, b: Any) -> bool:
    return bool(np.shape(a) == np.shape(b) and np.all(a == b))


def _zeros_like(x: FixedMovement) -> FixedMovement:
    return x._like(np.zeros(x.shape, np.float32))


def _reduction(verb: str) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = None, *, keepdims: bool = False, **others: Any) -> Any:
        if others:
            raise TypeError(f"numpy.{verb} of a FixedArray takes no {', '.join(others)}")
        return getattr(x, verb)(axis, keepdims)

    return reduce


_SPECIAL: dict[Any, Callable[..., Any]] = {
    np.sum: _reduction("sum"),
    np.max: _reduction("max"),
    np.amax: _reduction("max"),
    np.min: _reduction("min"),
    np.amin: _reduction("min"),
    np.dot: lambda a, b: a @ b,
    np.compress: _compress,
    np.take: lambda x, indices, axis=0: x.take(indices, axis),
    np.where: _where,
    np.array_equal: _array_equal,
    np.zeros_like: _zeros_like,
    np.array_repr: repr,
    np.array_str: str,
}
