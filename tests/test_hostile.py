"""Files of strangers: none runs code, opens another file, or takes more memory or time than an honest one."""

from __future__ import annotations

import gzip
import inspect
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.numpy import save_file

from crnn import bundle as bundles
from crnn.cli import main
from crnn.cli.export import export
from crnn.cli.lm import tune
from crnn.cli.predict import predict
from crnn.cli.test import test as try_out
from crnn.config import fill
from crnn.data.dataset import Samples
from crnn.data.formats import Asked, open_data
from crnn.data.formats._files import walk
from crnn.data.inputs import INPUTS
from crnn.data.inputs._film_files import header_of
from crnn.data.inputs._pictures import opened
from crnn.data.shard_answers import answer_of
from crnn.data.shards import write_shards
from crnn.deploy import hub
from crnn.deploy.asked import asked_of
from crnn.deploy.onnx import read as read_onnx
from crnn.deploy.predict import Predictor
from crnn.errors import BundleError, CrnnError, DataError, SettingsError
from crnn.recipe import Recipe, TrainSettings, read_recipe
from crnn.tasks import TASKS
from crnn.tasks._events.runs import activity
from crnn.types import Part, Sample

LABELS = Asked(answer="label", suffixes=INPUTS["picture"].suffixes)


class Trap:
    """What touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


# bombs: a small file that claims, or unpacks to, far more than it can honestly hold


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def blank(kind: str, size: tuple[int, int], mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def tiff() -> bytes:
    """60,000 x 60,000 pixels, of which none is there."""
    rows = [(256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    rows += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 60_000), (279, 4, 1, 3_600_000_000)]
    body = b"".join(struct.pack("<HHII", *row) for row in rows)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(rows)) + body + struct.pack("<I", 0)


def npy_head(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()


def npz(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in members.items():
            packed.writestr(name, body)
    return file.getvalue()


def flac(path: Path) -> None:
    """A second that says it lasts for a day."""
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    data = bytearray(path.read_bytes())
    fields = int.from_bytes(data[18:26], "big")  # rate, channels, bits, and 36 bits that count the samples
    data[18:26] = (fields >> 36 << 36 | 16000 * 86400).to_bytes(8, "big")
    path.write_bytes(data)


def hollow(path: Path) -> None:
    """Frames of which none was written: what is absent is zero, as many as the shape says."""
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", (100_000, 10_000, 10_000), "f4", chunks=(1, 1000, 1000), compression="gzip")


def safetensors(path: Path) -> None:
    head = json.dumps({"a": {"dtype": "F32", "shape": [25_000_000_000], "data_offsets": [0, 100_000_000_000]}})
    path.write_bytes(struct.pack("<Q", len(head)) + head.encode())


def huge_network(path: Path) -> None:
    values = {
        "format": 3,
        "task": {"name": "classify"},
        "learned": {"labels": ["a", "b"], "counts": [1, 1]},
        "input": {"name": "picture"},
        "seen": {"height": 64, "width": 64, "mean": [0.0], "deviation": [1.0]},
        "encoder": {"name": "cascade", "hidden": 10_000_000},
        "card": {},
    }
    save_file({"a": np.zeros(3, np.float32)}, path, metadata={"crnn": json.dumps(values)})


def laughs() -> str:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20))
    return f'<?xml version="1.0"?><!DOCTYPE PcGts [<!ENTITY a0 "ha">{entities}]><PcGts>&a19;</PcGts>'


BOMBS: dict[str, Callable[[Path], Any]] = {
    "vast.png": lambda p: p.write_bytes(png(60_000, 60_000)),
    "large.png": lambda p: p.write_bytes(png(8_000, 9_000)),
    "text.png": lambda p: p.write_bytes(png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000))))),
    "length.png": lambda p: p.write_bytes(png(8, 8)[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT"),
    "large.gif": lambda p: p.write_bytes(
        blank("GIF", (64, 64)).replace(struct.pack("<HH", 64, 64), struct.pack("<HH", 8000, 9000))
    ),
    "vast.tif": lambda p: p.write_bytes(tiff()),
    "vast.jpg": lambda p: p.write_bytes(
        blank("JPEG", (64, 64)).replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 65000, 65000), 1)
    ),
    "claims.npy": lambda p: p.write_bytes(npy_head((10**6, 10**6)) + bytes(100)),
    "claims.npz": lambda p: p.write_bytes(npz({"frames.npy": npy_head((10**4, 10**4, 10**4)) + bytes(100)})),
    "hollow.h5": hollow,
    "day.flac": flac,
    "weights.safetensors": safetensors,
    "network.safetensors": huge_network,
    "blank.arpa.gz": lambda p: p.write_bytes(gzip.compress(b"\\data\\\n" + b"\n" * 3_000_000)),
    "line.arpa.gz": lambda p: p.write_bytes(gzip.compress(b"\\data\\\n" + b"a" * 3_000_000)),
    "laughs.xml": lambda p: p.write_text(laughs()),
    "deep.xml": lambda p: p.write_text("<PcGts>" + "<a>" * 100_000),
    "deep.json": lambda p: p.write_text('{"images":' + "[" * 100_000),
    "deep.toml": lambda p: p.write_text("a = " + "[" * 100_000),
}
READ = """
import json, resource, sys, time
from pathlib import Path
import torch
from crnn import bundle
from crnn.data.formats import Asked, open_data
from crnn.data.inputs import INPUTS
from crnn.decode.arpa import read_arpa
from crnn.errors import CrnnError
from crnn.recipe import read_recipe
kinds = {"png": "scene", "gif": "scene", "webp": "scene", "tif": "scene", "jpg": "scene", "npy": "frames",
         "npz": "frames", "h5": "frames", "flac": "sound"}
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20), resource.RLIM_INFINITY))
def read(path):
    ending = path.suffix[1:]
    if ending in kinds:
        kind = INPUTS[kinds[ending]]()
        kind.steps(path)
        kind.decode(path)
    elif ending == "safetensors":
        bundle.load(path)
    elif ending == "toml":
        read_recipe(path)
    elif ending == "gz":
        read_arpa(path)
    else:
        open_data(path, asked=Asked(answer="boxes" if ending == "json" else "text"))
