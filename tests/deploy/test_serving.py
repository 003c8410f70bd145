"""The server: the answers of every task, batches across requests, and what no client can make it do."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crnn.bundle import Bundle, build
from crnn.data.inputs import restore_several
from crnn.deploy.answering import plain
from crnn.deploy.predict import Predictor
from crnn.deploy.serving.folder import PREFIX, private_folder
from crnn.deploy.serving.jobs import name_of
from crnn.deploy.serving.limits import Limits
from crnn.deploy.vote import Vote
from crnn.errors import SettingsError
from crnn.tasks import TASKS
from crnn.types import Sample

pytest.importorskip("starlette")
from starlette.testclient import TestClient

from crnn.deploy.serving.app import app_of
from crnn.deploy.serving.service import Service

Tiny = Callable[..., Bundle]
FIRST = {
    **{"transcribe": "line", "tag": "series", "forecast": "series", "nowcast": "frames"},
    **dict.fromkeys(("classify", "regress", "caption", "match"), "picture"),
    **dict.fromkeys(("segment", "detect", "restore"), "scene"),
}


@contextmanager
def served(network: Any, *, token: str | None = None, **options: Any) -> Iterator[tuple[TestClient, Service]]:
    """A client of a server in this process, and its service."""
    limits = Limits(**{name: options.pop(name) for name in list(options) if name in Limits.__dataclass_fields__})
    service = Service(network, "tiny", limits=limits, threads=1, **options)
    with TestClient(app_of(service, token=token), raise_server_exceptions=False) as client:
        yield client, service


@pytest.fixture
def reader(tiny: Tiny) -> Predictor:
    return Predictor(tiny("crnn"), precision="float32")


@pytest.fixture
def lines(made: Callable[..., Path]) -> list[Path]:
    return sorted(made("transcribe").glob("*.png"))


@pytest.fixture
def gate(reader: Predictor, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The reader answers nothing until this is set."""
    opened, answer = threading.Event(), reader._answer
    monkeypatch.setattr(reader, "_answer", lambda samples: opened.wait(20) and answer(samples))
    yield opened
    opened.set()


