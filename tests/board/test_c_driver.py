# SPDX-License-Identifier: MIT
"""The driver in C, compiled and run against the simulated board."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fixedpoint_nn.board.simulated import SimulatedBoard
from fixedpoint_nn.hardware.pack.reader import Pack
from tests.board.conftest import GOLDEN

HEADER = Path(__file__).resolve().parents[2] / "fixedpoint_nn" / "board" / "fpnn.h"
PROGRAM = r"""
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include "fpnn.h"

static fpnn_engine engine;

static int stop(const char *where)
{
    printf("%s: %s\n", where, engine.error);
    return 1;
}

int main(int count, char **arguments)
{
    fpnn_status status;
    int32_t words[8] = { -256, 255, 0, -1 }, read[8];
    size_t first = 99;
    char path[500];
    const char *images[] = { "program", "weights", "parameters" };
    if (fpnn_open(&engine, arguments[1], 1000000)) return stop("open");
    engine.seconds = 60.0;
    printf("%d lanes, %u kHz, %08x\n", engine.lanes, engine.clock_khz, engine.content);
    if (count == 2) return 0;
    for (int memory = 0; memory < 3; memory++) {
        snprintf(path, sizeof path, "%s/%s.mem", arguments[2], images[memory]);
        if (fpnn_load(&engine, memory, path)) return stop("load");
    }
    if (fpnn_write(&engine, 500, words, 4) || fpnn_compare(&engine, 500, words, 4, &first)) return stop("compare");
    words[2] = 7;
    printf("%d different", fpnn_compare(&engine, 500, words, 4, &first));
    printf(", first at %zu\n", first);
    if (!fpnn_read(&engine, 519, read, 2)) return stop("a word too many was read");
    printf("%s\n", engine.error);
    for (int vector = 3; vector + 1 < count; vector += 2) {
        int32_t input[2] = { atoi(arguments[vector]), atoi(arguments[vector + 1]) }, output;
        /* Half of a request, as of a program that was stopped; the next call works. */
        if (vector == 5 && write(engine.file, "\xA5\x01\x06", 3) == 3) engine.disturbed = 1;
        if (fpnn_write(&engine, 24, input, 2) || fpnn_start(&engine, 1)) return stop("start");
        if (fpnn_wait(&engine, 60.0, &status) || fpnn_read(&engine, 0, &output, 1)) return stop("wait");
        printf("%d after %u cycles\n", output, status.cycles);
    }
    if (fpnn_load(&engine, FPNN_TABLES, path) == 0) return stop("an image that is too long was loaded");
    printf("%s\n", strrchr(engine.error, '/') + 1);
    if (fpnn_reset(&engine) || fpnn_read_status(&engine, &status) || status.done) return stop("reset");
    fpnn_close(&engine);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("c")
    (folder / "main.c").write_text(PROGRAM)
    command = [
        "cc",
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        f"-I{HEADER.parent}",
        "-o",
        "main",
        "main.c",
    ]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "main"


def test_the_driver_in_c_loads_runs_reads_and_finds_its_way_back(
    program: Path, board: SimulatedBoard, moons: Pack
) -> None:
    vectors = [str(word) for vector in moons.vectors[:3] for word in vector]
    command = [str(program), board.path, str(GOLDEN / "moons" / "images"), *vectors]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [
        "8 lanes, 25000 kHz, 12345678",
        "1 different, first at 2",
        "words up to 521 are asked for and the memory holds 520",
        *(f"{words[0]} after 142 cycles" for words in moons.expected[:3]),
        "parameters.mem: the engine on the board is built with less",
    ]
    assert done.returncode == 0


def test_a_port_that_is_none_is_named(program: Path, tmp_path: Path) -> None:
    done = subprocess.run([str(program), str(tmp_path / "none")], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == (f"open: {tmp_path}/none: No such file or directory\n", 1)
