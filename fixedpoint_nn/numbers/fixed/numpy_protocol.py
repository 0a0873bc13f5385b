# SPDX-License-Identifier: MIT
"""NumPy functions on `FixedArray`s: each returns an exact FixedArray, or raises; none returns floats silently."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import refuse_masked

# Functions of one array that only move its elements.
_MOVES = {
    np.reshape, np.ravel, np.transpose, np.squeeze, np.expand_dims, np.moveaxis, np.swapaxes, np.rollaxis,
    np.broadcast_to, np.repeat, np.tile, np.roll, np.flip, np.fliplr, np.flipud, np.rot90, np.copy, np.sort,
    np.diagonal, np.delete, np.take_along_axis, np.atleast_1d, np.atleast_2d, np.atleast_3d,
    np.tril, np.triu, np.unique, np.resize,
}  # fmt: skip
_SPLITS = {np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit}
_JOINS = {np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack}
# Functions with results (indices, counts, booleans) that are the same for integers and values.
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
    np.minimum: lambda a, b: a.minimum(b),
}


def call_ufunc(
    self: Any, ufunc: np.ufunc, method: str, inputs: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Apply a NumPy ufunc as the equivalent operator of FixedArray; `self` is the operand that NumPy called."""
    if method != "__call__" or ufunc not in _OPERATORS:
        _refuse(ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}")
    if kwargs:
        raise TypeError(f"numpy.{ufunc.__name__} of a FixedArray takes no {', '.join(kwargs)}")
    operands = [self._operand(x) for x in inputs]
    if any(x is NotImplemented for x in operands):
        return NotImplemented
    return _OPERATORS[ufunc](*operands)


def call_function(
    kind: type[Any], function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Apply a NumPy function to the integers, and keep the format; `kind` is `FixedArray`."""
    name = function.__name__
    if kwargs.get("out") is not None:
        raise TypeError(f"numpy.{name} of a FixedArray takes no out: it is never written to")
    if function in _SPECIAL:
        return _SPECIAL[function](kind, *args, **kwargs)
    if function in _JOINS:
        if not args:
            raise TypeError(f"numpy.{name} takes its FixedArrays as the first argument")
        return kind._joined(list(args[0]), lambda arrays: function(arrays, *args[1:], **kwargs))
    if function not in _MOVES and function not in _SPLITS and function not in _ABOUT:
        return _refuse(name)
    refuse_masked(args)
    first, *others = args or (None,)
    if not isinstance(first, kind) or any(isinstance(x, kind) for x in (*others, *kwargs.values())):
        raise TypeError(
            f"numpy.{name} takes one FixedArray, as its first argument; give the others as integers, by .ints"
        )
    result = function(first._bounded.array, *others, **kwargs)
    if function in _ABOUT:
        return result
    if function in _SPLITS:
        return [first._like(part) for part in result]
    if isinstance(result, tuple):
        _refuse(f"{name} with further results")
    return first._like(result)


def _refuse(name: str) -> Any:
    raise TypeError(
        f"numpy.{name} does not keep a FixedArray exact; take .to_float() for floats, or .ints for integers"
    )


def _check_condition(kind: type[Any], condition: Any) -> None:
    refuse_masked(condition)
    if isinstance(condition, kind):
        raise TypeError("a condition is made of truths, not of a FixedArray; compare it first, as x != 0")


def _compress(kind: type[Any], condition: Any, x: Any, axis: int | None = None) -> Any:
    """The elements, or slices along `axis`, where the condition holds."""
    _check_condition(kind, condition)
    return x._like(np.compress(condition, x._bounded.array, axis))


def _where(kind: type[Any], condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y, in the smallest format that holds both; one may be an integer."""
    _check_condition(kind, condition)
    first = x if isinstance(x, kind) else y
    return kind._joined([first._operand(x), first._operand(y)], lambda arrays: np.where(condition, *arrays))


def _take(_: type[Any], x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at these indices of an axis, or of the array in one dimension, as in NumPy."""
    return x.reshape(-1).take(indices) if axis is None else x.take(indices, axis)


def _array_equal(_: type[Any], a: Any, b: Any) -> bool:
    return bool(np.shape(a) == np.shape(b) and np.all(a == b))


def _zeros_like(_: type[Any], x: Any) -> Any:
    return x._like(np.zeros(x.shape, np.float32))


def _reduction(verb: str) -> Callable[..., Any]:
    def reduce(_: type[Any], x: Any, axis: Any = None, *, keepdims: bool = False, **others: Any) -> Any:
        if others:
            raise TypeError(f"numpy.{verb} of a FixedArray takes no {', '.join(others)}")
        return getattr(x, verb)(axis, keepdims)

    return reduce


# Functions that are verbs, or whose first argument is not an array.
_SPECIAL: dict[Any, Callable[..., Any]] = {
    np.sum: _reduction("sum"),
    np.max: _reduction("max"),
    np.amax: _reduction("max"),
    np.min: _reduction("min"),
    np.amin: _reduction("min"),
    np.dot: lambda _, a, b: a @ b,
    np.compress: _compress,
    np.take: _take,
    np.where: _where,
    np.array_equal: _array_equal,
    np.zeros_like: _zeros_like,
    np.array_repr: lambda _, x: repr(x),
    np.array_str: lambda _, x: str(x),
}
