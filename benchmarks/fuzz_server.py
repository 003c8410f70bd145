"""Requests to the server and what its socket hears, made wrong: it is called in this process, as ASGI."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import fuzz_inputs
import numpy as np
import soundfile
from fuzz_targets import DRAWN, Case, asking
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from crnn.bundle import default_model
from crnn.deploy.asked import task_of
from crnn.deploy.ready import predictor
from crnn.deploy.serving.app import app_of
from crnn.deploy.serving.limits import Limits
from crnn.deploy.serving.service import Service
from crnn.errors import CrnnError
from crnn.models import MODELS
from crnn.train.prepare import begin
from crnn.types import Sample

EDGE = "----edge"
ANSWERED = (200, 307, 400, 401, 403, 404, 405, 408, 413, 415, 422, 503)
"""What a server may say."""
CLOSED = (1000, 1008)
"""Codes with which it may close a socket."""
PARTS = (
    *(b'Content-Disposition: form-data; name="file"', b'Content-Disposition: form-data; filename="a.png"', b""),
    *(b"Content-Disposition: attachment", b"Content-Disposition: form-data; name=file; filename*=utf-8''%E2%82%ac.png"),
    *(b"Content-Transfer-Encoding: base64", b"Content-Type: multipart/mixed; boundary=b", b"Content-Length: -1"),
    *(b"Content-Type: text/plain; charset=none", b'Content-Disposition: form-data; name="text"', b"a" * 9000, b":"),
)
"""Lines of a part's head."""


def server_cases(folder: Path, shrink: Any) -> Iterator[Case]:
    """Requests that are right, to a network that reads lines and one that reads sentences."""
    line = DRAWN["line"](folder / "asked", [0, 1, 2])
    for task, kind, samples in (
        ("transcribe", "line", [Sample("a", line, "abd")]),
        ("classify", "sentence", [Sample(x, x, x[:1]) for x in ("a calm sea", "big waves", "a small tide")]),
    ):
        recipe = asking(task, kind)
        model = default_model(task_of(recipe)[0], {"": kind})
        made = begin(replace(recipe, encoder={"name": model, **shrink(MODELS[model])}), samples)
        made.save(folder / "net.safetensors")
        beside = {"net.safetensors": (folder / "net.safetensors").read_bytes()}
        for name, head, body in _requests(task, line.read_bytes(), text=kind == "sentence"):
            request = json.dumps(head).encode() + b"\n" + body
            yield Case(f"server: {task} {name}", {**beside, "a.request": request}, "a.request", _asks)
    yield _listens(folder, shrink)


def _listens(folder: Path, shrink: Any) -> Case:
    """A sound that is told piece by piece."""
    sound = DRAWN["sound"](folder / "heard", [0, 1, 2])
    name = "deepspeech2"
    encoder = {"name": name, **shrink(MODELS[name]), "bidirectional": False, "lookahead": 3}
    made = begin(replace(asking("transcribe", "sound"), encoder=encoder), [Sample("a", sound, "abd")])
    made.save(folder / "net.safetensors")
    x, rate = soundfile.read(sound, dtype="int16")
    said = [{"bytes": piece.astype("<i2").tobytes().hex()} for piece in np.array_split(x, 3)]
    values = {"query": {"rate": str(rate)}, "headers": {}, "said": [*said, {"text": "end"}]}
    files = {"net.safetensors": (folder / "net.safetensors").read_bytes(), "a.listen": json.dumps(values).encode()}
    return Case("server: socket", files, "a.listen", _tells)


def _requests(task: str, picture: bytes, *, text: bool) -> Iterator[tuple[str, Mapping[str, Any], bytes]]:
    path = f"/{task}"
    ending = "txt" if text else "png"
    body = b"a calm sea" if text else picture
    said = f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="a.{ending}"\r\n\r\n'.encode()
    form = {"content-type": f"multipart/form-data; boundary={EDGE}"}
    yield "form", _head("POST", path, form, html="true"), said + body + f"\r\n--{EDGE}--\r\n".encode()
    yield "forms", _head("POST", path, form), (said + body + b"\r\n") * 3 + f"--{EDGE}--\r\n".encode()
    yield "body", _head("POST", path, {}, name=f"a.{ending}", top="2"), body
    yield "text", _head("POST", path, {"content-type": "application/json"}), b'{"texts": ["a calm sea", "waves"]}'
    yield (
        "about",
        _head("GET", "/about", {"authorization": "Bearer a", "range": "bytes=0-10", "host": "localhost"}),
        b"",
    )


def _head(method: str, path: str, headers: Mapping[str, str], **query: str) -> dict[str, Any]:
    return {"method": method, "path": path, "query": query, "headers": dict(headers)}


def request_spoiled(data: bytes, rng: random.Random) -> bytes:
    """A request of which the head or the body is wrong."""
    head, _, body = data.partition(b"\n")
    if rng.random() < 0.4:
        return json.dumps(fuzz_inputs.tree(json.loads(head), rng)).encode() + b"\n" + body
    suffix = ".json" if body.startswith(b"{") else ".png" if body.startswith(b"\x89PNG") else ""
    if body.startswith(b"--" + EDGE.encode()) and rng.random() < 0.7:
        return head + b"\n" + form_spoiled(body, rng)
    return head + b"\n" + fuzz_inputs.spoiled(body, suffix, rng)


