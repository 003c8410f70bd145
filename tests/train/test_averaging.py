"""The running mean of weights is what is tested and kept; a network without one is as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import pytest
import torch
from safetensors.torch import load_file

import crnn
from crnn.train.averaging import Averaging


def recipe(data: Path, **train: Any) -> dict[str, Any]:
    return {
        "task": {"name": "classify"},
        "input": {"name": "series"},
        "encoder": {"name": "cascade", "channels": [8], "hidden": 8, "dropout": 0.0},
        "data": {"train": str(data), "valid_share": train.pop("valid_share", 0.3)},
        "train": {"epochs": 3, "batch_size": 4, "workers": 0, "threads": 1, "precision": "float32", **train},
    }


def test_the_mean_is_the_formulas() -> None:
    mean, module, net = Averaging(0.5), lightning.LightningModule(), torch.nn.Linear(2, 1)
    module.net = net
    mean.setup(None, module, "fit")  # type: ignore[arg-type]
    model: Any = mean._average_model
    expected = None
    for step in range(6):
        with torch.no_grad():
            net.weight.fill_(float(step**2))
        model.update_parameters(module)
        share = min(0.5, (1 + step) / (10 + step))
        expected = float(step**2) if expected is None else share * expected + (1 - share) * step**2
        assert float(model.module.net.weight.detach().mean()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("valid_share", [0.3, 0.0])
def test_the_mean_is_kept(made: Callable[..., Path], tmp_path: Path, valid_share: float) -> None:
    data = made("classify", "series")
    crnn.fit(recipe(data, averaging=0.9, valid_share=valid_share, epochs=1), tmp_path / "mean")
    crnn.fit(recipe(data, valid_share=valid_share, epochs=1), tmp_path / "plain")
    state = torch.load(tmp_path / "mean" / "last.ckpt", weights_only=True)
    plain = torch.load(tmp_path / "plain" / "last.ckpt", weights_only=True)["state_dict"]
    kept = crnn.load(tmp_path / "mean").bundle.net.state_dict()
    now, mean = state["current_model_state"], state["state_dict"]
    assert all(torch.equal(now[k], plain[k]) for k in now), "training itself is not touched"
    names = [k for k, v in mean.items() if v.is_floating_point() and "running" not in k]
    assert any(not torch.equal(now[k], mean[k]) for k in names)
    learned = [k for k in names if k.endswith("weight") and k.removeprefix("net.") in kept]
    assert learned
    stored = load_file(tmp_path / "mean" / "bundle.safetensors")
    found = [k for k in learned if k.removeprefix("net.") in stored]
    assert found and all(torch.equal(stored[k.removeprefix("net.")], mean[k]) for k in found)
