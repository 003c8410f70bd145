"""Shards hold what was packed, are read where they lie, also by others, and do not lead out of themselves."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crnn
from crnn.cli import main
from crnn.config import fill
from crnn.data.formats import open_data
from crnn.data.inputs import INPUTS, learn
from crnn.data.label_maps import Legend, Painted, Polygons, read_map, size_of_map
from crnn.data.packed import Packed
from crnn.data.shard_index import expand
from crnn.data.shards import write_shards
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.recipe import Recipe
from crnn.train.prepare import asked_of
from crnn.types import Clip, Sample

Made = Callable[..., Path]
PACKED = [
    *(("transcribe", "line"), ("classify", "picture"), ("classify", "sound"), ("classify", "film")),
    *(("classify", "sentence"), ("regress", "series"), ("tag", "sound"), ("caption", "picture"), ("detect", "scene")),
    *(("segment", "scene"), ("restore", "scene")),
]


def asked(task: str, kind: str, what: Mapping[str, Any]) -> Any:
    return asked_of(fill(Recipe, {"task": {"name": task, **what}, "input": {"name": kind}}))


def pack(samples: list[Sample], out: Path, answer: str, megabytes: float = 0.02) -> dict[str, dict[str, int]]:
    packed = write_shards(samples, out, answer=answer, megabytes=megabytes, progress=lambda: None)
    assert not packed.left_out
    return packed.shards


@pytest.mark.parametrize(("task", "kind"), PACKED)
def test_what_is_packed_is_what_was_there(
    task: str, kind: str, made: Made, what_is_asked: Mapping[str, Mapping[str, Any]], tmp_path: Path
) -> None:
    wanted = asked(task, kind, what_is_asked.get(task, {}))
    before = open_data(made(task, kind), asked=wanted)
    before = [Sample(s.id, s.x, s.y, f"g{i % 3}", ("train", "test")[i % 2]) for i, s in enumerate(before)]
    shards = pack(before, tmp_path / "out", wanted.answer)
    assert sum(shard["samples"] for shard in shards.values()) == len(before)
    after = open_data(tmp_path / "out", asked=wanted)
    by_id = {sample.id: sample for sample in after}
    assert len(by_id) == len(after) == len(before)
    reader = learn({"name": kind}, before)
    for sample in before:
        found = by_id[sample.id]
        assert (found.group, found.split) == (sample.group, sample.split)
        if task == "detect":
            assert found.y.boxes == sample.y.boxes and found.y.size == sample.y.size
        elif task == "segment":
            np.testing.assert_array_equal(read_map(found.y), read_map(sample.y))
            assert found.y.legend == sample.y.legend and size_of_map(found.y) == size_of_map(sample.y)
        elif task == "restore":
            np.testing.assert_array_equal(reader.decode(found.y), reader.decode(sample.y))
        else:
            assert found.y == sample.y or list(found.y) == list(sample.y)
        assert reader.steps(found.x) == reader.steps(sample.x) and reader.extent(found.x) == reader.extent(sample.x)
        np.testing.assert_array_equal(reader.decode(found.x), reader.decode(sample.x))
    assert [s.id for s in after if s.split == "test"] == [s.id for s in before if s.split == "test"], "in their order"


def test_frames_in_a_folder_are_a_film(tmp_path: Path) -> None:
    for label, film, frame in product("ab", "12", range(3)):
        path = tmp_path / "films" / label / film / f"f{9 + frame}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 16), 9 * frame + 100 * (label == "b")).save(path)
    wanted = asked("classify", "film", {})
    before = open_data(tmp_path / "films", asked=wanted)
    pack(before, tmp_path / "out", "label")
    after = open_data(tmp_path / "out", asked=wanted)
    kind = learn({"name": "film"}, before)
    assert [(s.id, s.y) for s in before] == [(s.id, s.y) for s in after] and len(after) == 4
    assert learn({"name": "film"}, after).learned() == kind.learned()
    for one, other in zip(before, pickle.loads(pickle.dumps(after)), strict=True):
        assert kind.steps(one.x) == kind.steps(other.x) and kind.reads(other.x)
        np.testing.assert_array_equal(kind.decode(one.x), kind.decode(other.x))
    assert str(after[0].x) == str(tmp_path / "out" / "all-000000.tar" / "000000000") and after[0].x.exists()


def test_recordings_of_any_name_stay_recordings(tmp_path: Path) -> None:
    """Names of inputs that are no plain letters, and files that end like texts."""
    files = []
    for i, ending in enumerate(("txt", "csv", "txt")):
        files.append(tmp_path / f"{i}.{ending}")
        np.savetxt(files[-1], np.full((5, 2), i), delimiter="," if ending == "csv" else " ")
    pack([Sample("a", files[0], "x")], tmp_path / "one", "label")
    (alone,) = open_data(tmp_path / "one", asked=asked("classify", "series", {}))
    assert isinstance(alone.x, Packed) and alone.x.read_bytes() == files[0].read_bytes()
    inputs = {"左": files[0], "右": files[1], "in": files[2], "note": "see a.txt"}
    pack([Sample("a", inputs, "x")], tmp_path / "many", "label")
    (found,) = open_data(tmp_path / "many", asked=asked("classify", "series", {}))
    assert found.x["note"] == inputs["note"], "a text stays one, too"
    for name, file in zip(("左", "右", "in"), files, strict=True):
        assert found.x[name].read_bytes() == file.read_bytes()


def test_arrays_are_packed_as_what_reads_them(tmp_path: Path) -> None:
    grey, colour = np.arange(60, dtype=np.uint8).reshape(6, 10), np.linspace(0, 1, 180).reshape(6, 10, 3)
    pack([Sample("a", grey, "x"), Sample("b", colour, "x"), Sample("c", grey[..., None], "y")], tmp_path / "p", "label")
    kind = INPUTS["picture"](INPUTS["picture"].Settings(height=6, width=10))
    found = {s.id: kind.decode(s.x) for s in open_data(tmp_path / "p", asked=asked("classify", "picture", {}))}
    np.testing.assert_array_equal(found["a"], found["c"])
    np.testing.assert_array_equal(found["b"], kind.decode(colour))
    steps = [Sample("a", np.ones((3, 2)), [0, 1, 1]), Sample("b", np.ones((3, 2)), ["on", "on", "off"])]
    pack(steps, tmp_path / "s", "events")
    after = open_data(tmp_path / "s", asked=asked("tag", "series", {}))
    assert [s.y for s in after] == [s.y for s in steps] and len(
        learn({"name": "series"}, after).decode(after[0].x)
    ) == 3
    for x, kinds in ((np.zeros((2, 4, 4, 3), np.uint8), ["film"]), (np.zeros(9, np.float32), ["sound"])):
        with pytest.raises(SettingsError, match=r"cannot be read from a \.npy file"):
            write_shards(
                *([Sample("a", x, "b")], tmp_path / "f"), answer="label", megabytes=1, progress=list, kinds=kinds
            )


def test_legends_and_polygons_stay_with_their_label_maps(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 6), 90).save(picture)
    legends = [Legend(("ground", "tree"), ((0, 0, 0), (9, 9, 9))), Legend(("ground", "tree")), None]
    maps: list[Any] = [Painted(picture, legend) for legend in legends]
    maps.append(Polygons(picture, (8, 6), ((1, (0.0, 0.0, 5.0, 0.0, 5.0, 5.0)),), Legend(("ground", "house"))))
    samples = [Sample(f"{i}", picture, y) for i, y in enumerate([maps[0], *maps])]
    pack(samples, tmp_path / "out", "map")
    found = [s.y for s in open_data(tmp_path / "out", asked=asked("segment", "scene", {}))]
    assert [y.legend for y in found] == [s.y.legend for s in samples]
    np.testing.assert_array_equal(read_map(found[-1]), read_map(maps[-1]))
    index = tmp_path / "out" / "all-000000.index"
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    for change, said in (
        (("truth", ["/x", 0, 1]), "no plain name"),
        (("truth", [["a.png", 0, 1]]), "not enough values"),
        (("legend", [1]), "has a legend that is none"),
        (("answer", {"size": [8, 6], "parts": [[1, {}]]}), "a polygon that is none"),
        (("answer", {"size": [8, 1 << 40], "parts": []}), "a size of 8 x 1099511627776 pixels"),
    ):
        row = dict(rows[-1]) if change[0] == "answer" else dict(rows[0])
        index.write_text(json.dumps(row | dict([change])) + "\n")
        with pytest.raises(DataError, match=said):
            open_data(tmp_path / "out", asked=asked("segment", "scene", {}))
    index.write_text(json.dumps(rows[0] | {"inputs": {"": []}}) + "\n")
    with pytest.raises(DataError, match="a source without a file"):
        open_data(tmp_path / "out", asked=asked("segment", "scene", {}))


def test_training_does_not_tell_shards_from_a_folder(made: Made, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["pack", str(made("transcribe")), str(tmp_path / "out"), "--shard-mb", "0.01"])
    assert not end.value.code and len(list((tmp_path / "out").glob("*.tar"))) > 1
    small = {"name": "crnn", "channels": [4, 4, 4, 4], "blocks": [0, 0, 0, 0], "hidden": 4, "layers": 1}
    train = {"epochs": 1, "workers": 1, "threads": 1, "precision": "float32", "device": "cpu"}
    recipe = {"input": {"height": 16}, "encoder": small, "train": train}
    losses = []
    for data in (made("transcribe"), tmp_path / "out"):
        crnn.fit({**recipe, "data": {"train": str(data)}}, tmp_path / f"run{len(losses)}")
        losses.append(json.loads((tmp_path / f"run{len(losses)}" / "epochs.jsonl").read_text())["loss"])
    assert losses[0] == losses[1]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_library_reads_them(made: Made, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    samples = open_data(made("transcribe"))
    names = pack(samples, tmp_path / "out", "text")
    paths = [str(tmp_path / "out" / name) for name in names]
    rows = list(webdataset.WebDataset(paths, shardshuffle=False).decode("l8").to_tuple("png", "txt", "json"))
    assert [(text, row["id"]) for _, text, row in rows] == [(s.y, s.id) for s in samples]
    np.testing.assert_array_equal(rows[0][0], np.asarray(Image.open(samples[0].x).convert("L")))


def written(path: Path, files: Mapping[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data), kind, "/etc/passwd"
            tar.addfile(info, io.BytesIO(data))
    return path


def png(grey: int) -> bytes:
    data = io.BytesIO()
    Image.new("L", (20, 16), grey).save(data, "PNG")
    return data.getvalue()


def test_tars_of_others_are_read_without_an_index(tmp_path: Path) -> None:
    for n in range(3):
        cells = {f"{n}/a.png": png(n), f"{n}/a.cls": b"7", f"{n}/b.png": png(9), f"{n}/b.json": b'{"label": "x"}'}
        written(tmp_path / f"train-00{n}.tar", cells)
    wanted = asked("classify", "picture", {})
    samples = open_data(str(tmp_path / "train-{000..002}.tar"), asked=wanted)
    assert [(s.id, s.y, s.split) for s in samples[:2]] == [
        ("train-000/0/a", "7", "train"),
        ("train-000/0/b", "x", "train"),
    ]
    assert len(open_data(tmp_path, asked=wanted)) == 6 and len(open_data(tmp_path / "train-001.tar", asked=wanted)) == 2
    kind = INPUTS["picture"].learn(INPUTS["picture"].Settings(height=16, width=20), samples)
    assert kind.decode(samples[4].x).mean() == 2
    assert open_data(written(tmp_path / "text" / "x.tar", {"l.png": png(1), "l.txt": b"ab\n"}))[0].y == "ab"
    (tmp_path / "train-001.tar").unlink()
    with pytest.raises(DataError, match=r"train-001\.tar: is not there"):
        open_data(str(tmp_path / "train-{000..002}.tar"), asked=wanted)


def test_a_pattern_keeps_its_zeros() -> None:
    assert expand("{1..2}-{08..09}.tar") == ["1-08.tar", "1-09.tar", "2-08.tar", "2-09.tar"]
    assert expand("x/{train,dev}-{0..1}.tar") == [f"x/{n}.tar" for n in ("train-0", "train-1", "dev-0", "dev-1")]
    assert expand("{x,1..5}.tar") == ["x.tar", "1..5.tar"]
    with pytest.raises(SettingsError, match="names 10,000,000,000 shards"):
        expand("{0000000000..9999999999}.tar")
    with pytest.raises(SettingsError, match="names 0 shards"):
        expand("{9..1}.tar")


def test_links_and_places_outside_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(CrnnError):
        open_data(written(tmp_path / "links" / "x.tar", {"l.png": b"", "l.txt": b""}, tarfile.SYMTYPE))
    (tmp_path / "packed").mkdir()
    samples = [Sample("a", np.zeros((4, 4), np.uint8), "a")]
    pack(samples, tmp_path / "out", "text")
    index = tmp_path / "out" / "all-000000.index"
    row = json.loads(index.read_text())
    for place, said in (
        (["000000000.npy", 0, 10**9], "lies outside"),
        (["000000000.npy", -1, 8], "lies outside"),
        (["000000000.npy", 0, 8, 0, 5], "has a header of 0, 5"),
        (["000000000.npy", 0, 8, 5, 1e300], "has a header of 5, 1e"),
        (["/etc/passwd", 0, 8], "no plain name"),
        (["../a.npy", 0, 8], "no plain name"),
        (["a.npy"], "index"),
    ):
        index.write_text(json.dumps({**row, "inputs": {"": place}}) + "\n")
        with pytest.raises(DataError, match=said) as error:
            open_data(tmp_path / "out")
        assert "all-000000.index" in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08\x00", b"PK\x03\x04 no tar", bytes(2000)])
def test_what_is_no_tar_is_one_sentence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.tar"):
        open_data(tmp_path / "x.tar")


def test_answers_of_another_task_and_full_folders_are_refused(made: Made, tmp_path: Path) -> None:
    samples = open_data(made("transcribe"))
    pack(samples, tmp_path / "out", "text")
    with pytest.raises(DataError, match="holds answers of the kind text"):
        open_data(tmp_path / "out", asked=asked("classify", "picture", {}))
    with pytest.raises(SettingsError, match="holds something"):
        pack(samples, tmp_path / "out", "text")
    with pytest.raises(SettingsError, match="answers are a ndarray"):
        pack([Sample("a", "b", np.zeros(3))], tmp_path / "maps", "map")
    with pytest.raises(SettingsError, match="samples are a Clip of something longer, as a;"):
        pack([Sample("a", Clip(tmp_path, 0, 3), "b")], tmp_path / "maps", "label")
    with pytest.raises(DataError, match="a: is not there"):
        pack([Sample("a", tmp_path / "none.png", "b")], tmp_path / "maps", "label")
    assert not list((tmp_path / "maps").glob("*"))


def test_a_packed_file_is_a_path_that_opens(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"0123456789")
    path = Packed.of(tmp_path / "x.tar", "a.bin", 2, 5, (1, 2))
    there = pickle.loads(pickle.dumps(path))
    assert there == path and there.read_bytes() == b"23456" and there.facts == (1, 2)
    assert there.is_file() and there.exists() and there.suffix == ".bin" and there.stat().st_size == 5
    with there.open("rb") as file:
        assert (file.seek(-2, io.SEEK_END), file.read(), file.read()) == (3, b"56", b"")
        with pytest.raises(OSError):
            file.seek(-9)
    assert there.parent.name == "x.tar" and not (there.parent / "b").is_file()
