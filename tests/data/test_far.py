"""Shards that lie on a server or in a store are read by ranges, as those of a disk; each mistake is one sentence."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import crnn
from crnn.cli.job import Job
from crnn.data import far
from crnn.data.dataset import Samples
from crnn.data.far import Far, fetch
from crnn.data.formats import Asked, open_data
from crnn.data.inputs import learn
from crnn.data.packed import Packed
from crnn.data.shards import write_shards
from crnn.errors import CrnnError, DataError, SettingsError, TrainingError, Unreachable
from crnn.train.callbacks import Progress
from crnn.train.state import reached
from crnn.types import Sample

Made = Callable[..., Path]


@dataclass
class Server:
    """Serves a folder as stores do, and counts; ``left`` is how many requests it answers before it is out of order."""

    folder: Path
    address: str = ""
    ranges: bool = True
    left: int = 1 << 30
    broken: int = 503
    served: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler, *, head: bool = False) -> None:
        self.requests.append(request.path)
        self.left -= 1
        path = self.folder / request.path.lstrip("/")
        if self.left < 0 or not path.is_file():
            request.send_response(self.broken if self.left < 0 else 404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if asked and self.ranges:
            data = data[int(asked[1]) : int(asked[2]) + 1]
        request.send_response(206 if asked and self.ranges else 200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if not head:
            self.served[path.suffix] = self.served.get(path.suffix, 0) + len(data)
            request.wfile.write(data)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    told = Server(tmp_path / "far")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        do_GET = told.answer
        do_HEAD = partial(told.answer, head=True)

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            return partial(found, self) if name in ("do_GET", "do_HEAD") else found

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        told.address = f"http://127.0.0.1:{http.server_port}"
        yield told
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "WAIT", 0.0)


def packed(samples: list[Sample], out: Path, answer: str = "text", megabytes: float = 0.01) -> list[str]:
    return list(write_shards(samples, out, answer=answer, megabytes=megabytes, progress=lambda: None).shards)


@pytest.fixture
def lines(made: Made, server: Server) -> list[Sample]:
    """Lines of text, and the same on the server, in several shards."""
    samples = open_data(made("transcribe"))
    assert len(packed(samples, server.folder)) > 2
    return samples


def in_memory(folder: Path, name: str) -> str:
    for file in folder.iterdir():
        fsspec.filesystem("memory").pipe(f"/{name}/{file.name}", file.read_bytes())
    return f"memory://{name}"


def test_they_are_the_samples_that_were_packed(lines: list[Sample], server: Server, tmp_path: Path) -> None:
    kind = learn({"name": "line"}, lines)
    names = sorted(path.name for path in server.folder.glob("*.tar"))
    last = int(names[-1][4:10])
    places = [f"{server.address}/", f"{server.address}/all-{{000000..{last:06}}}.tar", in_memory(server.folder, "same")]
    for place in places:
        server.served.clear()
        found = open_data(place)
        assert server.served.get(".tar", 0) <= 1, "no more than a byte, to see whether it can be had"
        assert [(s.id, s.y, s.group, s.split) for s in found] == [(s.id, s.y, s.group, s.split) for s in lines]
        assert all(kind.steps(a.x) == kind.steps(b.x) for a, b in zip(found, lines, strict=True))
        assert server.served.get(".tar", 0) <= 1, "headers are in the index"
        np.testing.assert_array_equal(kind.decode(found[5].x), kind.decode(lines[5].x))
        assert server.served.get(".tar", 0) in (0, 1 + found[5].x.size)
    assert str(found[0].x) == "memory://same/all-000000.tar/000000000.png"
    assert len(open_data(f"{server.address}/{names[1]}")) < len(lines)


def test_a_batch_is_few_requests_and_neighbours_are_one(lines: list[Sample], server: Server) -> None:
    files = [sample.x for sample in open_data(server.address)]
    shards = {file.shard for file in files}
    server.requests.clear()
    data = fetch([(file.shard, file.start, file.size) for file in reversed(files)])
    assert data[::-1] == [sample.x.read_bytes() for sample in lines]
    assert len(server.requests) == len(shards) < len(files)


def test_sentences_are_fetched_together(made: Made, server: Server) -> None:
    told = Asked(answer="label", suffixes=frozenset({".txt"}))
    samples = [Sample(f"{i}", f"the sentence {i}", "ab"[i % 2]) for i in range(50)]
    packed(samples, server.folder, "label", 1)
    found = open_data(server.address, asked=told)
    assert [s.x for s in found] == [s.x for s in samples]
    assert sum(path.endswith(".tar") for path in server.requests) <= 6


class Plain:
    """A task that leaves samples as they are."""

    aligned = False

    def encode(self, sample: Sample) -> Sample:
        return sample


def test_parent_and_workers_each_have_connections_of_their_own(lines: list[Sample], server: Server) -> None:
    samples, kind = open_data(server.address), learn({"name": "line"}, lines)
    data: Any = Samples(samples, kind, Plain())
    batches = [[(0, 4 * b + i) for i in range(4)] for b in range(4)]
    first = samples[0].x.read_bytes()
    loader: Any = DataLoader(data, batch_sampler=batches, collate_fn=list, num_workers=2)  # type: ignore[arg-type]
    for batch, numbers in zip(loader, batches, strict=True):
        assert samples[0].x.read_bytes() == first
        for sample, (_, i) in zip(batch, numbers, strict=True):
            np.testing.assert_array_equal(sample.x, kind.finish(kind.decode(lines[i].x)))


def recipe(data: str, **more: Any) -> dict[str, Any]:
    small = {"name": "crnn", "channels": [4, 4, 4, 4], "blocks": [0, 0, 0, 0], "hidden": 4, "layers": 1}
    train = {"epochs": 2, "batch_size": 4, "workers": 0, "threads": 1, "precision": "float32", "device": "cpu"}
    return {"input": {"height": 16}, "encoder": small, "train": train | more, "data": {"train": data}}


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    return state


def test_training_goes_on_to_the_bit_when_the_server_is_back(
    made: Made, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made("transcribe")
    packed(samples := open_data(folder), server.folder)
    crnn.fit(recipe(str(folder)), tmp_path / "near")
    monkeypatch.setitem(Samples.__init__.__kwdefaults__, "cache_mb", 0)
    write = Progress.on_train_batch_end

    def out_of_order(self: Any, trainer: Any, module: Any, *rest: Any) -> None:
        write(self, trainer, module, *rest)
        if (trainer.current_epoch, rest[-1]) == (1, 2):
            server.left = 0

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_train_batch_end", out_of_order)
        with pytest.raises(TrainingError, match=r"the data are lost: http:.*\.tar: cannot be reached \(503 .*tried 4"):
            crnn.fit(recipe(f"{server.address}/", save_minutes=1e-6), tmp_path / "far")
    assert reached(tmp_path / "far" / "last.ckpt") == (1, 3, False), "in the middle of an epoch"
    server.left = 1 << 30
    server.served.clear()
    crnn.fit({}, tmp_path / "far", resume=True)
    near, there = weights(tmp_path / "near"), weights(tmp_path / "far")
    assert all(torch.equal(near[name], there[name]) for name in near)
    one, other = (
        [json.loads(row)["loss"] for row in (tmp_path / name / "epochs.jsonl").read_text().splitlines()]
        for name in ("near", "far")
    )
    assert one == other
    most = sum(sample.x.stat().st_size + 2048 for sample in samples)  # with what lies between neighbours
    assert server.served[".tar"] < 3 * most, "to learn the scale, for the rest of the epoch, and to validate"


def test_what_may_pass_is_tried_again(lines: list[Sample], server: Server) -> None:
    file = open_data(server.address)[3].x
    for status, tries in ((503, far.TRIES), (429, far.TRIES), (403, 1), (404, 1)):
        server.left, server.broken = 0, status
        server.requests.clear()
        with pytest.raises(Unreachable if tries > 1 else DataError, match=re.escape(server.address)) as error:
            file.read_bytes()
        assert len(server.requests) == tries
        assert str(status) in str(error.value) or "is not there" in str(error.value)

    def heal(_: float) -> None:
        server.left = 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(far.time, "sleep", heal)
        server.left, server.broken = 0, 503
        assert file.read_bytes() == lines[3].x.read_bytes()


def test_a_server_without_ranges_is_refused_not_misread(lines: list[Sample], server: Server) -> None:
    file = open_data(server.address)[3].x
    server.ranges = False
    server.served.clear()
    with pytest.raises(DataError, match="is given whole or not at all; expected a server that serves ranges"):
        open_data(server.address)
    with pytest.raises(DataError, match=rf"gave [\d,]+ of {file.size:,} bytes; expected a server that serves ranges"):
        file.read_bytes()


def test_shards_that_changed_are_noticed(lines: list[Sample], server: Server) -> None:
    found = open_data(server.address)
    shard = server.folder / "all-000001.tar"
    data = shard.read_bytes()
    for changed in (data + bytes(512), data[:-512]):
        shard.write_bytes(changed)
        with pytest.raises(DataError, match=rf"all-000001\.index: .*shard of {len(data):,} bytes, this one has"):
            open_data(server.address)
        with pytest.raises(DataError, match="this one has"):
            open_data(server.folder)
    shard.write_bytes(b"")
    number = next(i for i, s in enumerate(found) if s.x.shard.name == shard.name)
    with pytest.raises(DataError, match=r"all-000001\.tar: "):
        found[number].x.read_bytes()
    batch = Samples(found, None, None).__getitems__([(0, 0), (0, number)])
    assert all(isinstance(error, Unreachable) for error in batch), "which ends a training, since it is no broken sample"


def test_without_an_index_they_are_refused(lines: list[Sample], server: Server) -> None:
    index = server.folder / "all-000001.index"
    rows = index.read_text()
    index.unlink()
    with pytest.raises(DataError, match=r"/all-000001\.index: is not there; .*what crnn pack wrote lies together"):
        open_data(server.address)
    index.write_text("")
    with pytest.raises(DataError, match="it is empty"):
        open_data(server.address)
    index.write_text(rows)
    (server.folder / "shards.index").unlink()
    assert open_data(f"{server.address}/all-{{000000,000001}}.tar")
    with pytest.raises(DataError, match=r"/shards\.index: is not there"):
        open_data(server.address)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere://set/", "is an address of nowhere; expected https, s3"),
        ("s3://bucket/set/", "whose library is not installed .*pip install s3fs"),
        ("https://me:secret@host/set/", r"https://\.\.\.@host/set/ has a password in it"),
        ("https://host/a.tar?key=secret", r"https://host/a\.tar has a query"),
        ("file:///etc/", "names no server"),
        ("http://127.0.0.1:9/set/", r"http://127\.0\.0\.1:9/set/shards\.index: cannot be reached .*tried 4 times"),
        ("memory://nothing/x.tar", r"memory://nothing/x\.tar: is not there"),
    ],
)
def test_each_mistake_is_one_sentence(address: str, said: str) -> None:
    with pytest.raises(CrnnError, match=said) as error:
        open_data(address)
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_only_shards_are_read_from_addresses(lines: list[Sample], server: Server) -> None:
    with pytest.raises(SettingsError, match="far away in the format pairs"):
        open_data(server.address, "pairs")
    with pytest.raises(DataError, match="holds answers of the kind text"):
        open_data(server.address, asked=Asked(answer="label"))


def test_no_address_in_data_is_followed(lines: list[Sample], server: Server, tmp_path: Path) -> None:
    place = in_memory(server.folder, "secret")
    table = tmp_path / "table.csv"
    for name in (f"{server.address}/a.png", f"{place}/all-000000.tar", f"{place}/{{a,b}}.tar"):
        table.write_text(f'file,text\n"{name}",a\n')
        with pytest.raises(CrnnError, match="is a web address"):
            open_data(table)
    index, shards = server.folder / "all-000000.index", server.folder / "shards.index"
    rows, known = index.read_text(), shards.read_text()
    for name in (f"{place}/all-000000.tar", "../all-000000.tar", "/etc/x.tar", ".x.tar"):
        shards.write_text(json.dumps(json.loads(known) | {"shards": {name: {}}}))
        with pytest.raises(DataError, match="is no plain name of a shard"):
            open_data(server.address)
        row = json.loads(rows.splitlines()[0])
        row["inputs"][""][0] = name
        index.write_text(json.dumps(row) + "\n")
        if not name.startswith(".x"):
            with pytest.raises(DataError, match="is no plain name"):
                open_data(f"{server.address}/all-000000.tar")
    requests = len(server.requests)
    with pytest.raises(CrnnError):  # a path is never an address
        open_data(Path(server.address))
    assert len(server.requests) == requests


def test_predict_reads_an_address_that_is_given_and_none_of_a_list(
    lines: list[Sample], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(truths=False)
    found = list(Job([f"{server.address}/"], "auto", asked, Path).samples())
    assert len(found) == len(lines) and found[0].id.startswith("http://127")
    requests = len(server.requests)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{server.address}/\n{server.address}/all-000000.tar\n"))
    job = Job(["-"], "auto", asked, Path)
    assert not list(job.samples()) and len(server.requests) == requests
    assert all("is not there" in str(error) for error in job.left_out) and len(job.left_out) == 2


def test_an_address_is_a_path_that_opens() -> None:
    path = Far.of("https://a.org/b/c.tar")
    assert (str(path), str(path.with_suffix(".index"))) == ("https://a.org/b/c.tar", "https://a.org/b/c.index")
    assert str(path.parent / "d") == "https://a.org/b/d" and path.name == "c.tar"
    file = Packed.of(path, "x.png", 1, 2)
    assert str(file) == "https://a.org/b/c.tar/x.png" and file.is_file() and file.stat().st_size == 2