def told(response: Any, status: int) -> str:
    """The sentence of an error."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert {"given", "expected", "do"} <= error.keys()
    return f"{error.get('file', '')}: {error['given']}; expected {error['expected']}. {error['do']}"


# answers


def test_every_task_is_asked_here() -> None:
    assert FIRST.keys() == TASKS.keys()


@pytest.mark.parametrize("task", FIRST)
def test_every_task_answers_as_in_python(task: str, tiny: Tiny, made: Callable[..., Path]) -> None:
    kind = FIRST[task]
    model = TASKS[task].models.get(kind, TASKS[task].model)
    network = Predictor(tiny(model, task, kind), precision="float32")
    source = min(f for f in made(task, kind).rglob("*") if f.suffix in network.kind.suffixes)
    right = plain(network.task, network(source))
    with served(network) as (client, _):
        response = client.post(f"/{task}?html=true", files={"file": (source.name, source.read_bytes())})
        assert response.status_code == 200, response.text
        (answer,) = response.json()["answers"]
        html = answer.pop("html")
        assert "<" in html and answer.pop("id").startswith(source.name)
        assert task != "forecast" or 'stroke-opacity=".7"' in html, "what came before is not drawn"
        assert answer == {key: value for key, value in right.items() if key != "id"}
        about, document = client.get("/about").json(), client.get("/openapi.json").json()
        assert about["task"] == task and source.suffix in about["inputs"][0]["suffixes"]
        if task == "forecast":  # which reads tables, not every file of numbers
            assert ".csv" in told(client.post(f"/{task}?name=a.npy", content=b"a"), 415)
    assert document["openapi"].startswith("3.1") and f"/{task}" in document["paths"]


def test_many_files_are_answered_in_order_with_errors_in_their_places(reader: Predictor, lines: list[Path]) -> None:
    files = [("file", (path.name, path.read_bytes())) for path in lines[:3]]
    files.insert(1, ("file", ("broken.png", b"no picture")))
    files.insert(3, ("file", ("notes.doc", b"x")))
    with served(reader) as (client, _):
        answers = client.post("/transcribe", files=files).json()["answers"]
    assert [a["id"] for a in answers] == [name for _, (name, _) in files]
    assert [answers[i]["text"] for i in (0, 2, 4)] == [reader(path).value for path in lines[:3]]
    assert "not a picture" in answers[1]["error"]["given"] and ".doc" in answers[3]["error"]["given"]
    assert answers[1]["error"]["file"] == "broken.png" and "crnn-serve" not in json.dumps(answers)


def test_a_body_with_a_name_is_a_file_and_top_asks_for_several_answers(reader: Predictor, lines: list[Path]) -> None:
    with served(reader) as (client, _):
        response = client.post("/transcribe?name=a.png&top=3", content=lines[0].read_bytes())
        (answer,) = response.json()["answers"]
        assert answer["id"] == "a.png" and len(answer["best"]) == 3
        assert "top is '0'" in told(client.post("/transcribe?top=0", content=b"x"), 400)
        assert "foretells" in told(client.post("/transcribe?future=2", content=b"x"), 400)
        assert "html is" in told(client.post("/transcribe?html=perhaps", content=b"x"), 400)


def test_several_bundles_vote_here_too(tiny: Tiny, lines: list[Path], tmp_path: Path) -> None:
    for name in "ab":
        tiny("crnn").save(tmp_path / f"{name}.safetensors")
    network = Vote([tmp_path / "a.safetensors", tmp_path / "b.safetensors"], precision="float32")
    right = network(lines[0]).value
    with served(network) as (client, _):
        for query in ("", "&top=2"):
            response = client.post(f"/transcribe?name=a.png{query}", content=lines[0].read_bytes())
            assert response.status_code == 200 and "text" in response.json()["answers"][0]
            assert query or response.json()["answers"][0]["text"] == right


def test_what_comes_together_is_answered_together(reader: Predictor, lines: list[Path]) -> None:
    service = Service(reader, "tiny", batch_size=4, wait=2000, threads=1)
    app = app_of(service)

    async def all_at_once() -> list[Any]:
        async with app.app.router.lifespan_context(app.app):
            return await asyncio.gather(*(posted(app, path.read_bytes(), path.name) for path in lines[:8]))

    found = asyncio.run(all_at_once())
    assert [status for status, _ in found] == [200] * 8
    assert [said["answers"][0]["text"] for _, said in found] == [reader(path).value for path in lines[:8]]
    counted = service.metrics.text().decode()
    assert "crnn_batch_size_count 2.0" in counted and "crnn_batch_size_sum 8.0" in counted
    assert 'crnn_requests_total{route="/transcribe",status="200"} 8.0' in counted


async def posted(
    app: Any, body: bytes, name: str, *, pause: float = 0.0, leave: float | None = None, path: str = "/transcribe"
) -> tuple[int, Any]:
    """Status and JSON of a request, by ASGI itself: sent after ``pause``, and left ``leave`` seconds later."""
    method = "POST" if body else "GET"
    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
    said: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        if pieces:
            await asyncio.sleep(pause)
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}
        await asyncio.sleep(60 if leave is None else leave)
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        said.append(message)

    scope = {
        **{"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": []},
        **{"query_string": f"name={name}".encode(), "root_path": "", "scheme": "http", "http_version": "1.1"},
    }
    await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in said)
    return said[0]["status"], json.loads(text) if text else None


def test_a_mistake_of_ours_spoils_no_other_answer(
    reader: Predictor, lines: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = reader._said

    def broken(samples: Any, views: Any) -> Any:
        if any("bad" in sample.id for sample in samples):
            raise ZeroDivisionError("of the network")
        return said(samples, views)

    monkeypatch.setattr(reader, "_said", broken)
    monkeypatch.setattr(reader, "file", Path("/models/net.safetensors"))  # of which no client is told
    files = [("file", (name, lines[0].read_bytes())) for name in ("a.png", "bad.png", "b.png")]
    with served(reader) as (client, _):
        first, second, third = client.post("/transcribe", files=files).json()["answers"]
        assert first["text"] == third["text"] == reader(lines[0]).value
        assert "ZeroDivisionError" in second["error"]["given"] and "of the network" not in str(second)
        assert "/models" not in str(second)
        assert "a mistake of the server" in told(client.post("/transcribe", files=files[1:2]), 500)


# texts


def test_a_text_is_a_text_whatever_it_looks_like(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Predictor(tiny("text_rcnn", "classify", "sentence"), precision="float32")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("calm sea high tide", encoding="utf-8")
    texts = ["calm sea small wave", "notes.txt", "/etc/passwd", "file:///etc/passwd", "\ud800 wave"]
    with served(network) as (client, _):
        answers = client.post("/classify", content=json.dumps({"texts": texts})).json()
        assert "a request without a file" in answers["error"]["given"]  # of another content type
        json_type = {"content-type": "application/json"}
        response = client.post("/classify", content=json.dumps({"texts": texts}), headers=json_type)
        answers = response.json()["answers"]
        assert [a["id"] for a in answers[:4]] == texts[:4]
        for text, answer in zip(texts, answers, strict=True):
            (right,) = network.stream([Sample("x", text)])
            assert answer["label"] == right.value
        for wrong in (b"{", b"[]", b'{"text": 1}', b'{"texts": "a"}', b'{"path": "a"}', b"[" * 100_000):
            told(client.post("/classify", content=wrong, headers=json_type), 400)
        assert "an empty text" in told(client.post("/classify", json={"text": " "}), 422)
        assert client.post("/classify", files={"file": ("a.txt", b"high tide")}).status_code == 200


def test_a_network_of_files_opens_no_path(reader: Predictor, lines: list[Path]) -> None:
    with served(reader) as (client, _):
        told(client.post("/transcribe", json={"text": str(lines[0])}), 400)
        told(client.post("/transcribe", data={"text": str(lines[0])}, files={"file": ("a.png", b"")}), 400)
        told(client.post("/transcribe", data={"file": str(lines[0])}), 400)
        told(client.post(f"/transcribe?name={lines[0]}", content=b""), 422)


# names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("/etc/shadow.png", "shadow.png"),
        ("C:\\boot\\a.png", "a.png"),
        ("a\0b.png", "ab.png"),
        ("x" * 300 + ".png", "x" * 120 + ".png"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("\u202egnp.PNG", "gnp.PNG"),
    ],
)
def test_a_name_is_only_a_name(name: str, shown: str, reader: Predictor, lines: list[Path]) -> None:
    assert name_of(name) == shown
    with served(reader) as (client, service):
        response = client.post("/transcribe", params={"name": name, "html": "true"}, content=lines[0].read_bytes())
        (answer,) = response.json()["answers"]
        assert answer["id"] == shown and answer["text"] == reader(lines[0]).value
        assert "<img src=x" not in answer["html"]
        assert not list(service.answerer.folder.iterdir()), "something of a request is left"


@pytest.mark.parametrize("name", ["", ".", "..", "png", "a.png.exe", "a.xml", "a.jsonl", "a.png/", "list.csv"])
def test_files_of_other_kinds_are_refused(name: str, reader: Predictor) -> None:
    with served(reader) as (client, _):
        assert "expected a file in .bmp" in told(client.post("/transcribe", params={"name": name}, content=b"x"), 415)


# limits


def test_each_limit_has_its_code_and_its_sentence(reader: Predictor, lines: list[Path]) -> None:
    line = lines[0].read_bytes()
    with served(reader, max_mb=1, max_files=2, max_pixels=100) as (client, _):
        assert "--max-pixels" in told(client.post("/transcribe?name=a.png", content=line), 413)
        assert "--max-mb" in told(client.post("/transcribe?name=a.png", content=b"x" * 1_000_001), 413)

        def endless() -> Iterator[bytes]:
            for _ in range(1000):
                yield b"x" * 10_000

        assert "more than 1 megabytes came" in told(client.post("/transcribe?name=a.png", content=endless()), 413)
        files = [("file", ("a.png", line))]
        assert "--max-files" in told(client.post("/transcribe", files=files * 3), 413)
        assert "Send fewer" in told(client.post("/transcribe", files=files * 9), 413)
        many = {"content-type": "multipart/form-data; boundary=x"}
        told(client.post("/transcribe", content=b"--x\r\nnonsense", headers=many), 400)
        told(client.post("/transcribe", content=b"", headers={"content-type": "multipart/form-data"}), 400)
        told(client.get("/transcribe"), 405)
        told(client.get("/../../etc/passwd"), 404)
        told(client.post("/classify"), 404)
        told(client.post("/transcribe/"), 404)


def test_a_long_sound_is_refused_before_it_is_decoded(tiny: Tiny, made: Callable[..., Path]) -> None:
    network = Predictor(tiny("deepspeech2", "transcribe", "sound"), precision="float32")
    sound = next(made("transcribe", "sound").glob("*.wav"))
    with served(network, max_seconds=0.1) as (client, _):
        assert "--max-seconds" in told(client.post("/transcribe?name=a.wav", content=sound.read_bytes()), 413)


def test_arrays_and_films_have_their_limits_too(tiny: Tiny, made: Callable[..., Path], tmp_path: Path) -> None:
    network = Predictor(tiny("convlstm", "nowcast", "frames"), precision="float32")
    stored = min(made("nowcast", "frames").glob("*.npy")).read_bytes()
    film = min(made("classify", "film").rglob("*.mkv")).read_bytes()
    with served(network, max_pixels=24 * 16 * 16) as (client, _):  # of a film, each frame's
        assert client.post("/nowcast?name=a.npy&future=3", content=stored).status_code == 200
        assert client.post("/nowcast?name=a.mkv", content=film).status_code != 413
    with served(network, max_pixels=24 * 16 * 16 - 1, max_seconds=1) as (client, _):
        assert "--max-pixels" in told(client.post("/nowcast?name=a.npy", content=stored), 413)
        assert "--max-seconds" in told(client.post("/nowcast?name=a.mkv", content=film), 413)


def test_a_sample_of_several_inputs_has_a_field_for_each(made: Callable[..., Path]) -> None:
    tables = {"picture": {"name": "picture", "height": 16, "width": 32}, "wave": {"name": "series", "channels": 2}}
    classify = TASKS["classify"]
    bundle = build(classify.blank(classify.Settings(), 3), restore_several(tables), {"name": "parallel"})
    network = Predictor(bundle, precision="float32")
    sources = {"picture": min(made("detect").glob("*.png")), "wave": min(made("tag").glob("0*.csv"))}
    files = {name: (path.name, path.read_bytes()) for name, path in sources.items()}
    right = plain(network.task, network(sources))
    with served(network) as (client, _):
        (answer,) = client.post("/classify?html=1", files=files).json()["answers"]
        assert (answer["label"], answer["score"]) == (right["label"], right["score"])
        assert answer["id"] == sources["picture"].name and "wave" in answer["html"]
        assert [one["name"] for one in client.get("/about").json()["inputs"]] == ["picture", "wave"]
        swapped = {"picture": files["wave"], "wave": files["picture"]}
        assert "'.csv'" in told(client.post("/classify", files=swapped), 415)
        assert "one of each: picture, wave" in told(client.post("/classify", files={"wave": files["wave"]}), 400)
        assert "wave is a text" in told(
            client.post("/classify", files={"picture": files["picture"]}, data={"wave": "/etc/passwd"}), 400
        )
        told(client.post("/classify?name=a.png", content=b"x"), 400)
        assert "wave" in client.get("/openapi.json").text


def test_limits_that_contradict_each_other_are_refused(reader: Predictor) -> None:
    with pytest.raises(SettingsError, match="--max-queue"):
        Service(reader, "tiny", limits=Limits(max_files=9, max_queue=8))
    with pytest.raises(SettingsError, match="--max-batch"):
        Service(reader, "tiny", limits=Limits(timeout=600))


def test_a_full_queue_says_when_to_ask_again(reader: Predictor, lines: list[Path], gate: threading.Event) -> None:
    service = Service(reader, "tiny", limits=Limits(max_files=2, max_queue=2), batch_size=1, wait=0, threads=1)
    app, line = app_of(service), lines[0].read_bytes()

    async def crowd() -> list[Any]:
        async with app.app.router.lifespan_context(app.app):
            taken = []
            for _ in range(3):  # one is being answered, two wait
                taken.append(asyncio.ensure_future(posted(app, line, "a.png")))
                await asyncio.sleep(0.05)
            refused = await posted(app, line, "late.png")
            gate.set()
            return [refused, *await asyncio.gather(*taken)]

    (status, said), *others = asyncio.run(crowd())
    assert status == 503 and said["error"]["given"] == "2 samples wait already"
    assert [status for status, _ in others] == [200] * 3


def test_who_would_wait_too_long_is_refused_at_once(
    reader: Predictor, lines: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = reader._answer
    monkeypatch.setattr(reader, "_answer", lambda samples: time.sleep(0.2) or answer(samples))
    service = Service(reader, "tiny", limits=Limits(timeout=2), batch_size=1, wait=0, threads=1)
    app, line = app_of(service), lines[0].read_bytes()

    async def crowd() -> list[Any]:
        async with app.app.router.lifespan_context(app.app):
            await posted(app, line, "a.png")  # by which the server knows how long one takes
            return await asyncio.gather(*(posted(app, line, "a.png") for _ in range(20)))

    found = asyncio.run(crowd())
    statuses = [status for status, _ in found]
    assert {200, 503} <= set(statuses) <= {200, 503, 504}  # the last where this machine has become slower
    assert all("would take" in said["error"]["given"] for status, said in found if status == 503)


def test_who_is_late_or_gone_holds_no_place(
    reader: Predictor, lines: list[Path], gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(timeout=0.4)
    service = Service(reader, "tiny", limits=limits, batch_size=1, wait=0, threads=1)
    app, line = app_of(service), lines[0].read_bytes()

    async def people() -> list[Any]:
        async with app.app.router.lifespan_context(app.app):
            first = asyncio.ensure_future(posted(app, line, "a.png"))  # holds the only thread, and waits too long
            await asyncio.sleep(0.05)
            gone = asyncio.ensure_future(posted(app, line, "a.png", leave=0.1))
            slow = await posted(app, line, "a.png", pause=0.5)
            await gone
            assert not service.batches.waiting and service.asking == 0
            gate.set()
            for _ in range(50):  # however busy this machine is
                if (last := await posted(app, line, "a.png"))[0] == 200:
                    break
            return [await first, await gone, slow, last]

    first, gone, slow, last = asyncio.run(people())
    assert (first[0], gone[0], slow[0], last[0]) == (504, 499, 408, 200)
    assert "no answer after 0.4 seconds" in first[1]["error"]["given"]
    assert "had not come" in slow[1]["error"]["given"]
    gc.collect()
    assert not [record for record in caplog.records if record.levelname == "ERROR"], "nobody complains of them"


def test_a_crowd_fills_neither_memory_nor_disk(reader: Predictor, lines: list[Path]) -> None:
    service = Service(reader, "tiny", limits=Limits(max_mb=1, max_files=1, max_queue=8), threads=1)
    app = app_of(service)

    async def crowd() -> list[Any]:
        async with app.app.router.lifespan_context(app.app):
            large = b"x" * 990_000
            found = await asyncio.gather(*(posted(app, large, "a.png", pause=0.1) for _ in range(40)))
            assert service.held.bytes == 0 and service.asking == 0
            return [*found, await posted(app, lines[0].read_bytes(), "a.png")]

    *found, last = asyncio.run(crowd())
    given = {said["error"]["given"].split(" ", 1)[1] for status, said in found if status == 503}
    assert given >= {"requests are under way", "bytes are waited for already"}
    assert {status for status, _ in found} <= {422, 503} and last[0] == 200


# who may ask, and until when


def test_a_token_is_wanted_where_there_is_one(reader: Predictor, lines: list[Path]) -> None:
    line = lines[0].read_bytes()
    with served(reader, token="sesame") as (client, _):
        for path in ("/health", "/ready"):
            assert client.get(path).status_code == 200
        for path in ("/about", "/metrics", "/openapi.json"):
            assert "Bearer" in told(client.get(path), 401)
        assert "no token" in told(client.post("/transcribe?name=a.png", content=line), 401)
        wrong = {"authorization": "Bearer sésame".encode("latin-1")}
        assert "a wrong token" in told(client.post("/transcribe?name=a.png", content=line, headers=wrong), 401)
        right = {"authorization": "Bearer sesame"}
        assert client.post("/transcribe?name=a.png", content=line, headers=right).status_code == 200
        assert client.get("/openapi.json", headers=right).json()["security"] == [{"token": []}]


def test_pages_of_other_hosts_may_not_ask(reader: Predictor) -> None:
    with served(reader) as (client, service):
        assert "a page of" in told(client.get("/about", headers={"origin": "http://evil.example"}), 403)
        assert client.get("/about", headers={"origin": "http://testserver"}).status_code == 200
        app = app_of(service, hosts=frozenset({"127.0.0.1", "localhost"}))
        local = TestClient(app, base_url="http://evil.example")
        assert "own name" in told(local.get("/health"), 421)
        assert TestClient(app, base_url="http://localhost:8000").get("/health").status_code == 200
        headers = client.get("/about").headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_who_stops_answers_what_was_taken(reader: Predictor, lines: list[Path], gate: threading.Event) -> None:
    service = Service(reader, "tiny", threads=1)
    app, line = app_of(service), lines[0].read_bytes()

    async def stopped() -> tuple[Any, Any]:
        async with app.app.router.lifespan_context(app.app):
            taken = asyncio.ensure_future(posted(app, line, "a.png"))
            await asyncio.sleep(0.05)
            service.stop()
            refused = await posted(app, line, "a.png")
            gate.set()
            return await taken, refused

    taken, refused = asyncio.run(stopped())
    assert taken[0] == 200 and taken[1]["answers"][0]["text"] == reader(lines[0]).value
    assert refused[0] == 503 and refused[1]["error"]["given"] == "the server stops"


def test_a_batch_that_hangs_is_said_so_that_the_server_is_started_anew(
    reader: Predictor, lines: list[Path], gate: threading.Event
) -> None:
    limits = Limits(timeout=0.3, max_batch=0.6)
    service = Service(reader, "tiny", limits=limits, batch_size=1, wait=0, threads=1)
    app, line = app_of(service), lines[0].read_bytes()

    async def hung() -> list[Any]:
        async with app.app.router.lifespan_context(app.app):
            late = await posted(app, line, "a.png")
            waits = await posted(app, line, "a.png")
            refused = await posted(app, line, "a.png")
            looked = [await posted(app, b"", "", path=path) for path in ("/health", "/ready")]
            assert service.busy and not service.asking
            gate.set()
            async with asyncio.timeout(20):
                while service.hanging.is_set():  # it came to an end after all
                    await asyncio.sleep(0.05)
            for _ in range(50):  # however busy this machine is
                if (last := await posted(app, line, "a.png"))[0] == 200:
                    break
            return [late, last, waits, refused, *looked]

    late, answered, *refused = asyncio.run(hung())
    assert late[0] == 504
    for status, said in refused:
        assert status == 503 and said["error"]["given"] == "a batch hangs in the network"
    assert answered[0] == 200


def test_the_folders_of_killed_servers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, fresh, link, other = (
        tmp_path / f"{name}killed" for name in (PREFIX, f"{PREFIX}new-", f"{PREFIX}link-", "else-")
    )
    for folder in (old, fresh, other):
        folder.mkdir()
        (folder / "a.png").touch()
    link.symlink_to(other)
    for folder in (old, other):
        os.utime(folder, (0, 0))
    with private_folder() as own:
        os.utime(own, (0, 0))
        with private_folder() as another:
            assert own != another and own.is_dir() and (own.stat().st_mode & 0o77) == 0
            assert set(tmp_path.iterdir()) == {fresh, link, other, own, another} and (other / "a.png").exists()
    assert not own.exists() and not another.exists()


def test_ready_says_when_the_server_stops(reader: Predictor) -> None:
    with served(reader) as (client, service):
        assert client.get("/ready").json() == {"ready": True}
        service.stop()
        assert client.get("/ready").status_code == 503 and client.get("/health").status_code == 200


def test_the_document_names_each_route_and_resolves(reader: Predictor) -> None:
    with served(reader, token="a") as (client, _):
        headers = {"authorization": "Bearer a"}
        document = client.get("/openapi.json", headers=headers).json()
        assert set(document["paths"]) == {"/transcribe", "/about", "/health", "/ready", "/metrics"}
        for path, methods in document["paths"].items():
            for method, said in methods.items():
                assert client.request(method, path, headers=headers).status_code < 500
                assert said["responses"] and said["summary"]
        references = set(_references(document))
        assert references and all(name in document["components"]["schemas"] for name in references)
        about = client.get("/about", headers=headers).json()
        assert about["inputs"][0]["name"] == "file" and about["limits"]["max_mb"] == 20


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix("#/components/schemas/")
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
