"""The server's page in a browser: files in, answers out, by mouse and by keyboard, and nothing that strangers send is
run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "src" / "crnn" / "deploy" / "serving" / "page"
LINES = sorted((ROOT / "examples" / "typewriting" / "images").iterdir())[:2]
BAD = "<img src=x onerror=document.title=`run`>.webp"


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


def test_a_file_is_dropped_and_its_text_is_seen(browser: Any, address: str, tmp_path: Path) -> None:
    """The whole way: token, drop, answers in order, an error in its place, keyboard, names that are no markup."""
    broken, named = tmp_path / "broken.png", tmp_path / BAD
    broken.write_bytes(b"no picture")
    shutil.copy(LINES[1], named)
    browser.open(address)
    browser.until("document.activeElement?.id == 'secret'")  # the server wants its token
    browser.call("Input.insertText", text="wrong")
    browser.press("Enter", 13)
    assert "wrong token" in browser.until("document.getElementById('refused').textContent")
    browser.call("Input.insertText", text="open sesame")
    browser.press("Enter", 13)
    browser.until("document.title == 'zoo:typewritten'")
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
    seen = f"document.getElementById('answers').innerText + {shown}.querySelector('div').innerText"
    assert browser.says(seen).count("tives there prepared") == 1

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
    text = browser.until("document.querySelector('.json pre').textContent")
    assert json.loads(text)["id"] == LINES[0].name and "html" not in json.loads(text)

    browser.says("document.querySelector('.skip').focus()")  # where Tab begins
    keys = ["choose", "save", "clear", "Remove"]
    assert [browser.press("Tab", 9) for _ in keys] == keys
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.says(outline) == "solid"
    browser.press("Enter", 13)  # removes the first card
    assert browser.says("document.querySelectorAll('#answers > li').length") == 2
    assert browser.says("document.activeElement.textContent") == "Remove"
    browser.says("document.getElementById('routes').focus()")
    browser.press("Enter", 13)  # which asks with the token, as no link would
    assert browser.opened().startswith("{") and browser.says("document.title") == "zoo:typewritten"
    assert browser.hosts() == {address.split("/")[2]} and not browser.complaints()


def test_a_fragment_can_do_no_more_than_show(browser: Any, address: str) -> None:
    """Not even one that the server did not escape."""
    browser.open(address)
    browser.until("document.activeElement?.id == 'secret'")
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


SOCKET = """
window.WebSocket = class {
  constructor(address) {
    Object.assign(this, {readyState: 0, heard: []});
    this.address = new URL(address);
    window.socket = this;
    setTimeout(() => { this.readyState = 1; this.onopen(); });
  }
  send(piece) {
    if (piece === "end") {
      this.onmessage({data: JSON.stringify({answer: {id: "sound", text: "beep beep", score: 0.9}})});
      this.onclose({reason: ""});
    } else {
      this.heard.push(new Int16Array(piece));
      this.onmessage({data: JSON.stringify({text: "beep"})});
    }
  }
};
WebSocket.OPEN = 1;
"""


def test_a_microphone_is_heard_until_it_is_stopped(browser: Any, address: str) -> None:
    """16-bit samples of the microphone's rate to the socket, the text so far into the page; the server's end of it has
    tests of its own."""
    browser.open(address)
    browser.until("document.activeElement?.id == 'secret'")
    browser.call("Input.insertText", text="open sesame")
    browser.press("Enter", 13)
    browser.until("document.title == 'zoo:typewritten'")
    assert browser.says("document.getElementById('listen').hidden")  # this network does not
    browser.says(f"(() => {{{SOCKET}}})(); document.getElementById('listen').click()")
    browser.until("window.socket && socket.heard.some((piece) => piece.some((x) => x > 1000))")
    address = browser.says("socket.address.href")
    rate = int(re.search(r"rate=(\d+)", address)[1])  # type: ignore[index]
    assert address.startswith("ws://127.0.0.1") and "/listen?token=open+sesame" in address and rate > 7000
    assert browser.says("socket.heard[0].length") == rate // 10
    assert browser.says("[...document.querySelectorAll('.said')].map((e) => e.textContent).join('')") == "beep"
    assert browser.says("document.getElementById('listen').ariaPressed") == "true"
    browser.says("document.getElementById('listen').click()")
    browser.settled(1)
    assert browser.says("document.querySelector('.said').textContent") == "beep beep"
    assert browser.says("document.getElementById('listen').ariaPressed") == "false"


def test_every_kind_of_answer_has_words(browser: Any, address: str) -> None:
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
    browser.open(address)
    browser.until("document.activeElement?.id == 'secret'")
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
