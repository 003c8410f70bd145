"""Which moments of a source made an answer: integrated gradients, summed at each step of time.

Sundararajan, Taly & Yan (2017, ICML; arXiv 1703.01365), "Axiomatic Attribution for Deep Networks": the gradient of
what speaks for the answer is averaged on the way from an empty input to the sample, and multiplied by the sample. So
all steps together add up to the difference that the sample makes, and what does not change the answer has no part in
it. Empty is zero: blank paper, the mean of the training part, a word's vector of zeros. A moment that looks like this
has no part either, whatever it means; and the parts say what this network made of the sample, not what is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from crnn.data.collate import gather
from crnn.precision import autocast
from crnn.types import Batch, Prediction, Sample, Seq, in_source

if TYPE_CHECKING:
    from crnn.deploy.predict import Predictor

POINTS = 32
"""Places between empty and sample at which the gradient is taken."""
SAID = "margin:0 0 .4rem;font-size:.8em;opacity:.7;overflow-wrap:anywhere"
ONLY = ""
"""Name of an input that has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """How much each step of the input speaks for an answer (above zero) or against it (below).

    The unit is that of ``whole``: log odds of a label or of events, the number's own, the log-probability of a text.
    """

    prediction: Prediction
    of: str
    """What is spoken for: the answer in words, or what was asked for."""
    parts: Mapping[str, np.ndarray]
    """For each input by its name (``""`` for the only one) the steps' parts, float64 ``(time,)``."""
    whole: float
    """How much more the sample speaks for it than an empty one; the parts' sum comes near to it."""
    scale: float
    """Steps of the (first) input for each unit of the source (a pixel, a second)."""

    @property
    def steps(self) -> np.ndarray:
        """The parts of the (first) input's steps."""
        return next(iter(self.parts.values()))

    @property
    def heat(self) -> Any:
        """The parts as numbers from -1 to 1, the largest of all inputs 1 or -1, for ``Kind.shown``."""
        most = max((float(np.abs(part).max(initial=0)) for part in self.parts.values()), default=0) or 1.0
        heat = {name: part / most for name, part in self.parts.items()}
        return heat.get(ONLY, heat)


NOTE = (
    "Colours say which moments spoke for an answer (orange) or against it (blue), the strongest of each sample in full "
    "colour; the number beside them is how much they add up to, against an empty input."
)
"""Explains the colours to the readers of a page."""


def shown(predictor: Predictor, sample: Sample, why: Explanation | None = None) -> str:
    """A sample for people to look at, as HTML; with ``why``, the moments that counted are coloured."""
    if why is None:
        return predictor.kind.shown(sample.x)
    said = f"for {escape(why.of)}: {why.whole:+.3g}"
    return f'{predictor.kind.shown(sample.x, why.heat)}<p style="{SAID}">{said}</p>'


def explain(predictor: Predictor, sample: Sample, *, of: Any = None, points: int = POINTS) -> Explanation:
    """Why ``predictor`` answers ``sample`` as it does, or what speaks for ``of``: a label, one of several numbers
    (``value_2``, or 2), a text. Of several views of a sample the first is looked at. Raises what reading it raises, and
    ``SettingsError`` if ``of`` is not known."""
    kind, task, net = predictor.kind, predictor.task, predictor.net
    x, scale = kind.decode_scaled(sample.x)
    inputs = gather([kind.finish(view) for view in kind.views(x)])
    batch = Batch((sample.id,), inputs, views=kind.view_count).to(predictor.device)
    with torch.inference_mode(), autocast(predictor.precision, predictor.device):
        (prediction,) = task.predict(net, batch)
    first = _each(_named(batch.inputs), lambda seq: Seq(seq.x[:1], seq.lengths[:1]))
    path = _Path(net, first)

    def evidence(inputs: Any) -> Tensor:
        return task.evidence(net, inputs, prediction, of).double()

    sums = {name: torch.zeros(seq.x.shape[1], dtype=torch.float64) for name, seq in first.items()}
    places = [(i + 0.5) / points for i in range(points)]
    for start in range(0, points, predictor.batch_size):
        some = places[start : start + predictor.batch_size]
        with path.at(some) as (inputs, leaves), torch.backends.cudnn.flags(enabled=False):  # has no gradient in eval()
            y = evidence(inputs)
            wanted = leaves()
            gradients = torch.autograd.grad(y.sum(), [leaf for _, leaf, _ in wanted], allow_unused=True)
        for (name, _, whole), gradient in zip(wanted, gradients, strict=True):
            if gradient is not None:
                sums[name] += (gradient.double().sum(0) * whole).flatten(1).sum(1).cpu()
    with torch.no_grad(), path.at([0.0, 1.0]) as (inputs, _):
        empty, full = evidence(inputs).tolist()
    return Explanation(
        in_source(prediction, scale),
        task.word(prediction.value) if of is None else str(of),
        {name: (total / points).numpy() for name, total in sums.items()},
        full - empty,
        scale,
    )


class _Path:
    """The straight way from an empty input to one sample; words become vectors first, and these are what grows."""

    def __init__(self, net: nn.Module, inputs: Mapping[str, Seq]) -> None:
        self.inputs = inputs
        self.words = {name: seq.x[0] for name, seq in inputs.items() if not seq.x.is_floating_point()}
        self.embeddings = [m for m in net.modules() if isinstance(m, nn.Embedding)] if self.words else []

    @contextmanager
    def at(self, places: list[float]) -> Iterator[tuple[Any, Any]]:
        """The inputs of a network at these shares of the way, a row each, and a function that gives, once it has seen
        them: the name of each input, the tensor that gradients are asked of, and its value at the end of the way."""
        found: list[tuple[str, Tensor, Tensor]] = []

        def scaled(name: str, x: Tensor) -> Tensor:
            share = torch.tensor(places, device=x.device, dtype=x.dtype).view(-1, *[1] * (x.dim() - 1))
            leaf = (x * share).requires_grad_(torch.is_grad_enabled())
            found.append((name, leaf, x[0].double()))
            return leaf

        def row(name: str, seq: Seq) -> Seq:
            x = seq.x.expand(len(places), *seq.x.shape[1:])
            return Seq(x if name in self.words else scaled(name, x), seq.lengths.expand(len(places)))

        def hook(_: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            ids = args[0]
            name = next((n for n, w in self.words.items() if torch.equal(ids[0], w)), None)
            return None if name is None else scaled(name, output.detach())

        handles = [embedding.register_forward_hook(hook) for embedding in self.embeddings]
        try:
            inputs = {name: row(name, seq) for name, seq in self.inputs.items()}
            yield inputs.get(ONLY, inputs), lambda: found
        finally:
            for handle in handles:
                handle.remove()


def _named(inputs: Any) -> Mapping[str, Seq]:
    return inputs if isinstance(inputs, Mapping) else {ONLY: inputs}


def _each(inputs: Mapping[str, Seq], change: Any) -> dict[str, Seq]:
    return {name: change(seq) for name, seq in inputs.items()}
