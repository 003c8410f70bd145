"""What Python users call: the same jobs as the command line's verbs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crnn.bundle import Net, build
from crnn.config import Precision, Recipe, fill
from crnn.deploy.predict import Predictor
from crnn.registry import pick
from crnn.tasks import TASKS


def load(bundle: str | Path, *, precision: Precision = "auto", device: str = "cpu") -> Predictor:
    """A trained network ready to answer: ``crnn.load("runs/hand")("line.png").value``.

    ``bundle`` is a run folder, a ``.safetensors`` file or ``zoo:NAME``. Raises ``BundleError``.
    """
    return Predictor(bundle, precision=precision, device=device)


def create(
    model: str = "crnn",
    *,
    task: str = "transcribe",
    learned: Mapping[str, Any],
    input: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
) -> Net:
    """A network with fresh weights, a ``torch.nn.Module`` that maps a padded ``Seq`` to the task's output ``Seq``.

    ``learned`` is what the task would learn from data (``{"letters": "abc"}`` for transcribe); ``input`` and
    ``encoder`` are tables as in a recipe. Raises ``SettingsError``.

    >>> net = create("crnn_vgg", learned={"letters": "0123456789abcdefghijklmnopqrstuvwxyz"}, input={"height": 32})
    >>> sum(p.numel() for p in net.parameters())
    8331301
    """
    kind = pick(task, TASKS, "task")
    restored = kind.restore(kind.Settings(), learned)
    return build(restored, input or {}, {"name": model, **(encoder or {})}).net


def fit(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    run: str | Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
) -> Path:
    """Train as ``recipe`` says (a TOML file, its tables as a mapping, or a ``Recipe``); gives the path of the bundle.

    See ``crnn.train.fit.fit``.
    """
    from crnn import config
    from crnn.train.fit import fit as run_fit

    if isinstance(recipe, Mapping):
        recipe = fill(Recipe, recipe, "recipe")
    elif not isinstance(recipe, Recipe):
        recipe = config.load(recipe)
    return run_fit(recipe, run, start=start, resume=resume)
