"""A trained network in one ``.safetensors`` file: weights, settings, what was learned of the data, figures, origin.

A bundle is data and never runs code. It is read strictly: an unknown version, a missing or surplus weight, a wrong
shape, a bit that is not what it was is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from crnn.config import as_dict, fill, split_name
from crnn.data.inputs import INPUTS, Kind, restore
from crnn.errors import BundleError, SettingsError
from crnn.files import write_aside
from crnn.layers import ConvBlock, zero_padding
from crnn.layers.bounds import check_buffers, unreal
from crnn.manifest import FORMAT, READ, described, restored, tables_of
from crnn.models import MODELS
from crnn.precision import channels_last
from crnn.registry import pick, suggest
from crnn.tasks import TASKS
from crnn.types import Seq

__all__ = [
    "FORMAT",
    "READ",
    "Bundle",
    "Net",
    "build",
    "combinations",
    "default_model",
    "find",
    "fold",
    "load",
    "readable",
    "refusal",
    "tables_of",
]

NAME = "bundle.safetensors"
TASK = "task."
"""What the names of a task's arrays begin with."""
CHECKSUM = "weights"
"""Of the description in the file; those of earlier versions have none."""


class Net(nn.Module):
    """An encoder and a task's head. Whatever stands in the padding of an input, the network sees zeros there."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, inputs: Any, told: Any = None) -> Any:
        """The head's answer to one ``Seq``, or to a mapping name -> ``Seq`` where the encoder reads several inputs.
        ``told`` is what the task tells its head beside the features, such as how many steps are wanted; a head that
        ``sees_inputs`` is told these."""
        several = isinstance(inputs, Mapping)
        features = self.encoder({k: _clean(seq) for k, seq in inputs.items()} if several else _clean(inputs))
        if told is None and getattr(self.head, "sees_inputs", False):
            told = inputs
        return self.head(features) if told is None else self.head(features, told)


def _clean(seq: Seq) -> Seq:
    x, lengths = seq
    return Seq(zero_padding(x, lengths, axis=1), lengths)


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
        return described(self.task, self.kind, self.encoder, self.card)

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write the file whole or not at all. ``half`` stores weights as float16: half the size; they are used as
        float32 again."""
        state = {k: v.detach().cpu().contiguous() for k, v in self.net.state_dict().items()}
        if half:
            state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        state |= {TASK + name: torch.from_numpy(array.copy()) for name, array in self.task.arrays().items()}
        with write_aside(path, "wb") as file:
            # one entry, since the order of several would be another in each file
            said = {**self.description(), CHECKSUM: _checksum(state)}
            file.write(save(state, metadata={"crnn": json.dumps(said, ensure_ascii=False)}))


def default_model(task: Any, kinds: Mapping[str, str]) -> str:
    """The model that is taken for inputs of these kinds, by their names, where none is named."""
    name: str = task.models.get(next(iter(kinds.values())), task.model)
    return name


def build(
    task: Any, input: Mapping[str, Any] | Kind, encoder: Mapping[str, Any], card: Mapping[str, Any] | None = None
) -> Bundle:
    """A network with fresh weights for ``task``. ``input`` is a kind of input with what it learned, or the table of a
    recipe for one that learns nothing; ``encoder`` is a table of a recipe.

    Raises ``SettingsError`` where the parts do not fit.
    """
    kind = input if isinstance(input, Kind) else restore(input)
    task = task.with_input(kind)
    specs = kind.spec if isinstance(kind.spec, Mapping) else {"": kind.spec}
    kinds = {name: spec.kind for name, spec in specs.items()}
    model_name, model_values = split_name(encoder, default_model(task, kinds))
    model = pick(model_name, MODELS, "model")
    settings = fill(model.Settings, model_values, "encoder")
    refused = refusal(model_name, type(task), kinds)
    if refused is not None:
        raise refused
    if kind.view_count > 1 and not task.averages:
        raise SettingsError(
            f"the kind {specs[next(iter(specs))].kind!r} gives {kind.view_count} views of each sample",
            expected=f"one view for {task.name}, whose answers cannot be averaged",
            do="Leave input.views out.",
        )
    answers = getattr(model, "answers", ())
    network = model(kind.spec, settings, outputs=task.outputs) if answers else model(kind.spec, settings)
    net = channels_last(Net(network, task.head(network)))
    return Bundle(net, task, kind, {"name": model_name, **as_dict(settings)}, dict(card or {}))