for path in sorted(Path(sys.argv[1]).iterdir()):
    began = time.process_time()
    try:
        said = "read" if read(path) is None else ""
    except CrnnError as error:
        said = str(error)
    except BaseException as error:
        said = f"!{type(error).__name__} {error}"
    print(json.dumps([path.name, said, time.process_time() - began]))
"""


@pytest.fixture(scope="module")
def said_of_bombs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float]]:
    """What is said of each bomb, and how many seconds it took, in a process that may take 700 MB."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, write in BOMBS.items():
        write(folder / name)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (said, seconds) for name, said, seconds in rows}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_a_sentence(name: str, said_of_bombs: dict[str, tuple[str, float]]) -> None:
    said, seconds = said_of_bombs[name]
    assert name in said and "expected" in said and not said.startswith("!"), said
    assert seconds < 5  # of the processor, where it is found out at once


# code


@pytest.mark.parametrize("name", sorted(INPUTS.keys() - {"sentence"}))
def test_a_text_in_the_place_of_a_path_is_said(name: str) -> None:
    for look in (INPUTS[name]().steps, INPUTS[name]().decode):
        with pytest.raises(DataError, match="a str; expected a path"):
            look("a.webp")  # type: ignore[arg-type]


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")] * 3, object)
    np.savez(tmp_path / "a.npz", x=trap, y=np.arange(3))
    np.savez(tmp_path / "frames.npz", frames=trap.reshape(3, 1, 1))
    np.save(tmp_path / "a.npy", trap)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    no_letters = np.array(["a", "b", "c"])
    no_letters.view(np.uint32)[1] = 0x110000
    np.savez(tmp_path / "letters.npz", x=np.zeros((3, 8, 8)), y=no_letters)
    with pytest.raises(DataError, match=r"letters.npz: cannot be read \(y holds what is no letter\)"):
        open_data(tmp_path / "letters.npz", asked=LABELS)
    with pytest.raises(DataError, match=r"a.npz: holds the array x, which is one of Python objects"):
        open_data(tmp_path / "a.npz", asked=LABELS)
    for kind, name in (("frames", "frames.npz"), ("frames", "a.npy"), ("series", "a.npy"), ("series", "b.npy")):
        with pytest.raises(DataError, match=name):
            INPUTS[kind]().decode(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_pickles_and_archives_in_the_place_of_any_file_are_refused(tmp_path: Path) -> None:
    """Whatever a file is called: under every ending that a kind of input reads, and as tables and bundles."""
    evil = pickle.dumps(Trap(tmp_path / "sprung"))
    checkpoint = io.BytesIO()
    torch.save({"w": Trap(tmp_path / "sprung")}, checkpoint)
    packed = npz({"../../a.png": b"a", "/etc/a": evil, "x.npy": evil})
    for number, data in enumerate((evil, checkpoint.getvalue(), packed)):
        for name, kind in INPUTS.items():
            if name == "sentence":  # any text is one
                continue
            for ending in sorted(kind.suffixes):
                file = tmp_path / f"{number}{ending}"
                file.write_bytes(data)
                try:
                    kind().decode(file)
                    assert name == "sound"  # to a reader of mp3 much is noise
                except CrnnError as error:
                    assert file.name in str(error)
        for ending in (".csv", ".tsv", ".jsonl", ".parquet", ".xml", ".json"):
            file = tmp_path / f"{number}{ending}"
            file.write_bytes(data)
            with pytest.raises(CrnnError, match=str(tmp_path)):
                open_data(file, asked=LABELS)
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / bundles.NAME).write_bytes(data)
        with pytest.raises(BundleError, match="cannot be read"):
            bundles.load(tmp_path / "run")
        (tmp_path / "model.safetensors").write_bytes(data)
        with pytest.raises(BundleError, match="cannot be read"):
            hub.pull(str(tmp_path), tmp_path / "pulled")
    assert not (tmp_path / "sprung").exists() and not (tmp_path / "pulled").exists()


