"""regress: one number or several for each sample, from pooled features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from crnn.config import Share
from crnn.errors import DataError, SettingsError
from crnn.findings import Doubts, Finding, Seen
from crnn.late import F, Tensor, nn
from crnn.metrics import numbers as metrics
from crnn.tasks._arrays import array
from crnn.tasks._charts import cloud_svg
from crnn.tasks._common import Common, too_short
from crnn.tasks._given import numbers_of
from crnn.tasks._pooled import Pool, pooled
from crnn.types import Batch, Prediction, Sample

Number = float | tuple[float, ...]
"""The answer for one sample."""
Pair = tuple[Number, Prediction]
LOSSES = {"square": "mse_loss", "absolute": "l1_loss", "smooth": "smooth_l1_loss"}
NOTE = "An answer is off by its distance from the truth."
"""Explains the marks to the readers of a report."""
FAR = 6.0  # deviations from the mean at which a number is doubted


class Regress(Common):
    """Numbers for each sample; knows their mean and deviation, and how far off it usually is."""

    name = "regress"
    answer = "numbers"
    best = ("mae", min)
    figures = ("mae", "r2")
    averages = True
    votes = True

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        loss: Literal["square", "absolute", "smooth"] = "smooth"
        """What is made small: the squared error, the absolute one, or the squared one below a deviation and the
        absolute one above it."""
        pool: Pool = "auto"
        """How steps become one: mean, max, last, attention; auto takes what the encoder prefers."""
        dropout: Share = 0.1
        """Share of pooled features dropped before the last layer, in training."""

    def __init__(
        self,
        settings: Settings,
        mean: Sequence[float],
        deviation: Sequence[float],
        *,
        usual_error: Sequence[float] = (),
    ) -> None:
        self.settings, self.mean, self.deviation = settings, tuple(mean), tuple(deviation)
        self.usual_error = tuple(usual_error)

    # what is learned, and kept in the bundle

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """Mean and deviation of the training part. Raises ``DataError`` if no sample has numbers, or another count."""
        known = [_row(s.y) for s in samples if _is_number(s.y)]
        if not known:
            do = "Give a table a column of numbers (target), or name it: --answer COLUMN."
            raise DataError("no sample has a number", expected="numbers to learn", do=do)
        if len({len(row) for row in known}) > 1:
            counts = ", ".join(map(str, sorted({len(row) for row in known})))
            raise DataError(f"samples have {counts} numbers", expected="as many for each", do="Correct the data.")
        table = np.array(known, dtype=np.float64)
        deviation = table.std(0)
        return cls(settings, table.mean(0).tolist(), np.where(deviation > 0, deviation, 1.0).tolist())

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task of so many numbers, for a network without data."""
        return cls(settings, [0.0] * outputs, [1.0] * outputs)

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        usual = learned.get("usual_error", ())
        return cls(
            settings, list(map(float, learned["mean"])), list(map(float, learned["deviation"])), usual_error=usual
        )

    def learned(self) -> dict[str, Any]:
        scale = {"mean": list(self.mean), "deviation": list(self.deviation)}
        return {**scale, "usual_error": list(self.usual_error)}

    def facts(self) -> dict[str, str]:
        usual = ", ".join(f"{value:.4g}" for value in self.usual_error)
        return {"numbers": str(len(self.mean))} | ({"usual error": usual} if usual else {})

    def extend(self, samples: Sequence[Sample]) -> Regress:
        """The same task, for fine-tuning: what its outputs mean must not change."""
        return self

    def settle(self, pairs: Sequence[Pair]) -> Regress:
        """The task with its mean error on the validation part."""
        usual = np.mean([abs(_row(p.value) - _row(truth)) for truth, p in pairs], axis=0).tolist() if pairs else ()
        return Regress(self.settings, self.mean, self.deviation, usual_error=usual)

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from: no number, another count of them, or nothing left of it."""
        if not _is_number(sample.y):
            given = "has no number" if sample.y is None else f"has the answer {sample.y!r}"
            return DataError(given, expected="finite numbers", do="Write them or drop the sample.", file=sample.id)
        if len(_row(sample.y)) != len(self.mean):
            given, expected = f"has {len(_row(sample.y))} numbers", f"{len(self.mean)}, as in the training part"
            return DataError(given, expected=expected, do="Correct the data.", file=sample.id)
        return too_short(sample, steps)

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """Numbers far from all others, and figures of each split."""
        findings = [Finding.of(s.problem, "no number", file=s.sample.id, split=s.split) for s in seen if s.problem]
        figures = {}
        for split in dict.fromkeys(s.split for s in seen):
            table = np.array([_row(s.sample.y) for s in seen if s.split == split and s.problem is None])
            if len(table):
                first = table[:, 0]
                figures[split] = {"number": (float(first.min()), float(np.median(first)), float(first.max()))}
        return Doubts((*findings, *self._far(seen)), figures, {"numbers": len(self.mean)})

    def _far(self, seen: Sequence[Seen]) -> Iterator[Finding]:
        for s in seen:
            if s.problem is None and max(abs(z) for z in self._scaled(s.sample.y)) > FAR:
                said = f"has the answer {self.word(s.sample.y)}, far from all others"
                yield Finding("warning", "far from the others", s.sample.id, said, "Check its unit and comma.", s.split)

    def encode(self, sample: Sample) -> Sample:
        """``y`` as deviations from the mean of the training part."""
        return sample if sample.y is None else replace(sample, y=self._scaled(sample.y))

    def _scaled(self, y: Number) -> tuple[float, ...]:
        return tuple(((_row(y) - np.array(self.mean)) / np.array(self.deviation)).tolist())

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        return pooled(encoder, len(self.mean), pool=self.settings.pool, dropout=self.settings.dropout)

    def grow_head(self, head: nn.Module, old: Regress, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` as they are. Raises ``SettingsError`` for another count of numbers."""
        if any(head.state_dict()[name].shape != value.shape for name, value in weights.items()):
            raise SettingsError(
                f"the bundle predicts {len(old.mean)} numbers",
                expected=f"{len(self.mean)}, as in the data",
                do="Train anew without --start.",
            )
        return dict(weights)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Mean over samples and numbers, each number in deviations of the training part."""
        loss: Tensor = getattr(F, LOSSES[self.settings.loss])(net(batch.inputs), batch.targets)
        return loss

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """Numbers for each sample, in their own unit; the score is 1, for the network does not say how sure it is."""
        y = array(net(batch.inputs)).reshape(len(batch), batch.views, -1).mean(1)
        table = y * np.array(self.deviation) + np.array(self.mean)
        return [Prediction(id, _value(row), 1.0) for id, row in zip(batch.ids, table.tolist(), strict=True)]

    def vote(self, answers: Sequence[Prediction]) -> Prediction:
        """The mean of each number."""
        mean = np.mean([_row(answer.value) for answer in answers], axis=0)
        return Prediction(answers[0].id, _value(mean.tolist()), 1.0)

    def evidence(self, net: nn.Module, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """The number itself, in its unit; of several the first, or that which ``of`` names (``value_2``, or 2)."""
        names = self._names()
        numbers = {word: i for i, name in enumerate(names) for word in (name, str(i + 1))}
        if of is not None and str(of) not in numbers:
            raise SettingsError(
                f"the number {of!r}", expected=f"one of {', '.join(names)}", do="Name it so, or count from 1."
            )
        i = 0 if of is None else numbers[str(of)]
        return net(inputs)[:, i] * self.deviation[i] + self.mean[i]

    # figures

    def truth(self, sample: Sample) -> Number | None:
        return _value(_row(sample.y).tolist()) if _is_number(sample.y) else None

    def given(self, id: str, value: Any, truth: Number) -> Prediction:
        return Prediction(id, _value(numbers_of(id, value, (len(self.mean),)).tolist()), 1.0)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.numbers.score``."""
        return metrics.score(*_tables(pairs), groups)

    def row(self, truth: Number, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        off = abs(_row(prediction.value) - _row(truth))
        said = {"id": prediction.id, "truth": truth, "answer": prediction.value, "error": float(off.mean())}
        return {**said, "badness": float((off / np.array(self.deviation)).mean())}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        truths, answers = _tables(pairs)
        several = len(self.mean) > 1
        own = {f"mae_{i + 1}": (f"Mean error of number {i + 1}", "In its own unit.", "") for i in range(len(self.mean))}
        charts = [
            (f"Truth and answer of number {i + 1}" if several else "Truth and answer", cloud_svg(truth, answer))
            for i, (truth, answer) in enumerate(zip(truths.T, answers.T, strict=True))
        ]
        return {"figures": metrics.FIGURES | own, "note": NOTE, "charts": charts}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: always the mean of the training part."""
        pairs = [(self.truth(s), Prediction(s.id, _value(list(self.mean)), 1.0)) for s in samples]
        figures = self.score([(truth, p) for truth, p in pairs if truth is not None])
        return {"always the mean": {name: figures[name] for name in ("mae", "rmse", "r2")}}

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        truths, answers = _tables(pairs)
        if len(pairs) > 1 and truths.std(0).max() > 0 and (answers.std(0) < 1e-4 * truths.std(0)).all():
            return (
                f"the network says {self.word(pairs[0][1].value)} for every sample: files and numbers may not belong "
                "together, or the learning rate is too high"
            )
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return f"mean error {figures['mae']:.4g}  R2 {figures['r2']:.3f}"

    def word(self, value: Any) -> str:
        return ", ".join(f"{number:.4g}" for number in _row(value))

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        usual = f" ± {self.word(self.usual_error)}" if len(self.usual_error) == 1 else ""
        return f"{prediction.id}\t{self.word(prediction.value)}{usual}"

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        values = _row(prediction.value).tolist()
        return {"id": prediction.id, **dict(zip(self._names(), values, strict=True))}

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """One, its numbers to seven digits: their unit may be large or small."""
        said = self.plain(prediction)
        return [{key: f"{value:.7g}" if isinstance(value, float) else value for key, value in said.items()}]

    def _names(self) -> list[str]:
        return ["value"] if len(self.mean) == 1 else [f"value_{i + 1}" for i in range(len(self.mean))]

    def show(self, prediction: Prediction, truth: Number | None, picture: str = "") -> str:
        """An HTML fragment: picture, answer, truth."""
        said = ""
        if truth is not None:
            off = self.word(abs(_row(prediction.value) - _row(truth)))
            said = f'<p style="margin:0;opacity:.7">truth: {self.word(truth)}, off by {off}</p>'
        return f'<div class="answer">{picture}<p style="margin:0">{self.word(prediction.value)}</p>{said}</div>'


def _row(y: Any) -> np.ndarray:
    return np.atleast_1d(np.asarray(y, dtype=np.float64))


def _value(row: Sequence[float]) -> Number:
    return row[0] if len(row) == 1 else tuple(row)


def _is_number(y: Any) -> bool:
    try:
        return y is not None and _row(y).ndim == 1 and len(_row(y)) > 0 and bool(np.isfinite(_row(y)).all())
    except (TypeError, ValueError):
        return False


def _tables(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([_row(truth) for truth, _ in pairs]), np.array([_row(p.value) for _, p in pairs])
