"""The server's socket hears what a file would say; the server as a program: started, asked, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

import crnn
from crnn.bundle import Bundle
from crnn.deploy.predict import Predictor
from crnn.deploy.serving.limits import Limits
from crnn.deploy.serving.server import serve
from crnn.deploy.stream import Stream
from crnn.errors import MissingExtra

pytest.importorskip("starlette")
pytest.importorskip("soundfile")
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from crnn.deploy.serving.app import app_of
from crnn.deploy.serving.service import Service

RATE = 8000


def speech(seconds: float = 2.0) -> np.ndarray:
    """Tones that change ten times a second, 16-bit."""
    rng = np.random.default_rng(2)
    hertz = np.repeat(rng.uniform(150, 3000, round(seconds * 10)), RATE // 10)
    x = 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE) + 0.02 * rng.standard_normal(len(hertz))
    return np.round(32767 * x).astype("<i2")


@pytest.fixture
def listener(tiny: Callable[..., Bundle], waken: Callable[..., Bundle]) -> Predictor:
    network = tiny("deepspeech2", "transcribe", "sound", bidirectional=False, lookahead=3)
    return Predictor(waken(network, speech() / np.float32(32768)), precision="float32")


@contextmanager
def heard(network: Any, *, token: str | None = None, **limits: Any) -> Iterator[tuple[TestClient, Service]]:
    service = Service(network, "tiny", limits=Limits(**limits), threads=1)
    with TestClient(app_of(service, token=token)) as client:
        yield client, service


def error_of(socket: Any) -> str:
    """The sentence that closes a socket."""
    error = socket.receive_json()["error"]
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert closed.value.code == 1008 and closed.value.reason
    return f"{error['given']}; expected {error['expected']}. {error['do']}"


def test_a_socket_hears_what_a_stream_hears(listener: Predictor) -> None:
    x, stream = speech(), Stream(listener, rate=RATE)
    pieces = np.split(x, [100, 101, 4000, 9000, 9001])
    right = [stream.push(piece) for piece in pieces]
    answer = stream.finish()
    assert answer.value, "else this test hears nothing"
    with heard(listener) as (client, service):
        assert client.get("/about").json()["listens"] is True
        with client.websocket_connect(f"/listen?rate={RATE}") as socket:
            for piece, text in zip(pieces, right, strict=True):
                socket.send_bytes(piece.tobytes())
                assert socket.receive_json() == {"text": text}
            assert service.ears.open == 1
            socket.send_text("end")
            said = socket.receive_json()["answer"]
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
        assert closed.value.code == 1000
        assert said["text"] == answer.value and said["score"] == pytest.approx(answer.score, abs=1e-3)
        assert service.ears.open == 0


def test_what_makes_no_sense_closes_the_socket_with_its_sentence(listener: Predictor) -> None:
    with heard(listener, timeout=0.3) as (client, _), client.websocket_connect("/listen") as socket:
        assert "nothing came for 0.3 seconds" in error_of(socket)
    with heard(listener, max_listeners=1, max_listen=0.5) as (client, _):
        for rate in ("0", "x", "-1", "99999999999"):
            with client.websocket_connect(f"/listen?rate={rate}") as socket:
                assert "the rate is" in error_of(socket)
        with client.websocket_connect("/listen") as socket:
            socket.send_bytes(b"odd")
            assert "3 bytes" in error_of(socket)
        with client.websocket_connect("/listen") as socket:
            socket.send_text("stop")
            assert "the text 'stop'" in error_of(socket)
        with client.websocket_connect("/listen") as socket:
            socket.send_text("end")
            assert "0 milliseconds" in error_of(socket)
        with client.websocket_connect(f"/listen?rate={RATE}") as first:
            first.send_bytes(speech(0.1).tobytes())
            first.receive_json()
            with client.websocket_connect("/listen") as second:
                assert "1 sockets are open" in error_of(second)
            first.send_bytes(speech(1.0).tobytes())  # longer than anybody may speak
            first.receive_json()
            first.send_bytes(speech(0.1).tobytes())
            assert "answer" in first.receive_json()


def test_who_speaks_when_the_server_stops_gets_an_answer(listener: Predictor) -> None:
    with (
        heard(listener) as (client, service),
        client.websocket_connect(f"/listen?rate={RATE}") as socket,
        client.websocket_connect("/listen") as silent,
    ):
        socket.send_bytes(speech().tobytes())
        text = socket.receive_json()["text"]
        client.portal.call(service.stop)  # type: ignore[union-attr]
        assert socket.receive_json()["answer"]["text"].startswith(text)
        assert "the server stops" in error_of(silent)
        with client.websocket_connect("/listen") as late:
            assert "the server stops" in error_of(late)


def test_sockets_want_the_token_and_pages_of_the_server(listener: Predictor) -> None:
    with heard(listener, token="sesame") as (client, _):
        for address in ("/listen", "/listen?token=other"):
            with client.websocket_connect(address) as socket:
                assert "Bearer" in error_of(socket)
        for address, headers in (("/listen?token=sesame", {}), ("/listen", {"authorization": "Bearer sesame"})):
            with client.websocket_connect(address, headers=headers) as socket:
                socket.send_text("end")
                assert "milliseconds" in error_of(socket)
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/listen?token=sesame", headers={"origin": "http://evil.example"}),
        ):
            pass


def test_who_cannot_listen_says_why(tiny: Callable[..., Bundle]) -> None:
    with heard(Predictor(tiny("crnn"), precision="float32")) as (client, _):
        assert client.get("/about").json()["listens"] is False
        with client.websocket_connect("/listen") as socket:
            assert "expected sound" in error_of(socket)


# the program


@contextmanager
def program(without_torch: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``crnn serve`` without torch, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", without_torch, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(crnn.__file__).parents[1]), "CRNN_TOKEN": "sesame"},
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert " at http://127.0.0.1:" in line, line + process.stderr.read()
        yield process, line.rsplit(" ", 1)[1].strip().rstrip("/")
    finally:
        process.kill()
        process.communicate()


def asked(address: str, body: bytes | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    try:
        with urlopen(Request(address, body, {"authorization": "Bearer sesame"}), timeout=20) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def test_an_exported_network_is_served_without_torch_and_stops_well(
    tiny: Callable[..., Bundle], made: Callable[..., Path], without_torch: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    from crnn.deploy.export import export
    from crnn.deploy.onnx import OnnxPredictor

    export(tiny("crnn"), tmp_path / "tiny.onnx")
    line = min(made("transcribe").glob("*.png"))
    arguments = [str(tmp_path / "tiny.onnx"), "--port", "0", "--threads", "1", "--drain", "2", "--max-mb", "1"]
    with program(without_torch, *arguments) as (process, address):
        status, said = asked(f"{address}/transcribe?name=a.png", line.read_bytes())
        assert status == 200
        assert said["answers"][0]["text"] == OnnxPredictor(tmp_path / "tiny.onnx")(line).value
        assert asked(f"{address}/about")[1]["listens"] is False
        status, said = asked(f"{address}/transcribe?name=a.png", b"x" * 1_500_000)
        assert status == 413 and "--max-mb" in said["error"]["do"]
        process.send_signal(signal.SIGTERM)
        while asked(f"{address}/ready")[0] == 200:
            time.sleep(0.05)
        assert asked(f"{address}/ready") == (503, {"ready": False})
        assert process.wait(10) == 0
        assert process.stderr is not None and process.stderr.read() == ""


@pytest.mark.parametrize("library", ["starlette", "uvicorn", "websockets", "python_multipart", "prometheus_client"])
def test_what_is_not_installed_is_named_with_its_extra(
    library: str, tiny: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for name in [name for name in sys.modules if name.startswith(f"{library}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=f"'{library}.*crnn.serve."):
        serve(Service(Predictor(tiny("crnn"), precision="float32"), "tiny", threads=1), port=0)


def test_an_address_that_is_taken_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    from crnn.cli import main

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as end:
        main(["serve", "zoo:typewritten", "--port", str(taken.getsockname()[1])])
    assert end.value.code == 2
    assert "cannot be had" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--max-queue", "0"], "at least 1"),
        (["--max-files", "65"], "--max-queue"),
        (["--wait", "-1"], "--wait"),
        (["--lm", "nowhere.arpa"], "nowhere.arpa"),
    ],
)
def test_options_that_make_no_sense_are_said(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from crnn.cli import main

    with pytest.raises(SystemExit) as end:
        main(["serve", "zoo:typewritten", *given])
    assert end.value.code and said in capsys.readouterr().err
