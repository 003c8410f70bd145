"""Prediction with an exported network: numpy and onnxruntime, no torch.

An ONNX file of ``crnn export`` says in its metadata all that a bundle does; the graph is the encoder and the head. It
is read strictly, as a bundle is, and is data: no operator but those of ONNX itself is known here.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from crnn import manifest
from crnn.data.stack import stack
from crnn.deploy.answering import Answering
from crnn.errors import BundleError, MissingExtra, SettingsError
from crnn.types import Batch, Level, Prediction, Sample, Seq

KEY = "crnn"
FOREIGN = "Use a file written by crnn export; this one may be damaged or from another program."


def input_names(names: Sequence[str]) -> list[str]:
    """What the inputs of a graph are called: values and lengths of each input of a network."""
    return [f"{name}.{part}" if name else part for name in (names or [""]) for part in ("x", "lengths")]


@dataclass(slots=True)
class Exported:
    """What a bundle is to a network that torch runs."""

    net: OnnxNet
    task: Any
    kind: Any
    encoder: Mapping[str, Any]
    card: dict[str, Any]


class OnnxNet:
    """An exported network: called as one of torch's is, with arrays in the place of tensors."""

    def __init__(self, session: Any, values: Mapping[str, Any], file: Path | None = None) -> None:
        self.session, self.file = session, file
        self.names = tuple(values["names"])
        self.used = {given.name for given in session.get_inputs()}
        levels = tuple(Level(level[0], tuple(level[1]), level[2]) for level in values["levels"])
        self.encoder = SimpleNamespace(levels=levels)
        self.parameters, self.precision = int(values["parameters"]), str(values["precision"])

    def __call__(self, inputs: Any) -> Any:
        """The head's answer to one ``Seq``, or to a mapping of them: an array, or a ``Seq`` of one."""
        seqs = [inputs[name] for name in self.names] if self.names else [inputs]
        arrays = [np.ascontiguousarray(part) for seq in seqs for part in (seq.x, np.asarray(seq.lengths, np.int64))]
        named = dict(zip(input_names(self.names), arrays, strict=True))
        try:
            found = self.session.run(None, {name: array for name, array in named.items() if name in self.used})
        except Exception as error:  # the library's errors have no common base
            given = f"does not run ({_first_line(error)})"
            expected = "a graph that takes what its settings say"
            raise BundleError(given, expected=expected, do=FOREIGN, file=self.file) from error
        return found[0] if len(found) == 1 else Seq(*found)


class OnnxPredictor(Answering):
    """An exported network ready to answer: ``OnnxPredictor("hand.onnx")("line.png").value``.

    Each thread answers a batch of its own; ``threads`` 0 takes all. Raises ``BundleError``, and ``MissingExtra``
    without onnxruntime.
    """

    def __init__(self, path: str | Path, *, batch_size: int = 16, threads: int = 0) -> None:
        self.file = Path(path)
        self.bundle = read(self.file)
        self.task, self.kind, self.net = self.bundle.task, self.bundle.kind, self.bundle.net
        self.batch_size, self.precision = batch_size, self.net.precision
        own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        self.threads = threads or len(own) or os.cpu_count() or 1

    @property
    def parameters(self) -> int:
        return self.net.parameters

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(self.threads) as pool:
            yield pool

    def _said(self, samples: Sequence[Sample], views: Sequence[Any]) -> list[Prediction]:
        batch = Batch(tuple(sample.id for sample in samples), stack(views), views=self.kind.view_count)
        predictions: list[Prediction] = self.task.predict(self.net, batch)
        return predictions


def session_of(model: bytes, threads: int = 1) -> Any:
    """What runs ``model``. Raises ``MissingExtra``, and the library's own errors."""
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def written(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The metadata of a file: ``values`` of ``read``, and what of the task is too large for them."""
    packed = base64.b64encode(save_arrays({k: np.ascontiguousarray(v) for k, v in arrays.items()})).decode()
    return {KEY: json.dumps(values, ensure_ascii=False), f"{KEY}.arrays": packed if arrays else ""}


def read(path: Path) -> Exported:
    """An exported network. Raises ``BundleError`` and ``MissingExtra``."""
    if not path.is_file():
        raise BundleError("is not there", expected="a file of crnn export", do="Check the path.", file=path)
    _onnxruntime()
    try:
        session = session_of(path.read_bytes())
        metadata = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # the library's errors have no common base
        given = f"cannot be read ({_first_line(error)})"
        raise BundleError(given, expected="an ONNX file", do=FOREIGN, file=path) from error
    if KEY not in metadata:
        raise BundleError("says nothing of crnn", expected="a file of crnn export", do=FOREIGN, file=path)
    try:
        values = json.loads(metadata[KEY])
        if values["format"] not in manifest.READ:
            known = " or ".join(map(str, manifest.READ))
            do = "Update crnn or export the bundle again."
            raise BundleError(f"has the format {values['format']!r}", expected=f"format {known}", do=do, file=path)
        packed = metadata.get(f"{KEY}.arrays", "")
        arrays = load_arrays(base64.b64decode(packed, validate=True)) if packed else {}
        task, kind = manifest.restored(values, arrays)
        net = OnnxNet(session, values["graph"], path)
    except BundleError:
        raise
    except Exception as error:  # settings of a stranger make Python raise nearly anything
        raise BundleError(
            f"has settings that cannot be used ({error})", expected="a file of crnn export", do=FOREIGN, file=path
        ) from error
    return Exported(net, task.with_input(kind), kind, values["encoder"], dict(values.get("card", {})))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def quantised(model: bytes) -> bytes:
    """``model`` with the weights of its matrices and LSTMs as whole numbers of eight bits, and what they are multiplied
    by brought to as many while it runs. Raises ``SettingsError`` where there are none to be made smaller."""
    _onnxruntime()
    from tempfile import TemporaryDirectory

    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(model)
        heard = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it asks for a preparation that changes nothing here
        try:
            kinds = ["LSTM", "MatMul", "Gemm"]
            quantize_dynamic(before, after, op_types_to_quantize=kinds, weight_type=QuantType.QInt8)
        finally:
            logging.root.setLevel(heard)
        small = after.read_bytes()
    if len(small) >= len(model):
        given = "the network has no matrix or LSTM that would be smaller"
        raise SettingsError(f"--int8 is given, and {given}", expected="a larger network", do="Leave --int8 out.")
    return small


def available() -> None:
    """Raises ``MissingExtra`` without onnxruntime."""
    _onnxruntime()


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "export") from error
    return onnxruntime
