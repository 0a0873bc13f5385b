# SPDX-License-Identifier: MIT
"""The demonstration in a real browser: drawn on, clicked, looked at; and its server, asked what no page would ask."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from fixedpoint_nn.board import BoardError
from fixedpoint_nn.board.demo import DemoModel, DemoServer, Show
from fixedpoint_nn.board.driver import BoardOutcome, Driver, EngineStatus
from fixedpoint_nn.board.identity import Identity
from fixedpoint_nn.board.opening import open_engine
from fixedpoint_nn.cli import board_demo, main
from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from tests.board.conftest import GOLDEN
from tests.support.devtools import Browser

READY = "document.body.dataset.state == 'ready'"


class Twin(Driver):
    """An engine that is the emulator; with `wrong` it adds 1 to its first word."""

    name = "the emulator"

    def __init__(self, pack: Pack) -> None:
        self.identity = Identity(pack.config, 25000, 0)
        self.emulator, self.wrong, self.broken = Emulator(pack.config, pack.images), False, False

    def run(
        self, pack: Pack, inputs: ArrayLike, seed: int | None = None, seconds: float = 60.0
    ) -> BoardOutcome:
        if self.broken:
            raise BoardError("the line to <b>/dev/ttyUSB0</b> broke off; plug the cable in and call again")
        for address, word in zip(pack.input.addresses().tolist(), np.ravel(inputs), strict=True):
            self.emulator.write(address, np.array([word]))
        result = self.emulator.run(seed=pack.seed if seed is None else seed)
        words = self.emulator.memory[pack.output.addresses()].copy()
        words[0] += self.wrong
        return BoardOutcome(words, EngineStatus(False, True, False, result.cycles, 0, 0, 0))

    def status(self) -> EngineStatus:
        raise NotImplementedError

    def reset(self) -> None:
        raise NotImplementedError

    def start(self, seed: int = 1) -> None:
        raise NotImplementedError

    def write(self, address: int, ints: ArrayLike) -> None:
        raise NotImplementedError

    def read(self, address: int, count: int) -> Any:
        raise NotImplementedError

    def load_words(self, memory: str, address: int, words: Any) -> None:
        raise NotImplementedError


def served(show: Show) -> Iterator[DemoServer]:
    with DemoServer(show) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def show_of(name: str) -> Show:
    pack = load_pack(GOLDEN / name)
    model, labels = board_demo.model_of(pack, board_demo.TEMPERATURE), board_demo.labels_of(pack)
    return Show(Twin(pack), pack, model, labels, "its twin", 60.0)


@pytest.fixture(scope="module")
def digits() -> Iterator[DemoServer]:
    yield from served(show_of("mnist_rnn"))


@pytest.fixture(scope="module")
def writer() -> Iterator[DemoServer]:
    yield from served(show_of("names_writer"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def seven(browser: Browser) -> None:
    """Draw one: a line to the right, and one down."""
    x, y, size = browser.evaluate(
        "(box => [box.x, box.y, box.width])(document.getElementById('canvas').getBoundingClientRect())"
    )
    across = [(x + size * (0.25 + 0.025 * n), y + size * 0.25) for n in range(21)]
    down = [(x + size * (0.75 - 0.0175 * n), y + size * (0.25 + 0.0275 * n)) for n in range(21)]
    browser.drag(*across, *down)


def test_a_digit_is_drawn_and_read_by_the_engine_and_the_model(digits: DemoServer, browser: Browser) -> None:
    browser.look(390, 800)
    browser.open(digits.url)
    browser.until(READY)
    seven(browser)
    browser.until("document.body.dataset.answers == '1'")
    text = browser.evaluate("document.body.innerText")
    assert re.search(r"Answer\s+7\s", text)
    assert re.search(r"The model says\s+7\s", text) and "equal in every bit" in text
    assert "70,944" in text and "At the board's 25 MHz" in text and "2.84 ms" in text
    assert browser.evaluate("document.querySelector('.best').innerText").split() == ["7", "10.625"]
    browser.click("clear")
    browser.click("example")
    browser.until("document.body.dataset.answers == '2'")
    expected = digits.show.pack.expected[0]
    assert browser.evaluate("document.getElementById('answer').textContent") == str(int(np.argmax(expected)))
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_fits_and_can_be_read(digits: DemoServer, browser: Browser, width: int, dark: bool) -> None:
    browser.look(width, 900, dark)
    browser.open(digits.url)
    browser.until(READY)
    browser.click("example")
    browser.until("document.body.dataset.answers == '1'")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    contrast = """(() => {
        const light = (text) => {
            const [r, g, b] = text.match(/[0-9.]+/g).map((part) => part / 255)
                .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (node) => {
            for (; node; node = node.parentElement) {
                const colour = getComputedStyle(node).backgroundColor;
                if (!colour.endsWith(", 0)")) return colour;
            }
        };
        return Math.min(...[...document.querySelectorAll("h1, h2, p, th, td, button, li span")].filter(
            (node) => node.offsetParent && node.textContent.trim()).map((node) => {
                const pair = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b);
                return (pair[1] + 0.05) / (pair[0] + 0.05);
            }));
    })()"""
    assert browser.evaluate(contrast) >= 4.5
    assert len(browser.picture()) > 5000
    assert browser.complaints() == []


def test_names_are_written_letter_by_letter(writer: DemoServer, browser: Browser) -> None:
    browser.look(390, 800)
    browser.open(writer.url)
    browser.until(READY)
    browser.click("write")
    first = browser.until("document.getElementById('written').textContent")
    browser.until("document.body.dataset.answers == '1'")
    text = browser.evaluate("document.getElementById('written').textContent")
    pack, symbols = writer.show.pack, writer.show.labels
    names = "".join(symbols[word] for word in pack.expected[0]).split(symbols[0])
    assert text.split("\n") == [name for name in names if name]
    assert len(first) < len(text) and text.startswith(first)
    page = browser.evaluate("document.body.innerText")
    assert "equal in every bit" in page and f"{pack.cycles[0]:,}" in page


def test_a_wrong_word_and_a_broken_line_are_shown_as_text(digits: DemoServer, browser: Browser) -> None:
    twin = digits.show.engine
    assert isinstance(twin, Twin)
    browser.open(digits.url)
    browser.until(READY)
    twin.wrong = True
    try:
        browser.click("example")
        browser.until("document.body.dataset.answers == '1'")
    finally:
        twin.wrong = False
    assert browser.evaluate("document.getElementById('equal').textContent") == "DIFFERENT"
    twin.broken = True
    try:
        browser.click("example")
        told = browser.until(
            "!document.getElementById('error').hidden && document.getElementById('error').textContent"
        )
    finally:
        twin.broken = False
    assert told == "the line to <b>/dev/ttyUSB0</b> broke off; plug the cable in and call again"
    assert browser.evaluate("document.querySelector('#error b')") is None


def asked(
    server: DemoServer, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and content of an answer; as the page itself asks unless told otherwise."""
    name, port = server.server_address[0], server.server_address[1]
    connection = http.client.HTTPConnection(str(name), port, timeout=60)
    given = {
        "Host": f"127.0.0.1:{port}",
        "Origin": f"http://127.0.0.1:{port}",
        "Content-Type": "application/json",
    }
    given |= {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request(method, path, body, given)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


GREY = json.dumps({"grey": [0] * 784})
QUESTIONS = [
    ("GET", "/", "", {"Host": "evil.example"}, 403, "this page is at http://127.0.0.1:PORT/"),
    ("POST", "/picture", GREY, {"Origin": "http://evil.example"}, 403, "only this page may ask"),
    ("POST", "/picture", GREY, {"Content_Type": "text/plain"}, 415, "send JSON"),
    ("POST", "/picture", "x" * 20000, {}, 413, "send 16384 bytes at most"),
    ("POST", "/picture", "{", {}, 400, "that is no JSON"),
    ("POST", "/picture", '{"gray": []}', {}, 400, "send {'grey': ...} and nothing else"),
    ("POST", "/picture", '{"grey": [1, 2]}', {}, 400, "a drawing has 784 grey values"),
    (
        "POST",
        "/picture",
        GREY.replace("[0,", "[1.5,"),
        {},
        400,
        "a grey value is a whole number from 0 to 255",
    ),
    (
        "POST",
        "/picture",
        GREY.replace("[0,", "[true,"),
        {},
        400,
        "a grey value is a whole number from 0 to 255",
    ),
    ("POST", "/example", '{"number": -1}', {}, 400, "give a whole number from 0 to 15"),
    ("POST", "/text", '{"number": 1}', {}, 404, "there is no such question"),
    ("GET", "/../server.py", "", {}, 404, "there is no such page"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "sentence"), QUESTIONS)
def test_what_no_page_would_ask_is_refused(
    digits: DemoServer, method: str, path: str, body: str, headers: dict[str, str], status: int, sentence: str
) -> None:
    found, _, content = asked(digits, method, path, body, **headers)
    wanted = sentence.replace("PORT", str(digits.server_address[1]))
    assert (found, json.loads(content)["error"]) == (status, wanted)


def test_the_policy_lets_nothing_in_and_the_page_needs_nothing(digits: DemoServer) -> None:
    for path in ("/", "/page.css", "/page.js", "/icon.svg", "/about"):
        status, headers, content = asked(digits, "GET", path)
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", content) == [], path
        assert "innerHTML" not in content


def test_a_pack_that_neither_reads_pictures_nor_writes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "demo", str(GOLDEN / "moons"), "--port", "sim"]) == 1
    assert capsys.readouterr().err == (
        "fixedpoint-nn: moons reads 2 words, and the demonstration needs a network that reads pictures of 28 x 28 or "
        "one that writes; try golden_vectors/mnist_rnn or golden_vectors/names_writer\n"
    )