def test_pictures_that_other_programs_would_draw_are_refused(tmp_path: Path) -> None:
    """PostScript is a program: Pillow would run Ghostscript."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"a.png: is not a picture"):
        opened(tmp_path / "a.png", (0, 0))


def test_films_that_are_lists_of_other_files_are_refused(tmp_path: Path, made: Callable[..., Path]) -> None:
    film = next(made("classify", "film").rglob("*.mkv"))
    (tmp_path / "own.mkv").write_bytes(film.read_bytes())
    header_of(tmp_path / "own.mkv")
    lists = {
        "concat.mp4": "ffconcat version 1.0\nfile own.mkv\n",
        "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nown.mkv\n#EXT-X-ENDLIST\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=rf"{name}: cannot be decoded"):
            header_of(tmp_path / name)


def test_hdf5_that_names_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(64)))
    with h5py.File(tmp_path / "outer.h5", "w") as file:
        file.create_dataset("frames", (4, 4, 4), "u1", external=[(str(tmp_path / "secret"), 0, 64)])
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["frames"] = np.zeros((4, 4, 4), np.uint8)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((4, 4, 4), "u1")
        layout[:] = h5py.VirtualSource(str(tmp_path / "own.h5"), "frames", (4, 4, 4))
        file.create_virtual_dataset("frames", layout)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["frames"] = h5py.ExternalLink("own.h5", "frames")
    assert INPUTS["frames"]().decode(tmp_path / "own.h5").shape == (4, 1, 4, 4)
    for name in ("outer", "virtual"):
        (tmp_path / f"{name}.nc").write_bytes((tmp_path / f"{name}.h5").read_bytes())
        for file in (f"{name}.h5", f"{name}.nc"):
            with pytest.raises(DataError, match=rf"{file}: names another file for frames"):
                INPUTS["frames"]().decode(tmp_path / file)
    with pytest.raises(DataError, match=r"link.h5: holds the arrays none"):
        INPUTS["frames"]().decode(tmp_path / "link.h5")


def test_pipes_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    """A pipe that nobody writes into would be waited for until the end of time."""
    for name in ("a.png", "b.xml", "c.csv"):
        os.mkfifo(tmp_path / name)
    Image.new("L", (8, 8)).save(tmp_path / "d.png")
    assert walk(tmp_path) == [tmp_path / "d.png"]
    assert [sample.id for sample in open_data(tmp_path)] == ["d.png"]


def header(data: bytes, kind: bytes, size: int) -> bytes:
    """The tar ``data``, of which the first header says another kind and size, in binary as GNU writes large ones."""
    head = bytearray(data[:512])
    head[124:136] = (b"\xff" if size < 0 else b"\x80") + size.to_bytes(11, "big", signed=True)
    head[156:157] = kind
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head) + data[512:]


def test_tars_whose_headers_lie_are_refused(tmp_path: Path) -> None:
    """Sizes below nothing lead back into the tar for ever, those of names would be memory, as would names of names."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, body in (("0.png", blank("PNG", (8, 8))), ("0.cls", b"a")):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    data, shard = file.getvalue(), tmp_path / "a.tar"
    shard.write_bytes(data)
    assert [sample.y for sample in open_data(shard, asked=LABELS)] == ["a"]
    claims = ((b"0", -1024), (b"0", 1 << 40), (b"3", -1024), (b"L", 1 << 40), (b"L", -512))
    lies = [header(data, kind, size) for kind, size in claims]
    for lie in (*lies, header(data, b"L", 0)[:512] * 3000 + data):
        shard.write_bytes(lie)
        with pytest.raises(DataError, match=r"a.tar: "):
            open_data(shard, asked=LABELS)


