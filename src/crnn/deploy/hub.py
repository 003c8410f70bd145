"""Bundles as people share networks: a folder with ``model.safetensors``, ``config.json`` and a model card, on this disk
or on the Hugging Face hub.

No other file is written or read, so nothing that could run code travels with a network.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crnn import bundle as bundles
from crnn.bundle import Bundle
from crnn.errors import BundleError, MissingExtra, SettingsError
from crnn.files import write_aside

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
HUB = "hf:"
LICENCES = {
    "cc by 4.0": "cc-by-4.0",
    "cc by 3.0": "cc-by-3.0",
    "cc0": "cc0-1.0",
    "mit": "mit",
    "apache 2.0": "apache-2.0",
}
"""What licences are called there."""
PIPELINES = {"transcribe": "image-to-text", "segment": "image-segmentation", "detect": "object-detection"}
"""What tasks are called there, where they have a name."""
SOUND = {"transcribe": "automatic-speech-recognition", "classify": "audio-classification"}
PICTURE = {"classify": "image-classification", "caption": "image-to-text"}


def push(name: str | Path, target: str, *, private: bool = False) -> str:
    """Write the bundle ``name`` into the folder ``target``, or to the hub if that is ``hf:USER/NAME``; where it is now.

    Raises ``BundleError``, ``SettingsError``, and ``MissingExtra`` without huggingface_hub.
    """
    path = bundles.find(name)
    if not target.startswith(HUB):
        write_folder(path, Path(target))
        return target
    from tempfile import TemporaryDirectory

    hub, repository = _hub(), _repository(target)
    with TemporaryDirectory() as folder:
        write_folder(path, Path(folder), title=repository)
        try:
            hub.HfApi().create_repo(repository, private=private, exist_ok=True)
            hub.HfApi().upload_folder(repo_id=repository, folder_path=folder, allow_patterns=[WEIGHTS, CONFIG, CARD])
        except (OSError, ValueError) as error:  # the library's own errors of the net are of these
            raise _unreachable(target, error) from error
    return f"https://huggingface.co/{repository}"


def pull(source: str, out: str | Path) -> Path:
    """Read a shared network from a folder, or from the hub if ``source`` is ``hf:USER/NAME``, into the run folder
    ``out``; the path of its bundle.

    Raises ``BundleError`` for a folder that holds no bundle, ``SettingsError`` and ``MissingExtra``.
    """
    if source.startswith(HUB):
        hub, repository = _hub(), _repository(source)
        try:
            file = Path(hub.hf_hub_download(repository, WEIGHTS))
        except (OSError, ValueError) as error:
            raise _unreachable(source, error) from error
    else:
        file = Path(source) / WEIGHTS
    if not file.is_file():
        do = "Check the path; hf:USER/NAME is one of the hub."
        raise BundleError("is not there", expected="a folder that crnn push wrote", do=do, file=file)
    bundles.load(file)  # strictly: what is foreign or damaged is not taken
    path = Path(out) / bundles.NAME
    with write_aside(path, "wb") as copy, file.open("rb") as whole:
        shutil.copyfileobj(whole, copy)
    return path


def write_folder(file: Path, folder: Path, *, title: str | None = None) -> None:
    """The bundle ``file`` as such a folder. Raises ``BundleError``."""
    bundle = bundles.load(file)
    with write_aside(folder / WEIGHTS, "wb") as copy, file.open("rb") as whole:
        shutil.copyfileobj(whole, copy)
    values = {"library_name": "crnn", "model_type": bundle.encoder["name"], **bundle.description()}
    with write_aside(folder / CONFIG) as text:
        text.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    with write_aside(folder / CARD) as text:
        own = file.parent.name if file.name == bundles.NAME else file.stem
        text.write(card_of(bundle, title or own))


def card_of(bundle: Bundle, title: str) -> str:
    """The model card, in Markdown with the hub's header."""
    card, task, kind = bundle.card, bundle.task.name, bundle.kind.spec
    licence = str(card.get("licence", ""))
    known = LICENCES.get(licence.lower())
    head = ["library_name: crnn", f"license: {known or 'other'}"]
    if licence and known is None:
        head.append(f"license_name: {json.dumps(licence, ensure_ascii=False)}")
    if pipeline := _pipeline(task, "" if isinstance(kind, Mapping) else kind.kind):
        head.append(f"pipeline_tag: {pipeline}")
    head += ["tags:", "- crnn", f"- {task}", f"- {bundle.encoder['name']}"]
    count = sum(p.numel() for p in bundle.net.parameters())
    facts = {
        "task": task,
        "model": f"{bundle.encoder['name']}, {count:,} parameters",
        **bundle.task.facts(),
        **{name: str(card[name]) for name in ("data", "source", "licence") if card.get(name)},
        **{f"samples ({part})": f"{n:,}" for part, n in card.get("samples", {}).items()},
    }
    figures = {k: v for k, v in card.get("valid", {}).items() if k in bundle.task.figures}
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    rows += [f"| {name} (validation part) | {value:.4f} |" for name, value in figures.items()]
    use = f"```\ncrnn pull {HUB}USER/NAME runs/mine\ncrnn predict runs/mine FILES\n```"
    return "\n".join(["---", *head, "---", f"# {title}", "", "| | |", "|---|---|", *rows, "", use, ""])


def _pipeline(task: str, kind: str) -> str | None:
    named = {"sound": SOUND, "picture": PICTURE, "scene": PICTURE, "line": PICTURE}.get(kind, {})
    pictures = kind in ("line", "picture", "scene")
    return named.get(task) or (PIPELINES.get(task) if pictures else None)


def _cell(value: Any) -> str:
    """A value that breaks no table."""
    return re.sub(r"\s+", " ", str(value)).replace("|", "\\|").replace("<", "&lt;")


def _repository(name: str) -> str:
    repository = name.removeprefix(HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise SettingsError(f"{name!r}", expected="hf:USER/NAME, or a folder", do="Write: hf:ada/hand")
    return repository


def _unreachable(name: str, error: Exception) -> BundleError:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    do = "Check the name, the network and hf auth login; or use a folder."
    return BundleError(f"cannot be reached ({line})", expected="a repository of the hub", do=do, file=name)


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtra("huggingface_hub", "hub") from error
    return huggingface_hub