def test_without_its_plan_the_model_is_the_engines_twin(tmp_path: Path) -> None:
    pack = load_pack(GOLDEN / "mnist_rnn")
    bare = Pack(
        tmp_path,
        pack.manifest,
        pack.config,
        pack.images,
        pack.input,
        pack.output,
        pack.vectors,
        pack.expected,
    )
    model: DemoModel = board_demo.model_of(bare, 0.0)
    assert model.title == "the engine's twin in Python, clock by clock"
    assert np.array_equal(model.run(pack.vectors[1], pack.seed), pack.expected[1])


def test_the_command_serves_its_page_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "fixedpoint_nn", "board", "demo", str(GOLDEN / "mnist_rnn")]
    process = subprocess.Popen(
        [*command, "--port", "sim", "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.fullmatch(
            r"mnist_rnn is at http://127\.0\.0\.1:(\d+)/; Ctrl-C ends it\n", process.stdout.readline()
        )
        assert found is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        connection.request("GET", "/about")
        about = json.loads(connection.getresponse().read())
        connection.close()
        assert about["network"] == "mnist_rnn" and about["place"] == "a simulated board (iverilog)"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_simulated_board_reads_a_drawing(browser: Browser) -> None:
    pack = load_pack(GOLDEN / "mnist_rnn")
    with open_engine("sim", pack, "verilator") as engine:
        model, labels = board_demo.model_of(pack, 0.75), board_demo.labels_of(pack)
        for server in served(Show(engine, pack, model, labels, "a simulated board", 3600.0)):
            browser.look(1200, 900)
            browser.open(server.url)
            browser.until(READY)
            seven(browser)
            browser.until("document.body.dataset.answers == '1'", 600)
            text = browser.evaluate("document.body.innerText")
            assert re.search(r"Answer\s+7\s", text) and "equal in every bit" in text