def test_indexes_of_shards_that_lack_something_are_refused(tmp_path: Path) -> None:
    samples = [Sample("a", np.zeros((8, 8), np.uint8), "x", "g", "train")]
    write_shards(samples, tmp_path / "out", answer="label", megabytes=1, progress=lambda: None)
    (index,) = tmp_path.glob("out/*-*.index")
    row = json.loads(index.read_text())
    for key in ("id", "group", "split", "answer", "inputs"):
        index.write_text(json.dumps({k: v for k, v in row.items() if k != key}) + "\n")
        with pytest.raises(DataError, match=rf"{index.name}: cannot be read at line 1 \('{key}'\)"):
            open_data(tmp_path / "out", asked=LABELS)
    for wrong in ({"group": ["g"]}, {"split": 3}, {"id": {}}):
        index.write_text(json.dumps({**row, **wrong}) + "\n")
        with pytest.raises(DataError, match="is no text"):
            open_data(tmp_path / "out", asked=LABELS)
    for text in ("[" * 100_000, "{}"):
        index.write_text(text)
        with pytest.raises(DataError, match=index.name):
            open_data(tmp_path / "out", asked=LABELS)
    index.write_text(json.dumps(row) + "\n")
    (tmp_path / "out" / "shards.index").write_text("[" * 100_000)
    assert [sample.id for sample in open_data(tmp_path / "out", asked=LABELS)] == ["a"]


