# SPDX-License-Identifier: MIT
"""`fixedpoint-nn emit`: a network as memory images for the engine, with vectors to verify it by."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import network
from fixedpoint_nn.cli.arguments import Commands, command, natural, positive, word
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.progress import quiet, say
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.compiler.show import PASSES
from fixedpoint_nn.hardware.emit import emit
from fixedpoint_nn.hardware.isa.config import LANES
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.tools.synthesis import xilinx
from fixedpoint_nn.layers.fields import TABLE
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.precision import Plan, calibrate, quantize
from fixedpoint_nn.report.record import Stopwatch
from fixedpoint_nn.training.metrics import outputs

CALIBRATION = 500
REPEATS = 9
LAYER = ("layer", "format", "channels", "cycles", "mac_cycles")  # what the report tells of each run


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "emit",
        "write memory images (.coe, .mem) and golden vectors of a network",
        "fixedpoint-nn emit names_lstm --word 8 --vectors 4 --out runs/names/pack",
        run,
    )
    network.add_argument(parser)
    formats = parser.add_mutually_exclusive_group(required=True)
    formats.add_argument("--word", type=word, metavar="N", help="bits of every word; formats from data")
    formats.add_argument("--plan", type=Path, metavar="FILE", help="a plan in JSON")
    parser.add_argument("--vectors", type=positive, default=8, metavar="N", help="real inputs (default: 8)")
    parser.add_argument("--corners", type=natural, default=8, metavar="N", help="corner vectors (default: 8)")
    parser.add_argument("--lanes", type=int, choices=LANES, default=8, help="default: 8")
    parser.add_argument("--radix", type=int, choices=(2, 10, 16), default=16, help="of .coe (default: 16)")
    parser.add_argument("--mif", action="store_true", help="also write .mif images")
    parser.add_argument(
        "--clock-mhz", type=positive, default=100, metavar="N", help="the report's clock (default: 100)"
    )
    parser.add_argument("--size", action="store_true", help="also the engine's LUTs and DSPs, by yosys")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder of the pack")
    parser.add_argument(
        "--show",
        metavar="PASS",
        choices=PASSES,
        help=f"print the program after a pass of the compiler instead of writing a pack: {', '.join(PASSES)}",
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    if (arguments.out is None) == (arguments.show is None):
        raise CommandError(
            "emit takes either --out, the folder of the pack, or --show, a pass of the compiler"
        )
    chosen = network.resolve(arguments.network)
    watch = Stopwatch("emit", _again(arguments))
    plan = plan_for(chosen, arguments.word, arguments.plan)
    if arguments.show:
        print(shown(chosen, plan, arguments.show, arguments.lanes), end="")
        return 0
    pack, results = emit_network(
        chosen,
        plan,
        arguments.out,
        vectors=arguments.vectors,
        corners=arguments.corners,
        lanes=arguments.lanes,
        radix=arguments.radix,
        mif=arguments.mif,
        clock_mhz=arguments.clock_mhz,
        say=quiet if arguments.json else say,
    )
    if arguments.size:
        (quiet if arguments.json else say)("synthesising the engine for its size")
        results["size"] = asdict(xilinx(pack.config))
    watch.record(arguments.out, results).save()
    if arguments.json:
        print(json.dumps(results, indent=1))
        return 0
    vectors, cycles = len(pack.vectors), sum(pack.cycles)
    print(f"{arguments.out}: {vectors} vectors, {cycles:,} cycles; now fixedpoint-nn verify {arguments.out}")
    return 0


def shown(chosen: network.Network, plan: Plan, name: str, lanes: int) -> str:
    """The network's program after a pass of the compiler."""
    fixed = quantize(chosen.net, plan)
    shape = zoo.samples(chosen.name, 1).shape[1:]
    return lower(fixed.net, shape, fixed.input.format, lanes).stages.show(name)


