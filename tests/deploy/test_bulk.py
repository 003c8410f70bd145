"""Answers for very many files: each once, whole parts, and going on after a stop."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import crnn
from crnn.cli import main
from crnn.deploy import bulk
from crnn.deploy.bulk import Done, Job, answer_all
from crnn.errors import CrnnError, MissingExtra, SettingsError

LINES = Path(__file__).parents[2] / "examples" / "typewriting" / "images"


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """Seven lines, of which one is no picture and one is not there."""
    files = sorted(LINES.glob("*"))[:5]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return [*map(str, files[:2]), str(tmp_path / "broken.png"), *map(str, files[2:]), str(tmp_path / "gone.png")]


def rows(out: Path) -> list[dict[str, Any]]:
    parts = sorted(out.glob("part-*.jsonl"))
    return [json.loads(line) for part in parts for line in part.read_text(encoding="utf-8").splitlines()]


def job_of(out: Path, **more: Any) -> Job:
    return Job(**{"bundle": "zoo:typewritten", "out": out, "part": 3, "precision": "float32", **more})


def check(out: Path, sources: list[str]) -> None:
    there = rows(out)
    assert [row["id"] for row in there] == sources, "each once, in order"
    assert ["error" in row for row in there] == [False, False, True, False, False, False, True]
    assert "broken.png" in there[2]["error"] and "is not there" in there[6]["error"]
    assert not list(out.glob(".*")), "nothing half written"


def test_each_source_is_answered_once_and_a_stopped_job_goes_on(
    sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write, seen = bulk.Worker._lines, []

    def then_die(self: Any, part: list[str]) -> Any:
        seen.append(part)
        yield from write(self, part[:1] if len(seen) == 2 else part)
        if len(seen) == 2:
            raise RuntimeError("the power fails")

    with monkeypatch.context() as patch:
        patch.setattr(bulk.Worker, "_lines", then_die)
        with pytest.raises(RuntimeError, match="the power fails"):
            answer_all(job_of(out), sources)
    assert len(rows(out)) == 3, "whole parts only"
    assert answer_all(job_of(out), sources) == Done(3, 1)
    check(out, sources)
    assert answer_all(job_of(out), sources) == Done(0, 0)
    read = crnn.load("zoo:typewritten", precision="float32")
    assert rows(out)[0]["text"] == read(sources[0]).value
    with pytest.raises(SettingsError, match="another digest"):
        answer_all(job_of(out), [*sources[1:], sources[0]])
    with pytest.raises(SettingsError, match="there are no sources"):
        answer_all(job_of(tmp_path / "none"), [])


def test_several_processes_answer_what_one_does(sources: list[str], tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\n".join(sources) + "\n")
    with pytest.raises(SystemExit) as end:
        arguments = ["--workers", "2", "--part", "3", "--precision", "float32"]
        main(["bulk", "zoo:typewritten", str(tmp_path / "list.txt"), str(tmp_path / "out"), *arguments])
    assert end.value.code == 1, "some could not be read"
    check(tmp_path / "out", sources)


def test_a_pipe_names_files_of_any_name_and_lines_are_those_of_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.webp"
    shutil.copy(next(LINES.glob("*.webp")), name)

    def said(*arguments: object) -> str:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(name + b"\n"), encoding="utf-8"))
        with pytest.raises(SystemExit) as end:
            main([*map(str, arguments), "--precision", "float32"])
        assert not end.value.code
        return capsys.readouterr().out

    said("bulk", "zoo:typewritten", "-", tmp_path / "out", "--threads", "0")
    (row,) = rows(tmp_path / "out")
    assert os.fsencode(row["id"]) == name
    assert json.loads(said("predict", "zoo:typewritten", "-", "--json")) | {"id": row["id"]} == row
    assert "\\udcff.webp" in said("predict", "zoo:typewritten", "-", "--csv")


@pytest.mark.filterwarnings("ignore")  # what Ray says of itself
def test_ray_answers_what_one_process_does(sources: list[str], tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        answer_all(job_of(tmp_path / "out"), sources[:3])  # as if it had been stopped
        (tmp_path / "out" / "job.json").unlink()
        assert answer_all(job_of(tmp_path / "out"), sources, workers=2, ray=True) == Done(3, 1)
    finally:
        ray.shutdown()
    check(tmp_path / "out", sources)


def test_without_ray_one_sentence_says_what_to_install(
    sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"crnn\[ray\]"):
        answer_all(job_of(tmp_path / "out"), sources, ray=True)


def test_what_is_wrong_with_a_bundle_is_said_once(sources: list[str], tmp_path: Path) -> None:
    with pytest.raises(CrnnError, match="nobody"):
        answer_all(job_of(tmp_path / "out", bundle="nobody"), sources, workers=2)


def test_pages_are_read_too(tmp_path: Path) -> None:
    Image.new("L", (300, 200), 255).save(tmp_path / "empty.png")
    assert answer_all(job_of(tmp_path / "out", bundle="zoo:page"), [str(tmp_path / "empty.png")]) == Done(1, 0)
    assert rows(tmp_path / "out")[0]["id"] == str(tmp_path / "empty.png")
