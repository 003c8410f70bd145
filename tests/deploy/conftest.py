"""What tests of pages share: headless Chromium, driven over its own protocol (without it they are skipped); and a
process without torch."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 60.0  # of patience; nothing is timed

WITHOUT = """
import sys
class Nobody:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning", "torchmetrics", "onnx"):
            raise ImportError(name)
sys.meta_path.insert(0, Nobody())
import crnn.cli
crnn.cli.main(sys.argv[1:])
"""
"""The commands of crnn where torch is not installed: a program for ``python -c``."""


@pytest.fixture
def without_torch() -> str:
    return WITHOUT


class Browser:
    """A page in Chromium, spoken to over its DevTools protocol."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.numbers, self.session = socket, itertools.count(1), ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> Any:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": values}
        self.socket.send(json.dumps(message | ({"sessionId": self.session} if self.session else {})))
        while (reply := json.loads(self.socket.recv(timeout=SECONDS))).get("id") != number:
            self.events.append(reply)
        assert "error" not in reply, reply
        return reply["result"]

    def says(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        reply = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def open(self, address: str) -> None:
        self.events.clear()
        self.call("Page.navigate", url=address)
        self.until(f"location.href == {json.dumps(address)} && document.readyState == 'complete'")

    def choose(self, *files: Path, before: int = 0) -> None:
        """Files into the page that has so many cards, and wait for theirs."""
        place = self.call("Runtime.evaluate", expression="document.getElementById('files')")["result"]["objectId"]
        self.call("DOM.setFileInputFiles", objectId=place, files=[str(file) for file in files])
        self.settled(len(files) + before)

    def settled(self, count: int) -> None:
        busy = "[...document.querySelectorAll('#answers .waiting')].filter((e) => !e.hidden).length"
        self.until(f"document.querySelectorAll('#answers > li').length == {count} && {busy} == 0")

    def until(self, script: str) -> Any:
        """The value of an expression as soon as it is something."""
        return until(lambda: self.says(script))

    def press(self, key: str, code: int) -> str:
        """Press a key; the id or the words of what has the focus then."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)
        focus = "document.activeElement"
        return str(self.says(f"{focus}.id || {focus}.textContent"))

    def hosts(self) -> set[str]:
        """Whom the page asked for anything."""
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return {re.split("[/?]", url)[2] for url in asked if not url.startswith(("data:", "blob:", "about:"))}

    def opened(self) -> str:
        """The words of the page that was opened in a window of its own."""
        address = until(lambda: self.says("0") or [e["params"]["url"] for e in self.of("Page.windowOpen")])[-1]
        own, self.session = self.session, ""
        try:
            found = self.call("Target.getTargets")["targetInfos"]
            target = next(one["targetId"] for one in found if one["url"] == address)
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            return str(self.until("document.body.innerText"))
        finally:
            self.session = own

    def complaints(self) -> list[str]:
        """Errors that the browser tells of, but for statuses, which are answers."""
        self.says("0")
        found = [e["params"]["exceptionDetails"]["text"] for e in self.of("Runtime.exceptionThrown")]
        entries = [e["params"]["entry"] for e in self.of("Log.entryAdded")]
        found += [e["text"] for e in entries if e["level"] in ("error", "warning") and "status of 4" not in e["text"]]
        return found + [str(e["params"]["args"]) for e in self.of("Runtime.consoleAPICalled")]

    def of(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["method"] == method]


def until(ask: Callable[[], Any]) -> Any:
    """What ``ask()`` says as soon as that is something."""
    end = time.monotonic() + SECONDS
    while not (said := ask()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return said


@contextmanager
def chromium(program: str, folder: Path, *flags: str) -> Iterator[Browser]:
    """A browser that keeps its things in ``folder``."""
    from websockets.sync.client import connect

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", *flags]
    command, quiet = [program, *options, f"--user-data-dir={folder}", "about:blank"], subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            told = folder / "DevToolsActivePort"
            port, path = until(lambda: told.exists() and told.read_text()).split()
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium, which is not on the path")
    microphone = [f"--use-fake-{what}-for-media-stream" for what in ("ui", "device")]  # which beeps
    with chromium(CHROMIUM, tmp_path_factory.mktemp("browser"), *microphone) as made:
        yield made
