# SPDX-License-Identifier: MIT
"""What `export` writes works: it is linted, simulated, driven and compiled, by the tools that it is written for."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

from fixedpoint_nn.board import BoardError
from fixedpoint_nn.board.export import Exported, export
from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware.pack.reader import load_pack
from tests.board.conftest import GOLDEN

HERE = Path(__file__).resolve().parent
MOONS = GOLDEN / "moons"
C_COMPILER = ("cc", "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c")
FUSESOC = "using FuseSoC needs the extra `axi`"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(load_pack(MOONS), tmp_path_factory.mktemp("export") / "moons")


def run(folder: Path, *command: object, seconds: float = 200) -> str:
    """What a program printed; it must succeed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_every_file_that_the_readme_names_is_there(exported: Exported) -> None:
    text = (exported.folder / "README.md").read_text()
    table = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)[1:]
    names = [name for cell in table for name in re.findall(r"`([\w./]+)`", cell)]
    assert len(names) >= 10
    assert [name for name in names if not (exported.folder / name).exists()] == []


def test_no_path_leads_out_of_the_folder(exported: Exported) -> None:
    for path in exported.folder.rglob("*"):
        if path.is_file() and path.suffix not in (".mem", ".coe"):
            assert str(exported.folder.parent) not in path.read_text(), path
            assert "«" not in path.read_text(), path


@pytest.mark.parametrize(("target", "says"), [("lint", ""), ("sim", "PASS: 32 vectors, 32 words")])
def test_fusesoc_runs_the_targets(exported: Exported, target: str, says: str, tmp_path: Path) -> None:
    pytest.importorskip("fusesoc", reason=FUSESOC)
    fusesoc = Path(sys.executable).parent / "fusesoc"
    command = (fusesoc, "--cores-root", exported.folder, "run", f"--target={target}", exported.vlnv)
    text = run(tmp_path, *command)
    assert says in text and "Warning" not in text