def form_spoiled(body: bytes, rng: random.Random) -> bytes:
    """A form of which a part's head, a part, or what stands between parts is wrong."""
    edge = b"--" + EDGE.encode()
    before, *parts = body.split(edge)
    i = rng.randrange(len(parts))
    head, mark, rest = parts[i].partition(b"\r\n\r\n")
    way = rng.randrange(6)
    if way == 0:
        head = b"\r\n" + fuzz_inputs.text(head.strip() or b"a: b", rng)
    elif way == 1:
        head += b"\r\n" + b"\r\n".join(rng.choices(PARTS, k=rng.choice((1, 2, 50))))
    elif way == 2:
        head = b"\r\n" + rng.choice(PARTS)
    elif way == 3:
        mark = rng.choice((b"\n\n", b"\r\n", b"", b"\r\n\r\n\r\n"))
    elif way == 4:
        rest = fuzz_inputs.bent(rest, rng)
    parts[i] = head + mark + rest
    if way == 5:
        parts[i : i + 1] = [parts[i]] * rng.choice((0, 2, 40))
    if rng.random() < 0.2:
        edge = rng.choice((edge[2:], edge + b"-", b"--", edge.upper(), edge + b" "))
    return before + b"".join(rng.choice((edge,) * 9 + (EDGE.encode(),)) + part for part in parts)


def heard_spoiled(data: bytes, rng: random.Random) -> bytes:
    """What a socket hears: a value of its tree, or the samples of a piece."""
    values = json.loads(data)
    if rng.random() < 0.4:
        said = values["said"]
        piece = rng.choice([one for one in said if "bytes" in one])
        piece["bytes"] = fuzz_inputs.bent(bytes.fromhex(piece["bytes"]), rng).hex()
        rng.shuffle(said) if rng.random() < 0.2 else None
        return json.dumps(values).encode()
    return json.dumps(fuzz_inputs.tree(values, rng)).encode()


fuzz_inputs.BY_SUFFIX[".request"] = request_spoiled
fuzz_inputs.BY_SUFFIX[".listen"] = heard_spoiled


@cache
def _client(folder: Path) -> TestClient:
    """A client of a server in this process, begun where it is first asked."""
    network = predictor(folder / "net.safetensors", precision="float32", threads=1)
    service = Service(network, "tiny", limits=Limits(max_mb=1), threads=1)
    client = TestClient(app_of(service), raise_server_exceptions=True, follow_redirects=False)
    client.__enter__()
    return client


def _asks(path: Path) -> list[CrnnError]:
    head, _, body = path.read_bytes().partition(b"\n")
    values = json.loads(head)
    if not isinstance(values, dict):
        return []
    method, where, query, headers = (values.get(k) for k in ("method", "path", "query", "headers"))
    try:
        request = _client(path.parent).build_request(
            str(method or "GET"),
            "/" + str(where).lstrip("/"),
            params={str(k): str(v) for k, v in query.items()} if isinstance(query, dict) else None,
            headers={str(k): str(v) for k, v in headers.items()} if isinstance(headers, dict) else None,
            content=body,
        )
    except Exception:  # no client could send it
        return []
    answer = _client(path.parent).send(request)
    assert answer.status_code in ANSWERED, f"{answer.status_code}: {answer.text[:300]}"
    if answer.status_code >= 400 and "json" in answer.headers.get("content-type", ""):
        _check(answer.json(), answer.text)
    return []


def _check(values: Any, text: str) -> None:
    """An error says what was given, expected and is to be done, and nothing of the server's places."""
    given, expected, do = (str(values["error"][k]) for k in ("given", "expected", "do"))
    assert given and expected and do, text
    assert "/tmp" not in text, f"a place of the server is told: {text[:300]}"


def _tells(path: Path) -> list[CrnnError]:
    """Tell a socket each piece, and hear what it says of it, until it closes."""
    try:
        values = json.loads(path.read_bytes())
        query, headers, said = (values[k] for k in ("query", "headers", "said"))
        address = "/listen?" + urlencode(query if isinstance(query, dict) else {})
        pieces = [_piece(one) for one in said if isinstance(one, dict)]
        own = {str(k): str(v).encode().decode("latin-1") for k, v in headers.items()}
        socket = _client(path.parent).websocket_connect(address, headers=own)
    except Exception:  # no client could send it
        return []
    try:
        with socket as heard:
            for piece in pieces:
                heard.send_text(piece) if isinstance(piece, str) else heard.send_bytes(piece)
                answer = heard.receive_json()
                assert set(answer) in ({"text"}, {"answer"}, {"error"}), answer
                if "error" in answer:
                    _check(answer, json.dumps(answer))
                if "text" not in answer:
                    heard.receive_json()  # which is the end
    except WebSocketDisconnect as closed:
        assert closed.code in CLOSED, f"closed with {closed.code}: {closed.reason}"
    return []


def _piece(one: dict[str, Any]) -> str | bytes:
    return bytes.fromhex(one["bytes"]) if "bytes" in one else str(one["text"])
