# SPDX-License-Identifier: MIT
"""What is written from the register map is current, and each of it says the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixedpoint_nn.board.axi.register_files import FILES, ROOT
from fixedpoint_nn.board.axi.register_map import read_map
from fixedpoint_nn.board.axi.registers import AxiAddress

pytest.importorskip("systemrdl", reason="the register map needs the extra `axi`")
RTL = ROOT / "reference_rtl"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_follows_from_the_map_is_current(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == FILES[name]()


def test_every_register_has_32_bits_at_most_and_an_address_of_its_own() -> None:
    registers = read_map()
    addresses = [register.address for register in registers]
    assert addresses == sorted(set(addresses)) and all(address % 4 == 0 for address in addresses)
    assert all(field.low + field.bits <= 32 for register in registers for field in register.fields)


def test_the_names_in_python_and_in_ip_xact_are_those_of_the_map() -> None:
    wanted = {register.name: register.address for register in read_map()}
    assert {register.name: int(register) for register in AxiAddress} == wanted
    tree = ElementTree.parse(RTL / "axi_engine.xml")
    space = {"x": "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"}
    found = {
        node.findtext("x:name", "", space): int(node.findtext("x:addressOffset", "", space)[2:], 16)
        for node in tree.iterfind(".//x:register", space)
    }
    assert found == wanted


def test_the_verilog_names_every_register_of_the_map_and_no_address() -> None:
    text = (RTL / "axi_engine.v").read_text()
    code = re.sub(r"//.*", "", text)
    readable = {register.name for register in read_map() if register.readable}
    writable = {register.name for register in read_map() if register.writable}
    assert set(re.findall(r"`AXI_(\w+): read_data|`AXI_(WORD_DATA): begin", code)) == {
        (name, "") if name != "WORD_DATA" else ("", name) for name in readable
    }
    cases = code[code.index("case (write_address)") :]
    assert set(re.findall(r"`AXI_(\w+)[,:]", cases[: cases.index("default")])) == writable
    assert re.findall(r"8'h[0-9A-Fa-f]+", code) == []


def test_the_c_header_compiles_and_has_the_addresses(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    lines = [
        f"static_assert(offsetof(axi_engine_t, {register.name}) == {int(register)}, {'moved'!r});".replace(
            "'", '"'
        )
        for register in AxiAddress
    ]
    source = tmp_path / "addresses.c"
    source.write_text('#include <stddef.h>\n#include "fpnn_axi_registers.h"\n' + "\n".join(lines) + "\n")
    folder = ROOT / "fixedpoint_nn" / "board" / "axi"
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", f"-I{folder}", str(source)],
        cwd=tmp_path,
        check=True,
    )
