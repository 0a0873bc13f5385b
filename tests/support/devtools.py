# SPDX-License-Identifier: MIT
"""A Chromium without a window that is told what to do: clicks, drawings, screenshots, over its DevTools pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.support.browser import CHROMIUM

SECONDS = 60.0


class Browser:
    """One page of one browser; `evaluate` gives what a JavaScript expression is worth in it."""

    def __init__(self, folder: Path) -> None:
        if CHROMIUM is None:
            pytest.skip("there is no Chromium on this machine; apt-get install chromium")
        their_in, self._out = os.pipe()
        self._in, their_out = os.pipe()
        # Chromium reads commands from file 3 and writes answers to file 4; none of ours may be one of them.
        low = [os.dup(0) for _ in range(6)]
        their_in, their_out = os.dup(their_in), os.dup(their_out)

        def arrange() -> None:
            os.dup2(their_in, 3)
            os.dup2(their_out, 4)

        self._process = subprocess.Popen(
            [
                CHROMIUM,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"),
                *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
                f"--user-data-dir={folder / 'profile'}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=arrange,
            close_fds=False,
        )
        for file in (*low, their_in, their_out):
            os.close(file)
        self._number, self._rest, self.events = 0, b"", []
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._in)
        os.close(self._out)

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        self.until(f"document.URL == {json.dumps(url)} && document.readyState == 'complete'")

    def evaluate(self, expression: str) -> Any:
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str, seconds: float = SECONDS) -> Any:
        """What an expression is worth as soon as that is true."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, (expression, self.evaluate("document.body.innerText"))
            time.sleep(0.05)
        return value

    def drag(self, *points: tuple[float, float]) -> None:
        """The mouse goes down at the first point, along all of them, and up at the last."""
        steps = [
            ("mousePressed", points[0]),
            *(("mouseMoved", p) for p in points),
            ("mouseReleased", points[-1]),
        ]
        for kind, (x, y) in steps:
            self._call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
            )

    def click(self, element: str) -> None:
        """A click into the middle of the element of this id."""
        box = self.evaluate(f"document.getElementById('{element}').getBoundingClientRect().toJSON()")
        self.drag((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """A window of this size, by day or by night."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", features=features)

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def complaints(self) -> list[str]:
        """What the browser's log holds: errors of scripts, what the policy has stopped."""
        self.evaluate("1")
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        return [json.dumps(event) for event in self.events if event.get("method") in kinds]

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._message()
            if told.get("id") == self._number:
                assert "error" not in told, told
                return dict(told["result"])
            self.events.append(told)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], SECONDS)
            assert ready, "the browser says nothing"
            more = os.read(self._in, 1 << 16)
            assert more, "the browser has ended"
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(text))
