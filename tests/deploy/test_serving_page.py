"""The server's page in a browser: files in, answers out, by mouse and by keyboard, and nothing that strangers send is
run. Headless Chromium is driven over its own protocol; without it these tests are skipped."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "src" / "crnn" / "deploy" / "serving" / "page"
LINES = sorted((ROOT / "examples" / "typewriting" / "images").iterdir())[:2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 60.0  # of patience; nothing is timed
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not on the path")
BAD = "<img src=x onerror=document.title=`run`>.webp"


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
        until(lambda: self.says("document.readyState == 'complete' && document.title != 'crnn' && document.title"))

    def choose(self, *files: Path, before: int = 0) -> None:
        """Files into the page that has so many cards, and wait for theirs."""
        place = self.call("Runtime.evaluate", expression="document.getElementById('files')")["result"]["objectId"]
        self.call("DOM.setFileInputFiles", objectId=place, files=[str(file) for file in files])
        self.settled(len(files) + before)

    def settled(self, count: int) -> None:
        busy = "[...document.querySelectorAll('#answers .waiting')].filter((e) => !e.hidden).length"
        until(lambda: self.says(f"document.querySelectorAll('#answers > li').length == {count} && {busy} == 0"))

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

    def complaints(self) -> list[str]:
        """Errors that the browser tells of, but for statuses, which are answers."""
        self.says("0")
        found = [e["params"]["exceptionDetails"]["text"] for e in self.of("Runtime.exceptionThrown")]
        entries = [e["params"]["entry"] for e in self.of("Log.entryAdded")]
        found += [e["text"] for e in entries if e["level"] in ("error", "warning") and "status of 4" not in e["text"]]
        return found + [str(e["params"]["args"]) for e in self.of("Runtime.consoleAPICalled")]

    def of(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["method"] == method]


def until(ask: Any) -> Any:
    """What ``ask()`` says as soon as that is something."""
    end = time.monotonic() + SECONDS
    while not (said := ask()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return said


@contextmanager
def chromium(folder: Path, *flags: str) -> Iterator[Browser]:
    """A browser that keeps its things in ``folder``."""
    from websockets.sync.client import connect

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", *flags]
    command, quiet = [str(CHROMIUM), *options, f"--user-data-dir={folder}", "about:blank"], subprocess.DEVNULL
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
    with chromium(tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server in a process of its own, which wants a token."""
    command = [sys.executable, "-m", "crnn", "serve", "zoo:typewritten", "--port", "0", "--drain", "0"]
    given = {**os.environ, "OMP_NUM_THREADS": "1", "CRNN_TOKEN": "open sesame"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=given) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            yield found[0]
        finally:
            process.terminate()
    assert process.returncode == 0