NO_NUMBERS = (float("nan"), float("inf"), -1.0, 10**400)


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_answers_of_shards_are_numbers_that_can_be(number: float) -> None:
    wrong: list[tuple[str, Any]] = [
        ("events", [{"label": "a", "start": 0, "stop": number}]),
        ("boxes", {"size": [number, 9], "boxes": []}),
        ("map", {"size": [10**6, 10**6 if number == -1 else number], "parts": []}),
    ]
    if number != -1:
        wrong += [("numbers", number), ("numbers", [1, number]), ("boxes", {"size": [9, 9], "boxes": [["a", 0, 0, 9]]})]
        wrong += [("boxes", {"size": [9, 9], "boxes": [["a", 0, 0, 9, number, True]]})]
        wrong += [("map", {"size": [9, 9], "parts": [[1, [0, 0, number, 9, 9, 9]]]})]
    for kind, value in wrong:
        with pytest.raises(DataError, match=rf"a.tar: has an answer that is none of {kind}"):
            answer_of(value, kind, Path("a.tar"))


def test_events_may_last_for_ever() -> None:
    """Longer than any number of steps says: they end with the sound."""
    table = activity([Part("a", 0.5, 1e308, 1.0)], 3, 100.0, {"a": 0})
    assert not table.any() and activity([Part("a", 0.0, 1e308, 1.0)], 3, 100.0, {"a": 0}).all()


TELLERS: dict[str, Callable[[str], str]] = {
    "lines.csv": lambda name: f"image,text\n{name},one\n",
    "lines.jsonl": lambda name: json.dumps({"image": name, "text": "one"}),
    "page.xml": lambda name: (
        f'<PcGts><Page imageFilename="{name}" imageWidth="8" imageHeight="8"><TextRegion id="r"><TextLine id="l">'
        '<Coords points="0,0 8,0 8,8 0,8"/><TextEquiv><Unicode>one</Unicode></TextEquiv></TextLine></TextRegion></Page>'
        "</PcGts>"
    ),
    "coco.json": lambda name: json.dumps(
        {
            "images": [{"id": 1, "file_name": name, "width": 8, "height": 8}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}],
            "categories": [{"id": 1, "name": "a"}],
        }
    ),
    "voc.xml": lambda name: f"<annotation><filename>{name}</filename></annotation>",
}
"""Files that name a picture."""


@pytest.mark.parametrize("teller", TELLERS)
def test_names_in_files_lead_nowhere_else(teller: str, tmp_path: Path) -> None:
    """Neither by an absolute path nor by ``..`` nor by a link, of a file or of a folder."""
    other, folder = tmp_path / "other", tmp_path / "given" / "data"
    other.mkdir()
    folder.mkdir(parents=True)
    Image.new("L", (8, 8)).save(other / "secret.png")
    Image.new("L", (8, 8)).save(folder / "own.png")
    (folder / "link.png").symlink_to(other / "secret.png")
    (folder / "links").symlink_to(other)
    (folder / "same.png").symlink_to(folder / "own.png")
    asked = Asked(answer="boxes" if teller in ("coco.json", "voc.xml") else "text")
    names = (str(other / "secret.png"), "../../other/secret.png", "link.png", "links/secret.png", "a/../link.png")
    for name in names:
        (folder / teller).write_text(TELLERS[teller](name))
        with pytest.raises(DataError) as caught:
            open_data(folder / teller, asked=asked)
        assert teller in str(caught.value)
    for name in ("own.png", "same.png"):
        (folder / teller).write_text(TELLERS[teller](name))
        (sample,) = open_data(folder / teller, asked=asked)
        assert Path(getattr(sample.x, "page", sample.x)).name == name


