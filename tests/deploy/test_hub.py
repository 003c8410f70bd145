"""Shared networks: the folder, the card, what is taken and what is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from crnn import bundle as bundles
from crnn.cli import main
from crnn.deploy import hub
from crnn.deploy.predict import Predictor
from crnn.errors import BundleError, SettingsError

LINES = Path(__file__).parents[2] / "examples" / "typewriting" / "images"


def test_a_network_goes_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["push", "zoo:typewritten", str(tmp_path / "shared")],
        ["pull", str(tmp_path / "shared"), str(tmp_path / "run")],
    ):
        with pytest.raises(SystemExit) as end:
            main(command)
        assert not end.value.code
    assert capsys.readouterr().out.split() == [str(tmp_path / "shared"), str(tmp_path / "run" / "bundle.safetensors")]
    assert {p.name for p in (tmp_path / "shared").iterdir()} == {"model.safetensors", "config.json", "README.md"}
    line = sorted(LINES.iterdir())[0]
    assert Predictor(tmp_path / "run")(line) == Predictor("zoo:typewritten")(line)
    values = json.loads((tmp_path / "shared" / "config.json").read_text(encoding="utf-8"))
    assert (values["library_name"], values["model_type"], values["task"]["name"]) == ("crnn", "crnn", "transcribe")


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    bundle = bundles.load("zoo:typewritten")
    text = hub.card_of(bundle, "typewritten")
    head = text.split("---")[1].splitlines()
    assert {"library_name: crnn", "license: cc-by-4.0", "pipeline_tag: image-to-text", "- transcribe"} <= set(head)
    assert "# typewritten" in text and "| cer (validation part) | 0.00" in text and "EHRI documents" in text
    bundle.card.update(licence="Ours |\nalone", source="<script>")
    text = hub.card_of(bundle, "x")
    assert "license: other" in text and "Ours \\| alone" in text and "<script>" not in text


def test_only_a_bundle_is_taken(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model.safetensors: is not there; expected a folder that crnn push wrote"):
        hub.pull(str(tmp_path), tmp_path / "out")
    (tmp_path / hub.WEIGHTS).write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(BundleError, match="cannot be read"):
        hub.pull(str(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_hub_is_asked_for_weights_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Api:
        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
            asked.append(("create", name, private, exist_ok))

        def upload_folder(self, *, repo_id: str, folder_path: str, allow_patterns: list[str]) -> None:
            asked.append(("upload", repo_id, sorted(allow_patterns)))
            shutil.copytree(folder_path, tmp_path / "there")

    class Library:
        HfApi = Api

        @staticmethod
        def hf_hub_download(name: str, file: str) -> str:
            asked.append(("download", name, file))
            return str(tmp_path / "there" / file)

    monkeypatch.setattr(hub, "_hub", lambda: Library)
    assert hub.push("zoo:typewritten", "hf:ada/hand", private=True) == "https://huggingface.co/ada/hand"
    assert hub.pull("hf:ada/hand", tmp_path / "run").is_file()
    assert asked == [
        ("create", "ada/hand", True, True),
        ("upload", "ada/hand", ["README.md", "config.json", "model.safetensors"]),
        ("download", "ada/hand", "model.safetensors"),
    ]
    assert "# ada/hand" in (tmp_path / "there" / "README.md").read_text(encoding="utf-8")
    monkeypatch.setattr(Library, "hf_hub_download", staticmethod(lambda *_: (_ for _ in ()).throw(OSError("no net"))))
    with pytest.raises(BundleError, match=r"hf:ada/hand: cannot be reached \(no net\)"):
        hub.pull("hf:ada/hand", tmp_path / "other")
    with pytest.raises(SettingsError, match="'hf:hand'; expected hf:USER/NAME, or a folder"):
        hub.push("zoo:typewritten", "hf:hand")
