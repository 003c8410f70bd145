"""Requests to the server, made wrong: its routes are called in this process, as ASGI."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import fuzz_inputs
from fuzz_targets import DRAWN, Case, asking
from starlette.testclient import TestClient

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


def _requests(task: str, picture: bytes, *, text: bool) -> Iterator[tuple[str, Mapping[str, Any], bytes]]:
    path = f"/{task}"
    ending = "txt" if text else "png"
    body = b"a calm sea" if text else picture
    said = f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="a.{ending}"\r\n\r\n'.encode()
    form = {"content-type": f"multipart/form-data; boundary={EDGE}"}
    yield "form", _head("POST", path, form, html="true"), said + body + f"\r\n--{EDGE}--\r\n".encode()
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
    return head + b"\n" + fuzz_inputs.spoiled(body, suffix, rng)


fuzz_inputs.BY_SUFFIX[".request"] = request_spoiled


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
        error = answer.json()["error"]
        given, expected, do = (str(error[k]) for k in ("given", "expected", "do"))
        assert given and expected and do, answer.text
        assert "/tmp" not in answer.text, f"a place of the server is told: {answer.text[:300]}"
    return []
