# SPDX-License-Identifier: MIT
"""Computing one point of a sweep on a worker: its figures, or the reason why it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fixedpoint_nn.network.json_shapes import JsonAny, JsonObject
from fixedpoint_nn.precision.content import digest

REASON = JsonObject({"reason": JsonAny(), "failed": JsonAny()})
LONGEST = 500  # characters of a reason


def attempt(compute: Callable[..., dict[str, Any]], common: Any, *task: Any) -> dict[str, Any]:
    """The result of `compute(common, *task)`, or {"reason": ..., "failed": ...} if it raises.

    A ValueError means that some layer cannot have these formats (failed is False); any other exception is a failure.
    """
    try:
        return compute(common, *task)
    except ValueError as error:
        return {"reason": _sentence(error), "failed": False}
    except Exception as error:
        return {"reason": f"{type(error).__name__}: {_sentence(error)}", "failed": True}


def reason_of(result: Mapping[str, Any] | None) -> str:
    """The reason why a result has no figures; empty if it has them."""
    return "" if result is None else str(result.get("reason", ""))


def error_key(key: str) -> str:
    """The store's key of a point's reason, beside the key of its figures."""
    return digest("reason", key)


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST] or "it gave no reason"
