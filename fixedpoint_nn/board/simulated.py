# SPDX-License-Identifier: MIT
"""A board in a simulator, at the other end of a pseudo-terminal: the real chip's Verilog, down to the bits of the line.

`uart_engine_tb.v` asks for a byte every ten bits of simulated time. While nothing goes on the question is left open, so
that a board nobody talks to costs nothing; so simulated time stands still until a byte comes, or a moment has passed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.ports import SerialPort
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.sim import cache
from fixedpoint_nn.hardware.sim.build import SIMULATORS, plain_folder
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool, rtl_folder

BENCH = "uart_engine_tb"
DIVIDER = 4  # clocks per bit
SILENT_BITS = 500  # after which the simulated chip gives up a request
SECONDS = 5.0  # for an answer: simulated time is slow
PATIENCE = 0.02  # seconds for which the question of a board at rest is left open
VERILATOR = (
    *("--cc", "--exe", "--build", "-O3", "+define+CLOCK_PORT", "-MAKEFLAGS", "OPT_FAST=-O2"),
    *("-Wno-fatal", "-Wno-lint", "-Wno-style"),
)


class SimulatedBoard:
    """`path` is the board's serial port, until `close`."""

    def __init__(
        self,
        config: EngineConfig,
        images: Images | None = None,
        simulator: str = "iverilog",
        content: int = 0,
        clock_khz: int = 0,
    ) -> None:
        if not hasattr(os, "openpty"):
            raise BoardError("a simulated board needs a pseudo-terminal, which this system does not have")
        import tty

        self._folder = Path(tempfile.mkdtemp(prefix="fixedpoint_nn-"))
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self.said = ""  # by the simulator, besides the protocol
        values = {**config.verilog(), "DIVIDER": DIVIDER, "TIMEOUT": DIVIDER * SILENT_BITS}
        values |= {"CONTENT": content, "CLOCK_KHZ": clock_khz, "BUILT_IN": int(images is not None)}
        try:
            if images is not None:
                self._write(config, images)
            self._command = compiled(values, simulator)
            self._chip, self._host = os.openpty()
            tty.setraw(self._host)  # kept open: a line that nobody listens to is no error
            self.path = os.ttyname(self._host)
            self._power_up()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def __enter__(self) -> SimulatedBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def power_cycle(self) -> None:
        """Off and on again: the memories hold what is built in, and a request or a run is forgotten."""
        self._power_down()
        self._power_up()

    def close(self) -> None:
        """End the simulation; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._power_down()
            os.close(self._chip)
            os.close(self._host)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, config: EngineConfig, images: Images) -> None:
        """Every image, as long as its memory: what is not given is 0, as in a chip."""
        values = config.verilog()
        depths = {"program": "PROGRAM_DEPTH", "weights": "WEIGHT_DEPTH", "parameters": "PARAMETER_DEPTH"}
        depths |= {"tables": "TABLE_DEPTH"}
        for name, (bits, words) in images.words(config).items():
            rows = values[depths[name]] if name in depths else config.activation_depth // config.lanes
            text = memory_files.write_mem([*words, *[0] * (rows - len(words))], bits)
            (self._folder / f"{name}.mem").write_text(text)

    def _power_up(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._line = threading.Thread(target=self._carry, args=(self._process,), daemon=True)
        self._line.start()

    def _power_down(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._line.join()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _carry(self, process: subprocess.Popen[bytes]) -> None:
        """Bytes between the pseudo-terminal and the bench, as its header tells."""
        assert process.stdin is not None and process.stdout is not None
        questions, answers = process.stdout.fileno(), process.stdin.fileno()
        waiting, text, said = b"", b"", b""
        with contextlib.suppress(OSError):
            while chunk := os.read(questions, 4096):
                text += chunk
                while text:
                    mark, text = text[:1], text[1:]
                    if mark == b"=":
                        while len(text) < 2:
                            text += os.read(questions, 4096) or b"--"
                        os.write(self._chip, bytes([int(text[:2], 16)]))
                        text = text[2:]
                    elif mark in b"-b":
                        if (
                            not waiting
                            and select.select([self._chip], [], [], PATIENCE if mark == b"-" else 0)[0]
                        ):
                            waiting = os.read(self._chip, 4096)
                        os.write(answers, b"%02x" % waiting[0] if waiting else b"--")
                        waiting = waiting[1:]
                    else:
                        said = (said + mark)[-2000:]
                        self.said = said.decode(errors="replace")


class SimulatedPort(SerialPort):
    """The serial port of a board that is simulated as long as the port is open."""

    def __init__(self, board: SimulatedBoard) -> None:
        self.board = board
        super().__init__(board.path)
        self.name = "the simulated board"

    def close(self) -> None:
        super().close()
        self.board.close()


def compiled(values: dict[str, int], simulator: str) -> list[str]:
    """The command that simulates a board with these parameters, compiled unless it is in the cache."""
    if simulator not in SIMULATORS:
        raise ToolError(f"There is no simulator {simulator!r}; use {' or '.join(map(repr, SIMULATORS))}.")
    rtl, tool = rtl_folder(), find_tool(simulator)
    sources = sorted(
        [*rtl.glob("*.v"), *rtl.glob("*.vh"), *(rtl / "board").glob("*.v"), *(rtl / "board" / "tb").glob("*")]
    )
    content = hashlib.sha256(
        repr((BENCH, values, simulator, tool.version, str(tool.path), VERILATOR)).encode()
    )
    for source in sources:
        content.update(source.name.encode() + source.read_bytes())
    key = content.hexdigest()[:32]
    program = cache.cached(key) or _built(key, values, simulator, str(tool.path), sources)
    return [str(find_tool("vvp").path), "-n", str(program)] if simulator == "iverilog" else [str(program)]


def _built(key: str, values: dict[str, int], simulator: str, tool: str, sources: list[Path]) -> Path:
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=plain_folder()) as name:
        work = Path(name)
        for source in sources:
            shutil.copy(source, work)
        files = sorted(source.name for source in sources if source.suffix == ".v")
        if simulator == "iverilog":
            command = [tool, "-g2005", "-I.", "-s", BENCH, "-o", cache.PROGRAM]
            command += [f"-P{BENCH}.{name}={value}" for name, value in values.items()] + files
        else:
            command = [
                tool,
                *VERILATOR,
                "-I.",
                "--top-module",
                BENCH,
                "--Mdir",
                "obj",
                "-o",
                f"../{cache.PROGRAM}",
            ]
            command += [f"-G{name}={value}" for name, value in values.items()] + [*files, f"{BENCH}.cpp"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode or not (work / cache.PROGRAM).exists():
            last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-1:]
            raise ToolError(f"{simulator} could not compile the board: {''.join(last) or 'it said nothing'}")
        scratch = cache.new_folder()
        try:
            shutil.copy2(work / cache.PROGRAM, scratch / cache.PROGRAM)
            return cache.keep(key, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