def plan_for(chosen: network.Network, bits: int | None, path: Path | None) -> Plan:
    """The plan of a file, or one calibrated on the network's training data."""
    if path is not None:
        return Plan.load(path)
    assert bits is not None
    return calibrate(chosen.net, zoo.samples(chosen.name, CALIBRATION, "train"), word=bits)


def emit_network(
    chosen: network.Network,
    plan: Plan,
    out: Path,
    *,
    vectors: int = 8,
    corners: int = 8,
    lanes: int = 8,
    radix: int = 16,
    mif: bool = False,
    clock_mhz: int = 100,
    say: Callable[[str], None] = say,
) -> tuple[Pack, dict[str, Any]]:
    """The pack, its plan beside it, and what the report needs of both."""
    fixed = quantize(chosen.net, plan)
    inputs = zoo.samples(chosen.name, vectors)
    emit(
        fixed,
        inputs,
        out,
        name=chosen.name,
        lanes=lanes,
        radix=radix,
        mif=mif,
        corner_vectors=corners,
        progress=say,
        weights=chosen.weights,
    )
    plan.save(out / "plan.json")
    pack = load_pack(out)
    say("measuring ledger and latency")
    return pack, {
        **chosen.about(),
        "engine": pack.manifest["engine"],
        "utilisation": pack.manifest.get("utilisation"),
        "cycles": sum(pack.cycles),
        "vectors": len(pack.vectors),
        "layers": [{key: run.get(key) for key in LAYER} for run in pack.manifest["runs"]],
        "images": [
            {"name": entry["kind"], "words": entry["words"], "bits": entry["bits"]}
            for name, entry in pack.manifest["files"].items()
            if name.endswith(".coe")
        ],
        "ledger": ledger_of(fixed, inputs),
        "tables": tables_of(fixed),
        "latency": latency_of(chosen.net, fixed, inputs[:1], pack.cycles[0], clock_mhz),
    }


def ledger_of(fixed: Quantized, inputs: Any) -> list[dict[str, Any]]:
    """What every cast did to these inputs."""
    with OverflowStats() as ledger:
        fixed(inputs)
    return [
        {
            "path": path,
            "values": entry.values,
            "saturated": entry.saturated,
            "wrapped": entry.wrapped,
            "rounded": entry.rounded,
            "headroom_bits": entry.headroom_bits,
            "first": entry.first,
        }
        for path, entry in ledger.items()
    ]


def tables_of(fixed: Quantized) -> list[dict[str, Any]]:
    """Every table with its certificate."""
    tables = [(leaf.path, leaf.value) for leaf in tree.walk(fixed.net) if leaf.kind == TABLE]
    return [
        {
            "path": path,
            "function": table.function,
            "input": str(table.input_format),
            "output": str(table.output.format),
            "entries": len(table.ints),
            **vars(table.certificate()),
        }
        for path, table in tables
        if table is not None
    ]


def latency_of(net: Any, fixed: Quantized, x: Any, cycles: int, clock_mhz: int) -> dict[str, Any]:
    """One sample on the engine at that clock, and on this processor."""
    return {
        "cycles": cycles,
        "clock_mhz": clock_mhz,
        "repeats": REPEATS,
        "milliseconds": {
            f"engine, {clock_mhz} MHz": cycles / clock_mhz / 1000,
            "NumPy, float": _milliseconds(lambda: outputs(net, x)),
            "NumPy, bit-accurate": _milliseconds(lambda: fixed(np.asarray(x))),
        },
    }


def _milliseconds(call: Callable[[], Any]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _again(arguments: argparse.Namespace) -> list[object]:
    given: list[object] = [arguments.network]
    given += ["--word", arguments.word] if arguments.plan is None else ["--plan", arguments.plan]
    given += ["--vectors", arguments.vectors, "--corners", arguments.corners, "--lanes", arguments.lanes]
    given += ["--radix", arguments.radix] if arguments.radix != 16 else []
    given += ["--mif"] if arguments.mif else []
    given += ["--clock-mhz", arguments.clock_mhz] if arguments.clock_mhz != 100 else []
    given += ["--size"] if arguments.size else []
    return [*given, "--out", arguments.out]