def test_lint_finds_a_mistake_in_the_top(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("fusesoc", reason=FUSESOC)
    copy = shutil.copytree(exported.folder, tmp_path / "moons")
    top = (copy / "top.v").read_text()
    (copy / "top.v").write_text(top.replace("wire [31:0] s_axil_rdata", "wire [30:0] s_axil_rdata"))
    fusesoc = Path(sys.executable).parent / "fusesoc"
    command = [str(fusesoc), "--cores-root", str(copy), "run", "--target=lint", exported.vlnv]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode != 0 and "s_axil_rdata" in done.stdout + done.stderr


def test_its_bench_with_cocotb_passes_and_notices_another_image(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("cocotbext.axi", reason="driving AXI needs the extra `axi`")
    copy = shutil.copytree(exported.folder, tmp_path / "moons")
    assert "PASS=1 FAIL=0" in run(copy, sys.executable, "test/run.py")
    image = copy / "pack" / "images" / "weights.mem"
    image.write_text(image.read_text().replace("0", "1"))
    done = subprocess.run([sys.executable, "test/run.py"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 1 and "PASS=0 FAIL=1" in done.stdout + done.stderr


def drive_in_c(exported: Exported, folder: Path, top: str, flags: str, *sources: Path) -> str:
    """What the example in C prints with a design in Verilator as its chip."""
    rtl, driver = exported.folder / "rtl", exported.folder / "driver"
    (folder / "simulated.c").write_text(
        "#include <stdint.h>\n"
        "extern uint32_t registers_read(uint32_t offset);\n"
        "extern void registers_write(uint32_t offset, uint32_t value);\n"
        "#define FPNN_AXI_READ(engine, offset) ((void)(engine), registers_read(offset))\n"
        "#define FPNN_AXI_WRITE(engine, offset, value) ((void)(engine), registers_write(offset, value))\n"
        "#define registers_at(text) (volatile void *)(text)\n"
        "int driver(int count, char **arguments);\n"
        "#define main driver\n"
        '#include "main.c"\n'
    )
    run(folder, *C_COMPILER, f"-I{driver}", "-o", "driver.o", "simulated.c")
    build = (
        "verilator",
        "--cc",
        "--exe",
        "--build",
        "-Wno-fatal",
        "-CFLAGS",
        f"-O0 {flags}",
        "--prefix",
        "Vtop",
    )
    verilog = (*sources, *sorted(rtl.glob("*.v")), exported.folder / "top.v")
    files = (*verilog, HERE / "registers.cpp", folder / "driver.o")
    run(folder, *build, f"-I{rtl}", "--top-module", top, "-Mdir", "obj", "-o", "main", *files)
    # The images stand where the design finds them: in pack/ of the present folder, or by their whole path.
    return run(exported.folder, folder / "obj" / "main", "0")


@pytest.mark.slow
def test_the_driver_in_c_runs_its_example_on_the_top(exported: Exported, tmp_path: Path) -> None:
    plain = (*C_COMPILER, "-D_DEFAULT_SOURCE", "-o", "plain.o", exported.folder / "driver" / "main.c")
    run(tmp_path, *plain)  # as for a chip
    text = drive_in_c(exported, tmp_path, exported.top, "-DBASE=0")
    assert text == "PASS: 4 vectors, 4 words\n"


def simulate(
    exported: Exported, folder: Path, top: str, module: str, sources: list[Path], **how: object
) -> None:
    """Run a module of cocotb's tests in Icarus; all of them must pass."""
    runner = pytest.importorskip("cocotb_tools.runner", reason="driving AXI needs the extra `axi`")
    simulator = runner.get_runner("icarus")
    rtl = exported.folder / "rtl"
    simulator.build(
        sources=[*sources, *sorted(rtl.glob("*.v")), exported.folder / "top.v"],
        includes=[rtl],
        hdl_toplevel=top,
        parameters=how,
        build_dir=folder,
        build_args=["-g2012"],
        timescale=("1ns", "1ps"),
        log_file=folder / "build.log",
    )
    results = simulator.test(
        hdl_toplevel=top,
        test_module=module,
        build_dir=folder,
        test_dir=HERE,
        results_xml=str(folder / "results.xml"),
        extra_env={"PACK": str(MOONS), "SOC": str(folder)},
        log_file=folder / "test.log",
    )
    assert runner.get_results(results) == (1, 0)


def test_it_runs_by_itself_and_answers_the_secure(exported: Exported, tmp_path: Path) -> None:
    runner = pytest.importorskip("cocotb_tools.runner", reason="driving AXI needs the extra `axi`")
    simulator = runner.get_runner("icarus")
    rtl = exported.folder / "rtl"
    images = f'"{exported.folder}/pack/images/"'
    simulator.build(
        sources=[*sorted(rtl.glob("*.v")), exported.folder / "top.v"],
        includes=[rtl],
        hdl_toplevel=exported.top,
        parameters={"IMAGES": images, "AUTOSTART": 15, "SECURE_ONLY": 1},
        build_dir=tmp_path,
        build_args=["-g2005"],
        timescale=("1ns", "1ps"),
        log_file=tmp_path / "build.log",
    )
    results = simulator.test(
        hdl_toplevel=exported.top,
        test_module="drive_top",
        build_dir=tmp_path,
        test_dir=HERE,
        results_xml=str(tmp_path / "results.xml"),
        extra_env={"PACK": str(MOONS)},
        log_file=tmp_path / "test.log",
    )
    assert runner.get_results(results) == (1, 0)


@pytest.mark.slow
def test_a_soc_of_litex_has_it_on_its_bus(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("litex", reason="a SoC of LiteX needs the extra `axi`")
    run(exported.folder, sys.executable, "litex_soc.py", tmp_path)
    regions = (tmp_path / "csr.csv").read_text()
    (base,) = re.findall(r"^memory_region,network,(0x\w+),256,io$", regions, re.MULTILINE)
    text = drive_in_c(exported, tmp_path, "soc", f"-DSOC -DBASE={base}", tmp_path / "soc.v")
    assert text == "PASS: 4 vectors, 4 words\n"


@pytest.mark.slow
def test_remote_access_of_litex_drives_it_over_a_serial_line(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("litex", reason="a SoC of LiteX needs the extra `axi`")
    run(exported.folder, sys.executable, "litex_soc.py", tmp_path, "--serial")
    command = [sys.executable, "litex_remote.py", str(tmp_path / "csr.csv")]
    soc = SerialSoc(exported, tmp_path)
    with soc as port:
        assert run(exported.folder, *command, port).startswith("PASS: 32 vectors")
    image = exported.folder / "pack" / "images" / "weights.mem"
    words = image.read_text()
    image.write_text(words.replace("0", "1"))  # for the chip, which reads it when it starts
    with soc as port:
        image.write_text(words)
        done = subprocess.run([*command, str(port)], cwd=exported.folder, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.startswith("FAIL"), done.stderr


class SerialSoc:
    """The port of LiteX's server, at the other end of the serial line of a SoC in Verilator."""

    def __init__(self, exported: Exported, folder: Path) -> None:
        self.folder = exported.folder
        rtl, kept = exported.folder / "rtl", ExitStack()
        build = ("verilator", "--cc", "--exe", "--build", "-Wno-fatal", "-CFLAGS", "-O1 -DDIVIDER=8")
        files = (
            folder / "soc.v",
            *sorted(rtl.glob("*.v")),
            exported.folder / "top.v",
            HERE / "serial_line.cpp",
        )
        options = ("--prefix", "Vtop", f"-I{rtl}", "--top-module", "soc", "-Mdir", "line", "-o", "main")
        run(folder, *build, *options, *files)
        self.program, self.kept = folder / "line" / "main", kept

    def __enter__(self) -> int:
        pipe = subprocess.PIPE
        soc = subprocess.Popen([self.program], cwd=self.folder, stdin=pipe, stdout=pipe, text=True)
        self.kept.callback(soc.wait)
        self.kept.callback(soc.stdin.close)
        terminal = soc.stdout.readline().strip()
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        server = [Path(sys.executable).parent / "litex_server", "--uart", "--uart-port", terminal]
        served = subprocess.Popen([*server, "--bind-port", str(port)], stdout=subprocess.DEVNULL)
        self.kept.callback(served.wait)
        self.kept.callback(served.terminate)
        for _ in range(200):
            with socket.socket() as trial:
                if not trial.connect_ex(("localhost", port)):
                    return port
            time.sleep(0.1)
        raise AssertionError("litex_server does not answer")

    def __exit__(self, *error: object) -> None:
        self.kept.close()


def test_the_script_for_vivado_names_files_that_are_there(exported: Exported) -> None:
    script = (exported.folder / "package_ip.tcl").read_text()
    named = set(re.findall(r"\$here/([\w./]+\.vh?)\b", script))
    assert {Path(name).suffix for name in named} == {
        ".v",
        ".vh",
    } and "[glob $here/pack/images/*.mem]" in script
    assert all((exported.folder / name).exists() for name in named)
    assert all(script.count(one) == script.count(other) for one, other in ("{}", "[]"))
    if find_spec("_tkinter") is not None:  # Python's own Tcl reads it as Vivado would
        _read_by_tcl(exported, script)


def _read_by_tcl(exported: Exported, script: str) -> None:
    import tkinter

    tcl, added = tkinter.Tcl(), []

    def command(name: str) -> None:
        def called(*words: str) -> str:
            if name == "add_files":
                added.extend(tcl.splitlist(words[-1]))
            return "object"

        tcl.createcommand(name, called)

    tcl.eval("namespace eval ipx {}")
    for name in set(re.findall(r"(?:^ *|\[)((?:ipx::)?[a-z_]+)\b", script, re.MULTILINE)):
        if not tcl.eval(f"info commands {name}"):
            command(name)
    tcl.eval(script.replace("[info script]", f"{exported.folder}/package_ip.tcl"))
    assert {Path(name).suffix for name in added} == {".v", ".vh", ".mem"}
    assert all(Path(name).exists() for name in added)


def test_the_command_writes_it_and_writes_it_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "ip"
    assert main(["export", str(MOONS), "--out", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(
        f"moons is in {folder} as the module moons_top; README.md there"
    )
    assert main(["export", str(GOLDEN / "bigram"), "--out", str(folder)]) == 0
    assert "module bigram_top" in (folder / "top.v").read_text()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    sentence = (
        f"{tmp_path} holds other files than an export; choose a new folder, or one of an earlier export"
    )
    with pytest.raises(BoardError, match=f"^{re.escape(sentence)}$"):
        export(load_pack(MOONS), tmp_path)
    assert (tmp_path / "thesis.tex").exists()
