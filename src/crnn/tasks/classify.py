"""classify: one label of several for each sample, by cross-entropy over pooled features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from crnn.config import Share, Strength
from crnn.errors import DataError
from crnn.findings import Doubts, Seen
from crnn.late import F, Tensor, nn, torch
from crnn.metrics import labels as metrics
from crnn.metrics.labels import Guess
from crnn.tasks._arrays import array, first_lengths, softmax
from crnn.tasks._charts import confusion_svg, reliability_svg
from crnn.tasks._common import Common, too_short
from crnn.tasks._given import label_of
from crnn.tasks._labels import doubts
from crnn.tasks._labels.html import NOTE, label_html
from crnn.tasks._labels.known import Labels, find
from crnn.tasks._labels.temperature import temperature
from crnn.tasks._pooled import Pool, grow, pooled
from crnn.types import Batch, Part, Prediction, Sample

Pair = tuple[Any, Prediction]


class Classify(Common):
    """A label for each sample; knows the labels, and how sure it may be."""

    name = "classify"
    best = ("accuracy", max)
    figures = ("accuracy", "macro_f1")
    averages = True
    votes = True

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        pool: Pool = "auto"
        """How steps become one: mean, max, last, attention; auto takes what the encoder prefers."""
        dropout: Share = 0.2
        """Share of pooled features dropped before the last layer, in training."""
        smoothing: Share = 0.0
        """Share of the truth's probability that is spread over all labels, in training."""
        balance: Share = 0.0
        """How far rare classes count more in training: 0 not at all, 1 in inverse proportion to their samples."""
        mixup: Strength = 0.0
        """Parameter of the Beta distribution by which two samples are mixed in training; 0 mixes none."""

    def __init__(self, settings: Settings, labels: Labels, *, temperature: float = 1.0) -> None:
        self.settings, self.labels, self.temperature = settings, labels, temperature

    # what is learned, and kept in the bundle

    @staticmethod
    def stratum(sample: Sample) -> Any:
        """The class, so that each gives its share to the parts of the data."""
        return sample.y

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The labels of the training part, in sorted order. Raises ``DataError`` for fewer than two."""
        return cls(settings, Labels.learn(s.y for s in samples if s.y is not None))

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task with the labels 0, 1 and so on, for a network without data."""
        return cls(settings, Labels(tuple(range(outputs)), (1,) * outputs))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        return cls(settings, Labels.restore(learned), temperature=float(learned.get("temperature", 1.0)))

    def learned(self) -> dict[str, Any]:
        return {**self.labels.learned(), "temperature": self.temperature}

    def facts(self) -> dict[str, str]:
        names = ", ".join(map(str, self.labels.names[:10])) + (" ..." if len(self.labels) > 10 else "")
        return {"labels": f"{len(self.labels):,}: {names}", "temperature": f"{self.temperature:.2f}"}

    def extend(self, samples: Sequence[Sample]) -> Classify:
        """This task with the new labels of ``samples``, for fine-tuning."""
        return Classify(self.settings, self.labels.extend(s.y for s in samples if s.y is not None))

    def settle(self, pairs: Sequence[Pair]) -> Classify:
        """The task with the temperature that suits the validation part."""
        number = self.labels.number
        known = [(number[truth], p) for truth, p in pairs if truth in number]
        table = np.zeros((len(known), len(number)))
        for row, (_, p) in zip(table, known, strict=True):
            for part in p.parts:
                row[number[part.value]] = part.score
        fitted = temperature(table, np.array([truth for truth, _ in known], dtype=int))
        return Classify(self.settings, self.labels, temperature=self.temperature * fitted)

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from: no label, an unknown one, or nothing left of it."""
        if sample.y is None:
            return DataError("has no label", expected="its class", do="Write it or drop the sample.", file=sample.id)
        if sample.y not in self.labels.number:
            return DataError(
                f"has the label {sample.y!r}",
                expected=f"one of the {len(self.labels)} labels of the training part",
                do="Add samples with it to the training part, or correct the label.",
                file=sample.id,
            )
        return too_short(sample, steps)

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these labels, and figures of them."""
        return doubts.doubts(seen, self.labels)

    def encode(self, sample: Sample) -> Sample:
        """``y`` as its number, ``None`` if it is not known."""
        return replace(sample, y=self.labels.number.get(sample.y))

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        return pooled(encoder, len(self.labels), pool=self.settings.pool, dropout=self.settings.dropout)

    def grow_head(self, head: nn.Module, old: Classify, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` in the shape of ``head``, whose new labels keep their fresh weights."""
        return grow(head, weights, [self.labels.number[name] for name in old.labels.names])

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy, of mixtures if ``mixup`` is set."""
        if not (self.settings.mixup and net.training):
            return self._cross_entropy(net(batch.inputs), batch.targets)
        from crnn.tasks._labels.mixup import mixup

        inputs, order, share = mixup(batch.inputs, self.settings.mixup)
        y = net(inputs)
        own, other = (self._cross_entropy(y, targets) for targets in (batch.targets, batch.targets[order]))
        return share * own + (1 - share) * other

    def weight(self, batch: Batch) -> float:
        """Samples, each by the weight of its class."""
        weights = self._weights(batch.targets.device)
        return float(len(batch) if weights is None else weights[batch.targets].sum())

    def _weights(self, device: Any) -> Tensor | None:
        """Of each class, where they are balanced."""
        if not self.settings.balance:
            return None
        counts = torch.tensor(self.labels.counts, dtype=torch.float32, device=device).clamp(min=1)
        return (counts.mean() / counts) ** self.settings.balance

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        weights = self._weights(logits.device)
        return F.cross_entropy(logits, targets, weight=weights, label_smoothing=self.settings.smoothing)

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """A label for each sample; parts are all labels, the likeliest first, each over the whole sample."""
        logits = array(net(batch.inputs)) / self.temperature
        shares = softmax(logits).reshape(len(batch), batch.views, -1).mean(1)
        steps = first_lengths(batch.inputs)[:: batch.views].tolist()
        return [self._prediction(*row) for row in zip(batch.ids, shares, steps, strict=True)]

    def vote(self, answers: Sequence[Prediction]) -> Prediction:
        """The label with the highest mean probability; a bundle that does not know a label gives it none."""
        first = answers[0]
        sums = dict.fromkeys((part.value for answer in answers for part in answer.parts), 0.0)
        for part in (part for answer in answers for part in answer.parts):
            sums[part.value] += part.score / len(answers)
        order = sorted(sums, key=lambda label: -sums[label])
        stop = first.parts[0].stop if first.parts else 0.0
        parts = tuple(Part(label, 0.0, stop, min(1.0, sums[label])) for label in order)
        return Prediction(first.id, parts[0].value, parts[0].score, parts)

    def evidence(self, net: nn.Module, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """The log odds of the answer, or of the label ``of``, at the temperature of the bundle."""
        number = self.labels.number[find(prediction.value if of is None else of, self.labels.names)]
        y = net(inputs) / self.temperature
        return y[:, number] - torch.cat([y[:, :number], y[:, number + 1 :]], dim=1).logsumexp(1)

    def _prediction(self, id: str, shares: np.ndarray, steps: int) -> Prediction:
        order = np.argsort(-shares, kind="stable")
        parts = tuple(Part(self.labels.names[i], 0.0, float(steps), min(1.0, float(shares[i]))) for i in order)
        return Prediction(id, parts[0].value, parts[0].score, parts)

    # figures

    def truth(self, sample: Sample) -> Any:
        return sample.y

    def given(self, id: str, value: Any, truth: Any) -> Prediction:
        return Prediction(id, label_of(id, value, (truth, *self.labels.names)), 1.0)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.labels.score``."""
        return metrics.score(_guesses(pairs), groups)

    def row(self, truth: Any, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        guess = _guess(truth, prediction)
        said = {"id": prediction.id, "truth": truth, "answer": prediction.value, "score": prediction.score}
        return {**said, "right": guess.right, "badness": 1 - guess.of_truth}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        guesses = _guesses(pairs)
        labels = metrics.ordered({*self.labels.names, *(g.truth for g in guesses), *(g.labels[0] for g in guesses)})
        table = metrics.confusion(guesses, labels)
        seen = [i for i in range(len(labels)) if table[i].any() or table[:, i].any()]
        rows = metrics.per_class(guesses)
        charts = [("Confusion matrix", confusion_svg([labels[i] for i in seen], table[np.ix_(seen, seen)]))]
        if any(len(g.labels) > 1 for g in guesses):
            charts.append(("Reliability", reliability_svg(metrics.reliability(guesses))))
        return {
            "confusions": metrics.confusions(guesses),
            "confused": "taken for",
            "figures": metrics.FIGURES,
            "note": NOTE,
            "charts": charts,
            "tables": [("Classes", rows)],
        }

    def by_label(self, pairs: Sequence[Pair]) -> dict[Any, float]:
        """The share of each class that is right."""
        return {row["label"]: row["recall"] for row in metrics.per_class(_guesses(pairs))}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: always the label that is most frequent in the training part."""
        pairs = [(s.y, Prediction(s.id, self.labels.usual, 1.0)) for s in samples]
        figures = self.score(pairs)
        return {"most frequent class": {k: figures[k] for k in ("accuracy", "balanced_accuracy", "macro_f1")}}

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        answers = {p.value for _, p in pairs}
        if len(answers) == 1 and len({truth for truth, _ in pairs}) > 1:
            return (
                f"the network says {next(iter(answers))!r} for every sample: files and labels may not belong "
                "together, or the learning rate is too high"
            )
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return f"accuracy {100 * figures['accuracy']:.2f} %  macro F1 {100 * figures['macro_f1']:.2f} %"

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        guesses = prediction.parts[: max(1, top)]
        return "\t".join([prediction.id, *(f"{part.value}\t{part.score:.2f}" for part in guesses)])

    def plain(self, prediction: Prediction, *, top: int = 0) -> dict[str, Any]:
        """``top`` labels (0 for all) stand in ``labels``."""
        shown = prediction.parts[: top or None]
        labels = [{"label": part.value, "score": part.score} for part in shown]
        return {"id": prediction.id, "label": prediction.value, "score": prediction.score, "labels": labels}

    def show(self, prediction: Prediction, truth: Any, picture: str = "") -> str:
        """An HTML fragment: picture, likeliest labels, truth."""
        guesses = [(part.value, part.score) for part in prediction.parts]
        return label_html(truth, guesses, known=truth is not None, picture=picture)


def _guess(truth: Any, prediction: Prediction) -> Guess:
    parts = prediction.parts
    labels, scores = (tuple(p.value for p in parts), tuple(p.score for p in parts)) if parts else ((), ())
    return Guess(truth, labels or (prediction.value,), scores or (prediction.score,))


def _guesses(pairs: Sequence[Pair]) -> list[Guess]:
    return [_guess(truth, p) for truth, p in pairs]
