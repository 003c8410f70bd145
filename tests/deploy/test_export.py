"""Exported networks: what is in the file, who reads it, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crnn
from crnn import bundle as bundles
from crnn.bundle import Bundle
from crnn.cli import main
from crnn.data.inputs import restore_several
from crnn.decode import ngram
from crnn.deploy import _onnx_graph, onnx
from crnn.deploy import export as exporting
from crnn.deploy.export import drawn, export
from crnn.deploy.onnx import OnnxPredictor
from crnn.deploy.predict import Predictor
from crnn.deploy.ready import predictor
from crnn.errors import BundleError, SettingsError
from crnn.tasks import TASKS
from crnn.types import Seq

pytest.importorskip("onnxruntime")
EXAMPLES = Path(__file__).parents[2] / "examples"
LINES = EXAMPLES / "typewriting"
Tiny = Callable[..., Bundle]


@pytest.fixture(scope="module")
def typewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "typewritten.onnx"
    export(bundles.load("zoo:typewritten"), path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def test_an_exported_reader_reads_as_its_bundle_without_torch(without_torch: str, typewritten: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", without_torch, "predict", str(typewritten), str(LINES), "--json", "--threads", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(crnn.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    lines = [json.loads(line) for line in (LINES / "lines.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(found) == len(lines) > 2
    read = Predictor("zoo:typewritten", precision="float32")
    for one in found:
        right = read(one["id"])
        assert one["text"] == right.value and one["score"] == pytest.approx(right.score, abs=1e-3)
        for letter, part in zip(one["letters"], right.parts, strict=True):
            assert (letter["value"], letter["start"]) == (part.value, pytest.approx(part.start, abs=0.01))


def test_a_beam_and_a_language_model_are_in_the_file(tiny: Tiny, tmp_path: Path, made: Callable[..., Path]) -> None:
    bundle = tiny("crnn")
    texts = [file.read_text(encoding="utf-8").strip() for file in sorted(made("transcribe").glob("*.gt.txt"))]
    reading = type(bundle.task.reading)(beam=5, model=ngram.train(texts, 3))
    bundle.task = bundle.task.with_reading(reading)
    export(bundle, tmp_path / "x.onnx")
    exported, files = OnnxPredictor(tmp_path / "x.onnx"), sorted(made("transcribe").glob("*.png"))[:3]
    assert exported.task.reading.beam == 5 and exported.task.reading.model is not None
    whole = Predictor(bundle, precision="float32")
    assert [exported(file).value for file in files] == [whole(file).value for file in files]


def test_a_network_of_two_inputs_has_the_names_of_both(tmp_path: Path) -> None:
    tables = {"picture": {"name": "picture", "height": 16, "width": 32}, "wave": {"name": "series", "channels": 2}}
    classify = TASKS["classify"]
    bundle = bundles.build(classify.blank(classify.Settings(), 3), restore_several(tables), {"name": "parallel"})
    assert export(bundle, tmp_path / "x.onnx").difference < 1e-5
    chance = np.random.default_rng(0)
    source = {"picture": chance.integers(0, 255, (16, 32, 3), np.uint8), "wave": chance.random((40, 2), np.float32)}
    exported = OnnxPredictor(tmp_path / "x.onnx")
    assert exported.net.used == {"picture.x", "picture.lengths", "wave.x", "wave.lengths"}
    for one, other in zip(exported(source).parts, Predictor(bundle, precision="float32")(source).parts, strict=True):
        assert (one.value, one.stop) == (other.value, other.stop) and one.score == pytest.approx(other.score, abs=1e-5)


def test_scenes_of_any_size_and_samples_of_no_step_are_drawn() -> None:
    x, lengths = drawn(bundles.load("zoo:typewritten").kind.spec, (5, 2))
    assert x.shape[:2] == (2, 5) and lengths.tolist() == [5, 2] and (x[1, 2:] == 9).all()


def test_padding_says_nothing_in_a_graph_either(typewritten: Path) -> None:
    net, spec = OnnxPredictor(typewritten).net, bundles.load("zoo:typewritten").kind.spec
    x, lengths = (part.numpy() for part in drawn(spec, (90, 41)))
    together, steps = net(Seq(x, lengths))
    alone, own = net(Seq(x[1:, :41], lengths[1:]))
    assert steps[1] == own[0] == alone.shape[1]
    np.testing.assert_allclose(together[1, : own[0]], alone[0], atol=1e-5)


def test_int8_is_smaller_and_hardly_reads_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typewritten: Path
) -> None:
    small = tmp_path / "small.onnx"
    code, _, said = run(capsys, "export", "zoo:typewritten", small, "--int8", "--data", LINES)
    assert code == 0 and "change: cer +0." in said.replace("-0.", "+0.") and "before int8" in said
    assert small.stat().st_size < typewritten.stat().st_size / 2
    assert "WARNING" not in said


def test_a_file_is_tested_as_a_bundle_is(typewritten: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = ("--json", tmp_path / "x.json", "--html", tmp_path / "x.html")
    code, said, _ = run(capsys, "test", typewritten, LINES, *files)
    assert code == 0 and "Letter errors" in said
    figures = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert figures["metrics"]["cer"] < 0.2 and figures["precision"] == "float32"


def test_what_a_file_cannot_do_is_said(typewritten: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, said = run(capsys, "predict", typewritten, LINES, "--explain", tmp_path / "why.html")
    assert code == 2 and "the network is an exported one; expected a bundle" in said
    code, _, said = run(capsys, "predict", f"{typewritten},zoo:typewritten", LINES)
    assert code == 2 and "an exported network is to vote" in said
    code, _, said = run(capsys, "predict", typewritten, LINES, "--precision", "bfloat16")
    assert code == 2 and "--precision bfloat16 is given for an exported network" in said
    with pytest.raises(SettingsError, match="the device 'cuda' for an exported network"):
        predictor(typewritten, device="cuda")


def test_python_loads_a_file_without_torch(without_torch: str, typewritten: Path) -> None:
    code = without_torch.split("import crnn.cli")[0] + "import crnn; print(crnn.load(sys.argv[1])(sys.argv[2]).value)"
    line = sorted((LINES / "images").iterdir())[0]
    done = subprocess.run(
        [sys.executable, "-c", code, str(typewritten), str(line)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(crnn.__file__).parents[1])},
    )
    assert done.stdout.strip() == Predictor("zoo:typewritten", precision="float32")(line).value, done.stderr


def test_letters_are_placed_by_a_file_too_but_it_does_not_listen(typewritten: Path, tmp_path: Path) -> None:
    line = sorted((LINES / "images").iterdir())[0]
    text = crnn.load("zoo:typewritten")(line).value
    one, other = (crnn.align(reader, line, text).parts for reader in (crnn.load(typewritten), "zoo:typewritten"))
    assert [part.value for part in one] == [part.value for part in other] == list(text)
    with pytest.raises(SettingsError, match="an exported network is to listen"):
        crnn.stream(crnn.load(typewritten))
    with pytest.raises(BundleError, match="is an exported network; expected a bundle"):
        bundles.load(typewritten)


def test_what_cannot_be_written_is_said(tmp_path: Path, tiny: Tiny) -> None:
    bundle = tiny("crnn")
    with pytest.raises(SettingsError, match=r"the file 'x.pt'; expected a name in .onnx"):
        export(bundle, tmp_path / "x.pt")
    with pytest.raises(SettingsError, match="--opset is 9; expected 17 to 20"):
        export(bundle, tmp_path / "x.onnx", opset=9)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_answers_otherwise_is_not_written(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny("crnn")
    monkeypatch.setattr(exporting, "MOST", 0.0)
    with pytest.raises(SettingsError, match="the graph's answers differ from torch's by"):
        export(bundle, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_a_foreign_or_damaged_file_is_refused(tmp_path: Path, typewritten: Path) -> None:
    with pytest.raises(BundleError, match="is not there"):
        OnnxPredictor(tmp_path / "none.onnx")
    bad = tmp_path / "bad.onnx"
    for data in (b"", b"\x80\x04K\x01.", typewritten.read_bytes()[:5000]):
        bad.write_bytes(data)
        with pytest.raises(BundleError, match=r"bad.onnx: (cannot be read|says nothing of crnn)"):
            OnnxPredictor(bad)


@pytest.mark.parametrize("path", ["{folder}/other", "../../other", "/dev/zero"])
def test_a_file_that_names_another_is_refused(tmp_path: Path, typewritten: Path, path: str) -> None:
    library: Any = pytest.importorskip("onnx")
    (tmp_path / "other").write_bytes(bytes(1_000_000))
    model = library.load(str(typewritten))
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.raw_data) > 1000)
    said = {"location": path.format(folder=tmp_path), "offset": "0", "length": str(len(weight.raw_data))}
    weight.ClearField("raw_data")
    weight.data_location = library.TensorProto.EXTERNAL
    for key, value in said.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=r"x.onnx: cannot be read \(.*External data path"):
        OnnxPredictor(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ('{"format": 99}', "has the format 99"),
        ("[]", "has settings that cannot be used"),
        ("{", "has settings that cannot be used"),
        ('{"format": 3, "task": {"name": "fly"}, "learned": {}}', "task 'fly' is not known"),
    ],
)
def test_settings_of_a_file_are_read_strictly(tmp_path: Path, tiny: Tiny, values: str, said: str) -> None:
    bundle = tiny("crnn")
    model = exporting.graph_of(bundle.net.eval(), bundle.kind.spec, 17)
    (tmp_path / "x.onnx").write_bytes(_onnx_graph.with_metadata(model, {onnx.KEY: values}))
    with pytest.raises(BundleError, match=said):
        OnnxPredictor(tmp_path / "x.onnx")


def test_what_is_refused_stands_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    refused = {**exporting.TASKS_REFUSED, **exporting.MODELS_REFUSED}
    assert all(f"| `{name}` | {why} |" in page for name, why in refused.items())
    assert page.count("\n| `") - 4 == len(refused), "nothing else stands there"