def readable(model: Any, task: Any, names: Sequence[str] = ()) -> dict[str, list[str]]:
    """Kinds that the class ``model`` can read for the class ``task``, for each of the inputs ``names``, or for the one
    input ``""`` that has no name."""
    if (answers := getattr(model, "answers", ())) and task.answer not in answers:
        return {}
    if not names:
        return {"": [kind for kind in task.kinds if kind in model.accepts and kind in INPUTS]}
    branches = getattr(model, "branches", ())
    if isinstance(branches, Mapping):
        return {name: [kind for kind in branches.get(name, ()) if kind in INPUTS] for name in names}
    return {n: [k for k in kinds if k in INPUTS] for n, kinds in zip(names, branches, strict=False)}


def refusal(model: str, task: Any, kinds: Mapping[str, str]) -> SettingsError | None:
    """Why the model ``model`` cannot do the class ``task`` on inputs of these ``kinds``, by name (``""`` is the only
    one), or ``None`` if it can."""
    names = [name for name in kinds if name]
    can = readable(MODELS[model], task, names)
    for name, kind in kinds.items():
        if kind in can.get(name, ()):
            continue
        if not name and kind in MODELS[model].accepts and kind in task.kinds:
            return SettingsError(
                f"the model {model!r}, which reads its own maps, is asked to {task.name} inputs of the kind {kind!r}",
                expected="one of its kinds: none, since it names each place of a picture",
                do="Choose another model: crnn models.",
            )
        if not name and kind in MODELS[model].accepts:
            return SettingsError(
                f"the task {task.name!r} is asked of inputs of the kind {kind!r}",
                expected=f"one of its kinds: {', '.join(k for k in task.kinds if k in INPUTS)}",
                do="Name another kind of input, or another task.",
            )
        asked = f"inputs of the kind {kind!r}" if not name else f"an input {name!r} of the kind {kind!r}"
        wanted = ", ".join(can.get(name, ())) or ", ".join(MODELS[model].accepts) or "none of that name"
        return SettingsError(
            f"the model {model!r} is asked to read {asked}",
            expected=f"one of its kinds: {wanted}",
            do="Choose another model: crnn models.",
        )
    return None


def combinations() -> Iterator[tuple[str, str, str]]:
    """Every model, kind and task that make sense together, one input each: what ``crnn models`` shows and the tests
    try."""
    for model, task in product(MODELS, TASKS):
        for kind in readable(MODELS[model], TASKS[task]).get("", ()):
            yield model, kind, task


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
    if path.suffix.lower() == ".onnx" and path.is_file():
        do = "crnn predict and crnn test read it; for anything else take the bundle that was exported."
        raise BundleError("is an exported network", expected="a bundle", do=do, file=path)
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
        if values.pop(CHECKSUM, "") not in ("", _checksum(state)):
            given, expected = "its weights are not those that were written", "the same to the bit"
            raise BundleError(given, expected=expected, do="Take it from its source again.", file=path)
        version = values["format"]
        if version not in READ:
            raise BundleError(
                f"has the format {version!r}",
                expected=f"format {' or '.join(map(str, READ))}",
                do="Update crnn or the bundle.",
                file=path,
            )
        arrays = {key.removeprefix(TASK): state.pop(key).numpy() for key in list(state) if key.startswith(TASK)}
        task, kind = restored(values, arrays)
        with unreal(len(state)):  # what settings ask for is known to fit the weights before it takes any memory
            plan = build(task, kind, values["encoder"]).net
        _fit(plan, state, path)
        check_buffers(plan, sum(tensor.numel() for tensor in state.values()))
        bundle = build(task, kind, values["encoder"], values.get("card"))
    except BundleError:
        raise
    except Exception as error:  # settings of a stranger make Python and torch raise nearly anything
        raise BundleError(
            f"has settings that cannot be used ({error})", expected="a bundle", do=foreign, file=path
        ) from error
    own = bundle.net.state_dict()
    bundle.net.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})
    bundle.net.eval()
    return bundle


def _checksum(state: Mapping[str, torch.Tensor]) -> str:
    """Of names, shapes and values: a single bit of a weight may spoil answers, and nobody would see it."""
    digest = blake2b(digest_size=16)
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _fit(net: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Raises ``BundleError`` unless each name and shape of ``state`` is that of ``net``, and its values are finite."""
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


def fold(net: nn.Module) -> nn.Module:
    """Put each batch normalisation into its convolution, for prediction alone; gives ``net``."""
    for module in net.modules():
        if isinstance(module, ConvBlock):
            module.fold()
    return net
