"""A trained network in one ``.safetensors`` file: weights, settings, what was learned of the data, figures, origin.

A bundle is data and never runs code. It is read strictly: an unknown version, a missing or surplus weight, a wrong
shape is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from crnn.config import as_dict, fill, split_name
from crnn.data.inputs import INPUTS
from crnn.errors import BundleError, CrnnError, SettingsError
from crnn.files import write_aside
from crnn.layers import ConvBlock, zero_padding
from crnn.models import MODELS
from crnn.precision import channels_last
from crnn.registry import pick, suggest
from crnn.tasks import TASKS
from crnn.types import Seq

FORMAT = 1
NAME = "bundle.safetensors"


class Net(nn.Module):
    """An encoder and a task's head. Whatever stands in the padding of the input, the network sees zeros there."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, inputs: Seq) -> Any:
        x, lengths = inputs
        return self.head(self.encoder(Seq(zero_padding(x, lengths, axis=1), lengths)))


@dataclass(slots=True)
class Bundle:
    """A network with all that it needs to be used. ``card`` holds figures, licence, source and how it was trained."""

    net: Any
    task: Any
    kind: Any
    encoder: Mapping[str, Any]
    card: dict[str, Any] = field(default_factory=dict)

    def description(self) -> dict[str, Any]:
        """Everything but the weights, as plain values."""
        return {
            "format": FORMAT,
            "task": {"name": self.task.name, **as_dict(self.task.settings)},
            "learned": self.task.learned(),
            "input": {"name": self.kind.spec.kind, **as_dict(self.kind.settings)},
            "encoder": dict(self.encoder),
            "card": self.card,
        }

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write the file whole or not at all. ``half`` stores weights as float16: half the size; they are used as
        float32 again."""
        state = {k: v.detach().cpu().contiguous() for k, v in self.net.state_dict().items()}
        if half:
            state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        with write_aside(path, "wb") as file:
            file.write(save(state, metadata={"crnn": json.dumps(self.description(), ensure_ascii=False)}))


def build(
    task: Any, input: Mapping[str, Any], encoder: Mapping[str, Any], card: Mapping[str, Any] | None = None
) -> Bundle:
    """A network with fresh weights for ``task``; ``input`` and ``encoder`` are tables of a recipe.

    Raises ``SettingsError`` where the parts do not fit.
    """
    kind_name, kind_values = split_name(input, "line")
    kind_class = pick(kind_name, INPUTS, "kind of input")
    kind = kind_class(fill(kind_class.Settings, kind_values, "input"))
    model_name, model_values = split_name(encoder, "crnn")
    model = pick(model_name, MODELS, "model")
    settings = fill(model.Settings, model_values, "encoder")
    if kind_name not in model.accepts:
        raise SettingsError(
            f"the model {model_name!r} is asked to read inputs of the kind {kind_name!r}",
            expected=f"one of its kinds: {', '.join(model.accepts)}",
            do="Choose another model: crnn models.",
        )
    network = model(kind.spec, settings)
    net = channels_last(Net(network, task.head(network)))
    return Bundle(net, task, kind, {"name": model_name, **as_dict(settings)}, dict(card or {}))


def find(name: str | Path) -> Path:
    """The file of a bundle: a file, a run folder, or ``zoo:NAME``. Raises ``BundleError``."""
    text = str(name)
    if text.startswith("zoo:"):
        shelf = {p.stem: p for p in Path(str(files("crnn") / "zoo")).glob("*.safetensors")}
        key = text.removeprefix("zoo:")
        if key not in shelf:
            raise BundleError(f"{text!r} is not in the zoo", expected="a bundle of the zoo", do=suggest(key, shelf))
        return shelf[key]
    path = Path(name)
    if path.is_dir():
        path = path / NAME
    if not path.is_file():
        raise BundleError(
            "is not there", expected="a run folder, a .safetensors file or zoo:NAME", do="Check the path.", file=path
        )
    return path


def load(name: str | Path) -> Bundle:
    """Read a bundle (see ``find``), strictly; the network is in ``eval()``. Raises ``BundleError``."""
    path = find(name)
    foreign = "Use a bundle written by crnn train; this file may be damaged or from another program."
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"cannot be read ({error})", expected="a bundle", do=foreign, file=path) from error
    if "crnn" not in metadata:
        raise BundleError("holds weights but no settings", expected="a bundle of crnn", do=foreign, file=path)
    try:
        values = json.loads(metadata["crnn"])
        version = values["format"]
        if version != FORMAT:
            raise BundleError(
                f"has the format {version!r}", expected=f"format {FORMAT}", do="Update crnn or the bundle.", file=path
            )
        task_name, task_values = split_name(values["task"])
        task_class = pick(task_name, TASKS, "task")
        task = task_class.restore(fill(task_class.Settings, task_values, "task"), values["learned"])
        bundle = build(task, values["input"], values["encoder"], values.get("card"))
    except BundleError:
        raise
    except (CrnnError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"has settings that cannot be used ({error})", expected="a bundle", do=foreign, file=path
        ) from error
    _fit(bundle.net, state, path)
    bundle.net.eval()
    return bundle


def _fit(net: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put ``state`` into ``net``; every name and shape must agree."""
    own = net.state_dict()
    wrong = sorted(set(own) ^ set(state)) or [k for k in own if own[k].shape != state[k].shape]
    if wrong:
        raise BundleError(
            f"its weights {', '.join(wrong[:3])}{' ...' if len(wrong) > 3 else ''} do not fit",
            expected="the weights that its settings ask for",
            do="The file is damaged or was edited; take it from its source again.",
            file=path,
        )
    bad = [k for k, v in state.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if bad:
        raise BundleError(f"its weights {bad[0]} are not finite", expected="numbers", do="Train again.", file=path)
    net.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})


def fold(net: nn.Module) -> nn.Module:
    """Put each batch normalisation into its convolution, for prediction alone; gives ``net``."""
    for module in net.modules():
        if isinstance(module, ConvBlock):
            module.fold()
    return net