@needs_browser
def test_a_file_is_dropped_and_its_text_is_seen(browser: Browser, address: str, tmp_path: Path) -> None:
    """The whole way: token, drop, answers in order, an error in its place, keyboard, names that are no markup."""
    broken, named = tmp_path / "broken.png", tmp_path / BAD
    broken.write_bytes(b"no picture")
    shutil.copy(LINES[1], named)
    browser.call("Page.navigate", url=address)
    until(lambda: browser.says("document.activeElement?.id == 'secret'"))  # the server wants its token
    browser.call("Input.insertText", text="wrong")
    browser.press("Enter", 13)
    assert "wrong token" in until(lambda: browser.says("document.getElementById('refused').textContent"))
    browser.call("Input.insertText", text="open sesame")
    browser.press("Enter", 13)
    until(lambda: browser.says("document.title") == "zoo:typewritten")
    assert "2.5 million parameters" in browser.says("document.getElementById('does').textContent")
    assert "at most 20 MB" in browser.says("document.getElementById('reads').textContent")

    data = {"items": [], "files": [str(LINES[0])], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.call("Input.dispatchDragEvent", type=kind, x=300, y=200, data=data)
    browser.settled(1)
    assert browser.says("document.querySelector('.said').textContent").startswith("tives there prepared")
    assert re.fullmatch(r"\d+ % sure", browser.says("document.querySelector('.sure').textContent"))
    shown = "document.querySelector('.shown').shadowRoot"
    assert browser.says(f"{shown}.querySelector('img').naturalWidth") > 300
    assert browser.says(f"getComputedStyle({shown}.querySelector('dl')).display") == "grid"  # styles of fragments live

    browser.choose(broken, before=1)
    assert browser.says("document.querySelector('.given').textContent") == "is not a picture"
    assert browser.says("document.querySelector('.expected').textContent").startswith("Expected: a PNG")
    assert "broken.png: is not a picture" in browser.says("document.getElementById('status').textContent")

    browser.says("document.getElementById('clear').click()")
    browser.choose(LINES[0], broken, named)
    names = browser.says("[...document.querySelectorAll('.where')].map((e) => e.textContent)")
    assert names == [LINES[0].name, broken.name, BAD]  # in order, and as they are
    assert browser.says("document.title") == "zoo:typewritten" and not browser.says("document.images.length")
    assert browser.says("document.getElementById('far').textContent") == "3 of 3"

    browser.says("document.querySelector('.json').open = true")
    text = until(lambda: browser.says("document.querySelector('.json pre').textContent"))
    assert json.loads(text)["id"] == LINES[0].name and "html" not in json.loads(text)

    browser.says("document.querySelector('.skip').focus()")  # where Tab begins
    keys = ["choose", "save", "clear", "Remove"]
    assert [browser.press("Tab", 9) for _ in keys] == keys
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.says(outline) == "solid"
    browser.press("Enter", 13)  # removes the first card
    assert browser.says("document.querySelectorAll('#answers > li').length") == 2
    assert browser.says("document.activeElement.textContent") == "Remove"
    assert browser.hosts() == {address.split("/")[2]} and not browser.complaints()


@needs_browser
def test_a_fragment_can_do_no_more_than_show(browser: Browser, address: str) -> None:
    """Not even one that the server did not escape."""
    browser.call("Page.navigate", url=address)
    until(lambda: browser.says("document.readyState == 'complete' && document.activeElement?.id == 'secret'"))
    browser.events.clear()
    evil = (
        '<p style="color:rgb(1,2,3)" onclick="bad()" title="a style=b">text style=</p><script>bad()</script>'
        '<img src="http://192.0.2.1/x.png" onerror="bad()"><img src="data:image/svg+xml,<svg/>"><style>p{}</style>'
        '<iframe srcdoc="x"></iframe><a href="javascript:bad()">a</a><form><input></form><object></object>'
        '<svg><script>bad()</script><use href="http://192.0.2.1/x.svg#a"/><use href="#a"/><title>t</title></svg>'
        '<p style="background:url(http://192.0.2.1/y.png)">u</p><math><mi href="javascript:bad()">m</mi></math>'
    )
    script = (
        "import('/fragment.js').then(({show}) => {const place = document.createElement('div');"
        f"document.body.append(place); show(place, {json.dumps(evil)});"
        "const p = place.shadowRoot.querySelector('p');"
        "return [place.shadowRoot.innerHTML, getComputedStyle(p).color, p.textContent, p.title]})"
    )
    html, colour, text, title = browser.says(script)
    assert (colour, text, title) == ("rgb(1, 2, 3)", "text style=", "a style=b")
    assert not re.search("script|http|onerror|onclick|iframe|<a|form|input|object|math|url|<style|svg.xml", html), html
    assert '<use href="#a">' in html and "<title>t</title>" in html
    assert browser.says("typeof bad") == "undefined"
    assert browser.hosts() <= {address.split("/")[2]}  # the handlers are reported, since the policy forbids them, too


@needs_browser
def test_every_kind_of_answer_has_words(browser: Browser, address: str) -> None:
    answers = {
        "ab · 91 % sure": {"id": "a.png", "text": "ab", "score": 0.912, "letters": []},
        "(no text) · 97 % sure": {"id": "a.png", "text": "", "score": 0.97},
        "2 lines · 75 % sure": {"id": "a.png", "text": "a\nb", "lines": [{"score": 0.7}, {"score": 0.8}]},
        "1 line · ": {"id": "a.png", "text": "", "lines": [{"score": None}]},
        "a dog runs. · 50 % sure": {"sentence": "a dog runs.", "score": 0.5, "words": []},
        "0 · 100 % sure": {"label": 0, "score": 1.0, "labels": []},
        "dog 0.5 to 1.25 · ": {"events": [{"label": "dog", "onset": 0.5, "offset": 1.25, "score": 0.9}]},
        "dog × 7 · ": {"events": [{"label": "dog", "onset": i, "offset": i + 1} for i in range(7)]},
        "nothing found · 40 % sure": {"counts": {"cell": 0}, "boxes": [], "score": 0.4},
        "10 cell, 1 spot · ": {"counts": {"cell": 10, "spot": 1}},
        "sky 62 %, car 4 % · ": {"width": 9, "height": 9, "areas": {"sky": 0.62, "car": 0.04}},
        "20 cell · sky 100 %": {"width": 9, "height": 9, "areas": {"sky": 1}, "cell_count": 20},
        "load 31246, wind 1.235 · at the end of 2 steps, Friday": {
            "columns": {"load": {"forecast": [1, 31245.7]}, "wind": {"forecast": [1, 1.23456]}},
            "date": ["Thursday", "Friday"],
        },
        "3 frames foretold · ": {"mean": [1, 2, 3], "largest": [1, 2, 3]},
        "a picture, 28 × 20 · ": {"width": 28, "height": 20, "mean": 0.5},
        "3.1 · ": {"id": "a.csv", "value": 3.1},
        "value_1 3.1, value_2 -2 · ": {"id": "a.csv", "value_1": 3.1, "value_2": -2},
    }
    browser.call("Page.navigate", url=address)
    until(lambda: browser.says("document.readyState == 'complete' && document.activeElement?.id == 'secret'"))
    words = f"{json.dumps(list(answers.values()))}.map((a) => inWords(a)).map((w) => w.said + ' · ' + w.sure)"
    assert browser.says(f"import('/words.js').then(({{inWords}}) => {words})") == list(answers)


def test_the_page_asks_nobody_but_its_server() -> None:
    """No address of another host, no script or style in the markup, nothing that makes code of text."""
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 300 and max(map(len, text.splitlines())) <= 120, path.name
        assert not re.search(r"(https?:)?//[\w.-]+\.\w|eval\(|new Function|innerHTML|insertAdjacentHTML", text), (
            path.name
        )
    markup = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|<script>|\son\w+=", markup)
    for name in re.findall(r'(?:src|href)="([\w.]+)"', markup):
        assert (PAGE / name).is_file() or name == "openapi.json"
