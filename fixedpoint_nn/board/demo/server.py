# SPDX-License-Identifier: MIT
"""The web server of the demo page, on localhost only, with a strict content security policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from fixedpoint_nn.board.demo.show import LARGEST_SEED, PIXELS, WHITE, Show
from fixedpoint_nn.board.errors import BoardError

HOST = "127.0.0.1"
LARGEST_BODY = 16 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class BadQuestion(ValueError):
    """Raised for a request that the page would not send."""


class DemoServer(ThreadingHTTPServer):
    """Serves one `Show` at `url` until it is closed."""

    daemon_threads = True

    def __init__(self, show: Show, port: int = 0) -> None:
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise BoardError(
                f"port {port} of this computer is not available ({error.strerror}); choose another with --http"
            ) from None
        self.show = show

    @property
    def url(self) -> str:
        """The URL of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    @property
    def names(self) -> tuple[str, str]:
        """The Host headers that are accepted; others are DNS rebinding."""
        port = self.server_address[1]
        return f"{HOST}:{port}", f"localhost:{port}"


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of the demonstration's page, and refuses those of other pages."""

    server: DemoServer
    server_version, sys_version = "fixedpoint_nn", ""

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Answer with the page, its files, or the description of the network."""
        if not self._is_ours():
            return
        if self.path == "/about":
            self._answer(self.server.show.about)
        elif self.path in PAGE:
            name, kind = PAGE[self.path]
            self._send((files("fixedpoint_nn.board.demo") / name).read_bytes(), kind)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        """Answer for a drawing, an example, or a seed."""
        if not self._is_ours():
            return
        origin = self.headers.get("Origin", "")
        if origin not in {f"http://{name}" for name in self.server.names}:
            self._refuse(HTTPStatus.FORBIDDEN, "only this page may ask")
            return
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON")
            return
        show, kind = self.server.show, self.server.show.kind
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send {LARGEST_BODY} bytes at most")
            return
        body = self.rfile.read(int(length))
        if self.path == "/picture" and kind == "picture":
            self._answer(lambda: show.picture(_greys(body)))
        elif self.path == "/example" and kind == "picture":
            self._answer(lambda: show.example(_number(body, len(show.pack.vectors))))
        elif self.path == "/text" and kind == "text":
            self._answer(lambda: show.text(_number(body, LARGEST_SEED)))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such question")

    def _is_ours(self) -> bool:
        if self.headers.get("Host", "") in self.server.names:
            return True
        self._refuse(HTTPStatus.FORBIDDEN, f"this page is at {self.server.url}")
        return False

    def _answer(self, question: Callable[[], dict[str, Any]]) -> None:
        try:
            told = question()
        except BadQuestion as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except BoardError as error:
            self._refuse(HTTPStatus.BAD_GATEWAY, str(error))
        except (ValueError, RuntimeError) as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            self._send(json.dumps(told).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(json.dumps({"error": why}).encode(), "application/json", status)

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:  # the browser has closed the connection
            self.close_connection = True


def _json(body: bytes, key: str) -> Any:
    try:
        asked = json.loads(body)
    except ValueError:
        raise BadQuestion("that is no JSON") from None
    if not isinstance(asked, dict) or set(asked) != {key}:
        raise BadQuestion(f"send {{{key!r}: ...}} and nothing else")
    return asked[key]


def _greys(body: bytes) -> list[int]:
    greys = _json(body, "grey")
    if not isinstance(greys, list) or len(greys) != PIXELS:
        raise BadQuestion(f"a drawing has {PIXELS} grey values")
    if not all(type(grey) is int and 0 <= grey <= WHITE for grey in greys):
        raise BadQuestion(f"a grey value is a whole number from 0 to {WHITE}")
    return greys


def _number(body: bytes, end: int) -> int:
    number = _json(body, "number")
    if type(number) is not int or not 0 <= number < end:
        raise BadQuestion(f"give a whole number from 0 to {end - 1}")
    return number