@pytest.mark.parametrize("teller", [name for name in TELLERS if name != "voc.xml"])
def test_names_in_files_lead_elsewhere_where_the_user_says_so(teller: str, tmp_path: Path) -> None:
    """To files alone, and never to an address. (VOC names no more than a picture's name.)"""
    other, folder = tmp_path / "other", tmp_path / "given" / "data"
    other.mkdir()
    folder.mkdir(parents=True)
    Image.new("L", (8, 8)).save(other / "secret.png")
    (folder / "link.png").symlink_to(other / "secret.png")
    (folder / "links").symlink_to(other)
    asked = Asked(answer="boxes" if teller == "coco.json" else "text", outside=True)
    for name in (str(other / "secret.png"), "../../other/secret.png", "link.png", "links/secret.png"):
        (folder / teller).write_text(TELLERS[teller](name))
        (sample,) = open_data(folder / teller, asked=asked)
        picture = Path(getattr(sample.x, "page", sample.x))
        assert picture.samefile(other / "secret.png")
        if teller != "page.xml":
            inside = picture.is_relative_to(folder)
            assert sample.id == (name if inside else str(other / "secret.png")), "else two might have one name"
        with pytest.raises(DataError):
            open_data(folder / teller, asked=replace(asked, outside=False))
    for name in ("http://localhost/a.png", "file:///etc/passwd", "/dev/zero", "nowhere.png", "a\nb.png"):
        (folder / teller).write_text(TELLERS[teller](json.dumps(name)[1:-1] if teller == "lines.csv" else name))
        with pytest.raises(DataError, match=teller):
            open_data(folder / teller, asked=asked)


def test_the_commands_are_told_that_names_may_lead_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    Image.new("L", (40, 16)).save(tmp_path / "a.png")
    (tmp_path / "data" / "lines.csv").write_text("image,text\n../a.png,one\n")
    given = ["pack", str(tmp_path / "data"), str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main(given)
    assert end.value.code == 2 and "--outside" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*given, "--outside"])
    assert not end.value.code and (tmp_path / "out" / "all-000000.tar").exists()
    (tmp_path / "a.toml").write_text("[data]\noutside = true\n")
    assert asked_of(read_recipe(tmp_path / "a.toml")).outside and not asked_of(Recipe()).outside
    for verb in (predict, try_out, tune, export):
        assert "outside" in inspect.signature(verb).parameters


def test_a_bundle_is_only_what_it_holds(tmp_path: Path) -> None:
    """Nothing else in a run folder, or in a shared one, is read, and a link is no more than the file it leads to."""
    run, shared = tmp_path / "run", tmp_path / "shared"
    run.mkdir()
    (run / bundles.NAME).symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="cannot be read"):
        bundles.load(run)
    shared.mkdir()
    (shared / hub.WEIGHTS).write_bytes(bundles.find("zoo:sounds").read_bytes())
    with (shared / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Trap(tmp_path / "sprung"), file)
    (shared / "modeling.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    (shared / hub.CONFIG).write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Model"}, "task": "modeling"}))
    hub.pull(str(shared), tmp_path / "pulled")
    assert [file.name for file in (tmp_path / "pulled").iterdir()] == [bundles.NAME]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("place", ["weights.bin", "../weights.bin", "/etc/hostname"])
def test_graphs_whose_weights_lie_in_other_files_are_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path, tmp_path / "inner"):
        (folder / "weights.bin").write_bytes(bytes(16))
    monkeypatch.chdir(tmp_path / "inner")
    weights = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=place)
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [4]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    Path("a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=r"a.onnx: cannot be read"):
        read_onnx(Path("a.onnx"))


def test_settings_of_a_bundle_that_disagree_are_refused(tmp_path: Path) -> None:
    recipe = {"name": "cascade", "channels": [4, 4, 4], "hidden": 4, "embedding": 4}
    series = INPUTS["series"].restore(INPUTS["series"].Settings(), {"mean": [0.0, 0.0], "deviation": [1.0, 1.0]})
    task = TASKS["classify"].restore(TASKS["classify"].Settings(), {"labels": ["a", "b"], "counts": [1, 1]})
    bundles.build(task, series, recipe).save(tmp_path / "a.safetensors")
    bundles.load(tmp_path / "a.safetensors")
    with bundles.safe_open(tmp_path / "a.safetensors", framework="np") as file:
        values = json.loads(file.metadata()["crnn"])
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda v: v["seen"].update(deviation=[1.0]),
        lambda v: v["seen"].update(deviation=[0.0, 1.0]),
        lambda v: v["seen"].update(mean=["a", 1.0]),
        lambda v: v.pop("seen"),
        lambda v: v.update(seen={}),
        lambda v: v.update(format=True, seen={}),
        lambda v: v.update(format=1),
        lambda v: v.update(sean=v["seen"]),
        lambda v: v["encoder"].update(channels=[4] * 100_000),
        lambda v: v["encoder"].update(hidden=-3),
        lambda v: v["encoder"].update(hidden=10**12),
        lambda v: v["encoder"].update(layers=10**7),
    ]
    for change in changes:
        strange = json.loads(json.dumps(values))
        change(strange)
        save_file(state, tmp_path / "b.safetensors", metadata={"crnn": json.dumps(strange)})
        with pytest.raises(BundleError, match=r"b.safetensors: "):
            bundles.load(tmp_path / "b.safetensors")


