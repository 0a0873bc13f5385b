# SPDX-License-Identifier: MIT
"""From a pack to a bitstream: fit check, design files, synthesis, place and route, packing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixedpoint_nn.board import boards, fit
from fixedpoint_nn.board.boards import Board
from fixedpoint_nn.board.design import Design, build_script, commands, vivado_script, write_design
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.tools import find
from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.pack.resident import demand_resident
from fixedpoint_nn.hardware.sim.processes import Processes
from fixedpoint_nn.hardware.verify.readback_program import readback_program

STAGES = ("synthesis", "placing and routing", "packing")
RESULTS, PAGE = "board.json", "board.md"


@dataclass(frozen=True)
class Built:
    """The result of a build: resources by the placer, the achieved clock, and the path of the bitstream."""

    network: str
    board: str
    part: str
    resources: dict[str, tuple[int, int]]  # used, available
    clock_mhz: float  # of the board
    reached_mhz: float
    seconds: dict[str, float]
    bitstream: str
    bytes: int
    content: int
    loaded_over_the_wire: tuple[str, ...]
    engine: dict[str, int]

    @property
    def meets_the_clock(self) -> bool:
        """Whether place and route achieved the board's clock."""
        return self.reached_mhz >= self.clock_mhz

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {**asdict(self), "meets_the_clock": self.meets_the_clock}


def fitting_config(pack: Pack, board: Board) -> EngineConfig:
    """The pack's engine, with room for its readback if the chip allows; raises if the engine does not fit."""
    demand_resident(pack.config, "An engine on a board")
    roomy = readback_program(pack.config, pack.images).config
    for config in (roomy, pack.config):
        if not fit.misfit(config, board):
            return config
    others = {name: boards.find_board(name) for name in boards.names()}
    raise BoardError(
        f"{pack.name} takes {fit.misfit(pack.config, board)}; {fit.smallest_change(pack.config, board, others)}"
    )


def prepare(pack: Pack, board: Board, folder: Path) -> Design:
    """Check the fit, and write the design's files and its build script."""
    config = fitting_config(pack, board)
    folder.mkdir(parents=True, exist_ok=True)
    design = write_design(pack, config, board, folder)
    if board.chip.synth:
        script = folder / "build.sh"
        script.write_text(build_script(board, design.sources))
        script.chmod(0o755)
    else:
        (folder / "build.tcl").write_text(vivado_script(board, design))
    return design


def build_bitstream(
    pack: Pack, board: Board, folder: Path, progress: Callable[[str], None] = lambda line: None
) -> Built:
    """Build the bitstream in `folder`, with a summary as Markdown and JSON beside it."""
    design = prepare(pack, board, folder)
    seconds = {}
    for stage, (tool, arguments) in zip(STAGES, commands(board, design.sources), strict=True):
        command = [*find(tool), *arguments]
        progress(f"{pack.name} for {board.name}: {stage} ({Path(command[0]).name})")
        begin = time.monotonic()
        _call(command, folder, stage)
        seconds[stage] = round(time.monotonic() - begin, 1)
        progress(f"{pack.name} for {board.name}: {stage} took {seconds[stage]:.0f} s")
    report = json.loads((folder / "report.json").read_text())
    bitstream = folder / f"top{board.chip.bitstream}"
    used = {
        name: (entry["used"], entry["available"])
        for name, entry in report["utilization"].items()
        if entry["used"]
    }
    built = Built(
        network=pack.name,
        board=board.name,
        part=board.part,
        resources=used,
        clock_mhz=board.mhz,
        reached_mhz=round(min(entry["achieved"] for entry in report["fmax"].values()), 2),
        seconds=seconds,
        bitstream=str(bitstream),
        bytes=bitstream.stat().st_size,
        content=design.content,
        loaded_over_the_wire=design.empty,
        engine=asdict(design.config),
    )
    write_whole(folder / RESULTS, json.dumps(built.as_json(), indent=1) + "\n")
    write_whole(folder / PAGE, build_summary(built, board))
    return built


def _call(command: list[str], folder: Path, stage: str) -> None:
    """Run one tool and keep its log; raises with the tool's first error message."""
    log = folder / f"{stage.replace(' ', '-')}.log"
    text, status = Processes().execute(command, folder)
    write_whole(log, text)
    if status:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["it said nothing"]
        raise BoardError(f"{stage} failed: {errors[0]} ({log} has the whole story)")


def build_summary(built: Built, board: Board) -> str:
    """The summary of a build, as Markdown."""
    verdict = (
        "which is met"
        if built.meets_the_clock
        else "which is NOT met: give a file of this board a larger `divide`"
    )
    lines = [
        f"# {built.network} on {board.title}",
        "",
        f"The clock is {built.clock_mhz:g} MHz, {verdict}: placing and routing reached {built.reached_mhz:g} MHz.",
        f"The bitstream is `{built.bitstream}` ({built.bytes:,} bytes); `{board.write}` writes it into the board.",
        "",
    ]
    if built.loaded_over_the_wire:
        memories = " and ".join(built.loaded_over_the_wire)
        lines += [
            f"The {memories} cannot be part of the bitstream: `fixedpoint-nn board load` brings them.",
            "",
        ]
    lines += ["| resource | used | of |", "|---|---|---|"]
    lines += [f"| {name} | {used} | {available} |" for name, (used, available) in built.resources.items()]
    lines += ["", "| stage | seconds |", "|---|---|"]
    lines += [f"| {stage} | {seconds:g} |" for stage, seconds in built.seconds.items()]
    lines += ["", "| parameter of the engine | value |", "|---|---|"]
    lines += [f"| `{name.upper()}` | {value} |" for name, value in built.engine.items()]
    return "\n".join(lines) + "\n"
