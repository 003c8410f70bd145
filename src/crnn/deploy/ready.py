"""A network ready to answer, whatever it is kept in: bundles, several of which vote, or an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crnn.config import Precision
from crnn.deploy.answering import Answering
from crnn.errors import SettingsError

SUFFIX = ".onnx"


def is_exported(bundle: str | Path | Sequence[str | Path]) -> bool:
    """Whether ``bundle`` names the file of an exported network, for which torch is not needed."""
    return isinstance(bundle, (str, Path)) and str(bundle).lower().endswith(SUFFIX) and "," not in str(bundle)


def predictor(
    bundle: str | Path | Sequence[str | Path],
    *,
    precision: Precision = "auto",
    batch_size: int = 16,
    device: str = "cpu",
    threads: int = 0,
) -> Answering:
    """What answers for ``bundle``: ``OnnxPredictor`` for a file of ``crnn export``, else what torch runs (see
    ``crnn.deploy.vote``). ``threads`` are those of an exported network; torch has its own setting.

    Raises ``BundleError``, and ``SettingsError`` for options that an exported network has not.
    """
    if batch_size < 1:
        raise SettingsError(f"the batch size is {batch_size}", expected="at least 1", do="Leave it out.")
    if threads < 0:
        raise SettingsError(f"{threads} threads", expected="at least 0, which takes all", do="Leave it out.")
    if is_exported(bundle):
        from crnn.deploy.onnx import OnnxPredictor

        if precision not in ("auto", "float32"):
            given = f"--precision {precision} is given for an exported network"
            raise SettingsError(given, expected="none: its precision is that of its file", do="Leave it out.")
        if device != "cpu":
            do = "Load the bundle, which torch can run there."
            raise SettingsError(f"the device {device!r} for an exported network", expected="cpu", do=do)
        return OnnxPredictor(str(bundle), batch_size=batch_size, threads=threads)
    names = bundle.split(",") if isinstance(bundle, str) else [bundle] if isinstance(bundle, Path) else bundle
    if len(names) > 1 and any(is_exported(str(name).strip()) for name in names):
        given = "an exported network is to vote"
        raise SettingsError(given, expected="bundles", do="Let the bundles vote that were exported.")
    from crnn.deploy.vote import predictor as of_torch

    return of_torch(bundle, precision=precision, batch_size=batch_size, device=device)


def load(bundle: str | Path | Sequence[str | Path], *, precision: Precision = "auto", device: str = "cpu") -> Answering:
    """A trained network ready to answer: ``crnn.load("runs/hand")("line.png").value``.

    ``bundle`` is a run folder, a ``.safetensors`` file or ``zoo:NAME``, or an ``.onnx`` file of ``crnn export``, for
    which torch is not imported; of a list, all bundles answer and vote. Raises ``BundleError``.
    """
    return predictor(bundle, precision=precision, device=device)