def test_a_network_of_a_file_that_does_not_run_is_named(
    tiny: Callable[..., bundles.Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever settings and weights of a stranger make torch raise; our own keep their errors, and so does memory."""
    line = np.full((64, 100), 255, np.uint8)
    own = tiny("crnn")
    own.save(tmp_path / "a.safetensors")

    def fails(error: Exception) -> Callable[..., Any]:
        def predict(self: Any, net: Any, batch: Any) -> Any:
            raise error

        return predict

    invalid = RuntimeError("shape '[1, 10]' is invalid for input of size 9\nmore")
    monkeypatch.setattr(TASKS["transcribe"], "predict", fails(invalid))
    with pytest.raises(BundleError, match=r"a.safetensors: does not run \(RuntimeError: .* of size 9\)") as caught:
        Predictor(tmp_path / "a.safetensors", precision="float32")(line)
    assert caught.value.__cause__ is invalid
    with pytest.raises(RuntimeError, match="invalid"):
        Predictor(own, precision="float32")(line)
    monkeypatch.setattr(TASKS["transcribe"], "predict", fails(RuntimeError("not enough memory")))
    with pytest.raises(RuntimeError, match="memory"):
        Predictor(tmp_path / "a.safetensors", precision="float32")(line)


def test_what_a_sample_lacks_is_said_with_its_name(tmp_path: Path) -> None:
    """Also where the source is no file of its own, such as an entry of an array or a line of a table."""
    samples = [Sample("all.npz:3", np.zeros((0, 8, 1), np.uint8), "a")]
    (answer,) = [Samples(samples, INPUTS["picture"](), None)[0, 0]]
    assert str(answer).startswith("all.npz:3: an array of shape (0, 8, 1)") and isinstance(answer, DataError)


def test_numbers_that_are_no_float_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"train.learning_rate is 1000"):
        fill(TrainSettings, {"learning_rate": 10**400}, "train")
    with pytest.raises(SettingsError, match=r"train.epochs is 1000"):
        fill(TrainSettings, {"epochs": 10**400}, "train")


def test_sounds_that_no_machine_records_are_refused() -> None:
    sound = INPUTS["sound"]
    for values in ({"rate": 10**9}, {"mels": 10**9}, {"window": 1e9}):
        with pytest.raises(SettingsError, match="are asked for"):
            sound.restore(fill(sound.Settings, values, "input"), {})


def test_words_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a word that is 0.5"):
        TASKS["caption"].restore(TASKS["caption"].Settings(), {"words": ["a", 0.5]})


@pytest.mark.parametrize(("width", "height"), [(-8, 8), (0, 8), (10**6, 10**6), (float("inf"), 8)])
def test_sizes_that_no_picture_has(width: float, height: int, tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "own.png")
    values = json.loads(TELLERS["coco.json"]("own.png"))
    values["images"][0] |= {"width": width, "height": height}
    (tmp_path / "coco.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"coco.json: has a picture"):
        open_data(tmp_path / "coco.json", asked=Asked(answer="map"))


def test_recipes_that_nest_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(SettingsError, match=r"a.toml: is not TOML"):
        read_recipe(tmp_path / "a.toml")
