"""Law 6: an exported network answers as torch does, at sizes that were not traced, or it is refused with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from crnn.bundle import Bundle, combinations
from crnn.deploy import export as exporting
from crnn.deploy.export import MODELS_REFUSED, MOST, TASKS_REFUSED, export, refusal
from crnn.deploy.onnx import OnnxPredictor
from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError, SettingsError
from crnn.models import MODELS
from crnn.tasks import TASKS
from crnn.types import Sample, Seq

pytest.importorskip("onnxruntime")
Tiny = Callable[..., Bundle]
Made = Callable[..., list[Sample]]
ALL = list(combinations())
CAN = [(model, kind, task) for model, kind, task in ALL if refusal(task, model) is None]
READERS = list({(model, kind): (model, kind, task) for model, kind, task in CAN[::-1]}.values())
"""Each model with each kind of input that it reads."""
ASKED = list({(kind, task): (model, kind, task) for model, kind, task in CAN[::-1]}.values())
"""Each task with each kind of input."""


def awake(bundle: Bundle) -> Bundle:
    """Statistics that are not the initial ones, as after training, and answers that differ."""
    spec = bundle.kind.spec
    x, lengths = exporting.drawn(spec, (20, 13, 9))
    bundle.net.train()
    with torch.no_grad():
        bundle.net(Seq(x, lengths))
        for module in bundle.net.head.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.weight.mul_(4)
    bundle.net.eval()
    return bundle


@pytest.mark.parametrize(("model", "kind", "task"), READERS)
def test_a_graph_equals_torch_at_sizes_that_were_not_traced(
    model: str, kind: str, task: str, tiny: Tiny, tmp_path: Path
) -> None:
    done = export(awake(tiny(model, task, kind)), tmp_path / "x.onnx")
    assert done.difference <= MOST / 5


@pytest.mark.parametrize(("model", "kind", "task"), ASKED)
def test_an_exported_file_answers_as_its_bundle(
    model: str, kind: str, task: str, tiny: Tiny, samples: Made, tmp_path: Path
) -> None:
    bundle, some = awake(tiny(model, task, kind)), samples(task, kind)[:5]
    export(bundle, tmp_path / "x.onnx")
    found = list(OnnxPredictor(tmp_path / "x.onnx", batch_size=3, threads=1).stream(some))
    for one, other in zip(Predictor(bundle, precision="float32").stream(some), found, strict=True):
        assert not isinstance(one, CrnnError) and not isinstance(other, CrnnError)
        assert one.id == other.id and one.score == pytest.approx(other.score, abs=1e-4)
        here, there = bundle.task.plain(one), bundle.task.plain(other)
        assert here == approximately(there)


@pytest.mark.parametrize(
    ("model", "kind", "settings"),
    [
        ("parallel", "series", {"fusion": "gated"}),
        ("convlstm", "film", {"cell": "trajectory"}),
        ("cascade", "series", {"cell": "gru", "bidirectional": False}),
        ("lrcn", "film", {"cell": "rnn"}),
    ],
)
def test_other_cells_and_fusions_are_said_too(
    model: str, kind: str, settings: dict[str, Any], tiny: Tiny, tmp_path: Path
) -> None:
    done = export(awake(tiny(model, "classify", kind, **settings)), tmp_path / "x.onnx")
    assert done.difference <= MOST / 5


def approximately(value: Any) -> Any:
    """What equals ``value`` but for the last digits of its numbers."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-3, abs=1e-4)
    if isinstance(value, dict):
        return {key: approximately(inner) for key, inner in value.items()}
    return [approximately(inner) for inner in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("model", sorted(MODELS_REFUSED))
def test_a_network_that_is_refused_cannot_be_exported(
    model: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny(model, *next((task, kind) for name, kind, task in ALL if name == model and task not in TASKS_REFUSED))
    with pytest.raises(SettingsError, match=f"the model '{model}' cannot be exported: "):
        export(bundle, tmp_path / "x.onnx")
    monkeypatch.setattr(exporting, "MODELS_REFUSED", {})
    with pytest.raises(SettingsError, match="cannot"):
        export(bundle, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_refused_is_there_and_has_a_reason() -> None:
    assert TASKS_REFUSED.keys() < TASKS.keys() | {"restore"} and MODELS_REFUSED.keys() < MODELS.keys()
    for task in TASKS_REFUSED.keys() & TASKS.keys():
        with pytest.raises(SettingsError, match=f"the task '{task}' cannot be exported: it"):
            raise refusal(task, "crnn")  # type: ignore[misc]
