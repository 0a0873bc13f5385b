# SPDX-License-Identifier: MIT
"""`emit --weight-window`: its options, and tables of stalls for streamed weights."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from fixedpoint_nn.cli.arguments import positive
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.tools.weight_rate import by_rate, layers, with_memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --weight-window, and the options of the memory for which cycles are predicted."""
    group = parser.add_argument_group("weights from outside")
    group.add_argument(
        "--weight-window",
        type=positive,
        metavar="ROWS",
        help="rows of weights in the engine, through which all weights are streamed but for those of loops",
    )
    group.add_argument(
        "--weight-clocks",
        type=positive,
        metavar="N",
        help="the memory offers a row N clocks after the one before it was taken (default: 1)",
    )
    group.add_argument(
        "--weight-latency",
        type=positive,
        metavar="N",
        help="it offers the first row N clocks after the start (default: 1)",
    )


def from_arguments(arguments: argparse.Namespace) -> tuple[int, WeightMemory | None]:
    """(rows of the window or 0, memory)."""
    clocks, latency = arguments.weight_clocks, arguments.weight_latency
    if arguments.weight_window is None:
        if clocks is not None or latency is not None:
            raise CommandError(
                "--weight-clocks and --weight-latency are of --weight-window; say its rows too"
            )
        return 0, None
    if arguments.weight_window < 2:
        raise CommandError("--weight-window 1 cannot be filled while it is read; use at least 2 rows")
    return arguments.weight_window, WeightMemory(clocks or 1, latency or 1)


def again(arguments: argparse.Namespace) -> list[object]:
    """The options as given, to repeat the command."""
    given: list[object] = []
    for name in ("weight_window", "weight_clocks", "weight_latency"):
        value = getattr(arguments, name)
        given += [f"--{name.replace('_', '-')}", value] if value is not None else []
    return given


def figures(pack: Pack) -> dict[str, Any]:
    """A pack's stalls for streamed weights, as JSON values."""
    if pack.memory is None:
        return {}
    resident = with_memory(pack, None)
    rates = [
        {"clocks": memory.clocks, "cycles": plan.cycles, "stalls": plan.stalls}
        for memory, plan in by_rate(pack)
    ]
    return {
        "weights_from_outside": {
            "window": pack.config.weight_window,
            "rows": len(pack.images.stream),
            "resident_rows": pack.config.resident_rows,
            "memory": asdict(pack.memory),
            "without_waiting": resident.cycles,
            "layers": [asdict(one) for one in layers(pack)],
            "rates": rates,
        }
    }


def text(figures: dict[str, Any]) -> str:
    """The tables of stalls, by layer and by rate of the memory."""
    memory, bits = figures["memory"], "{:24} {:>5} {:>9} {:>12} {:>12}"
    lines = [
        f"{figures['rows']:,} rows of weights through a window of {figures['window']:,}, {figures['resident_rows']:,} "
        f"resident; a row every {memory['clocks']} clocks, the first after {memory['latency']}:",
        bits.format("layer", "runs", "rows", "clocks", "waiting"),
    ]
    for one in figures["layers"]:
        values = (f"{one[key]:,}" for key in ("runs", "rows", "cycles", "stalls"))
        lines.append(bits.format(one["layer"] or "a copy", *values))
    lines += [
        "",
        f"A row every ... clocks ({figures['without_waiting']:,} clocks with all weights in the engine):",
    ]
    for rate in figures["rates"]:
        share = rate["stalls"] / rate["cycles"]
        lines.append(
            f"{rate['clocks']:>4}: {rate['cycles']:>12,} clocks, {rate['stalls']:,} waiting ({share:.1%})"
        )
    return "\n".join(lines)
