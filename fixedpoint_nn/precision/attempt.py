# SPDX-License-Identifier: MIT
"""One point that may fail: its figures, or the reason why there are none. What runs on every worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fixedpoint_nn.network.json_shapes import Anything, Fields
from fixedpoint_nn.precision.content import digest

REASON = Fields({"reason": Anything(), "failed": Anything()})
LONGEST = 500  # letters of a reason


def attempt(compute: Callable[..., dict[str, Any]], common: Any, *task: Any) -> dict[str, Any]:
    """`compute(common, *task)`, or {"reason": ..., "failed": ...}.

    A ValueError says that some layer cannot have such numbers; whatever else is raised is a failure.
    """
    try:
        return compute(common, *task)
    except ValueError as error:
        return {"reason": _sentence(error), "failed": False}
    except Exception as error:
        return {"reason": f"{type(error).__name__}: {_sentence(error)}", "failed": True}


def reason_of(result: Mapping[str, Any] | None) -> str:
    """Why there are no figures; empty if there are."""
    return "" if result is None else str(result.get("reason", ""))


def error_key(key: str) -> str:
    """The key under which a point's reason is stored, beside that of its figures."""
    return digest("reason", key)


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST] or "it gave no reason"
