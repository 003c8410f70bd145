"""tag: labels along the time of a sample: events with start and stop, or a label for each step.

The network says at each of its steps what is there: one label or nothing (softmax), or any number of labels at once
(sigmoid). Runs of steps become events.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal, Self

import numpy as np

from crnn.config import Share, Strength, Whole
from crnn.errors import DataError
from crnn.findings import Doubts, Seen
from crnn.late import F, Tensor, nn
from crnn.metrics import events as metrics
from crnn.metrics.labels import ordered
from crnn.tasks._arrays import arrays, first_lengths, sigmoid, softmax
from crnn.tasks._common import Common, too_short
from crnn.tasks._events import doubts
from crnn.tasks._events.html import NOTE, events_html
from crnn.tasks._events.naive import guesses
from crnn.tasks._events.runs import activity, is_answer, known_events, overlaps, parts_of, smooth
from crnn.tasks._events.stepwise import log_odds, mean_of_places, together
from crnn.tasks._events.thresholds import EVEN, thresholds
from crnn.tasks._given import events_of
from crnn.tasks._labels.known import find
from crnn.types import Batch, Part, Prediction, Sample, Track

Events = tuple[Part, ...]
Pair = tuple[Events, Prediction]
COUNTED = {True: "any number", False: "one or none"}
LEAST = 1e-6  # of a unit: shorter events are none


class Tag(Common):
    """Events for each sample; knows the labels, and whether several can be there at once."""

    name = "tag"
    answer = "events"
    kinds = ("series", "sound", "film", "picture", "sentence")
    best = ("segment_f1", max)
    figures = ("segment_f1", "event_f1")
    aligned = True
    columns = ("id", "onset", "offset", "label", "score")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        labels: Literal["auto", "one", "many"] = "auto"
        """Labels at one time: at most one, or any number; auto looks whether events of the training part overlap."""
        threshold: Share = 0.0
        """Probability from which a label is there, where there may be many; 0 fits one for each label on the validation
        part."""
        median: Whole = 1
        """Steps of the output whose running median is taken before events are made; 1 takes none."""
        dropout: Share = 0.1
        """Share of features dropped before the last layer, in training."""
        rate: Strength = 0.0
        """Labels a second, where data give one for each step and the input is measured in seconds; 0 counts them."""
        segment: Strength = 1.0
        """Length of the segments of the segment F1, in units of the input (seconds, steps, pixels)."""
        collar: Strength = 0.2
        """How far the beginning of an event may be off for the event F1, in units of the input."""

    def __init__(
        self,
        settings: Settings,
        labels: Sequence[Any],
        shares: Sequence[float],
        *,
        many: bool,
        thresholds: Sequence[float] = (),
    ) -> None:
        self.settings, self.labels, self.shares, self.many = settings, tuple(labels), tuple(shares), many
        self.thresholds = tuple(thresholds) or (settings.threshold or EVEN,) * len(self.labels)
        self.number = {label: i for i, label in enumerate(self.labels)}
        self.kind: Any = None

    # what is learned, and kept in the bundle

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The labels of the training part, how much of the time each takes, and whether they overlap. Raises
        ``DataError`` if there are none."""
        known = [known_events(s.y, settings.rate) for s in samples if is_answer(s.y)]
        time: dict[Any, float] = {}
        for part in (part for events in known for part in events):
            time[part.value] = time.get(part.value, 0.0) + part.stop - part.start
        if not time:
            do = "Give a table with columns for file, onset, offset and label, see docs/data.md."
            raise DataError("no sample has an event", expected="events with their labels", do=do)
        names, total = ordered(time), sum(time.values())
        many = settings.labels == "many" or (settings.labels == "auto" and any(map(overlaps, known)))
        return cls(settings, names, [time[name] / total for name in names], many=many)

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task for a network of ``outputs`` outputs without data: labels 0, 1 and so on, any number at once."""
        return cls(settings, range(outputs), [1 / outputs] * outputs, many=True)

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        shares, many = list(map(float, learned["shares"])), bool(learned["many"])
        return cls(settings, learned["labels"], shares, many=many, thresholds=learned.get("thresholds", ()))

    def learned(self) -> dict[str, Any]:
        known = {"labels": list(self.labels), "shares": list(self.shares), "many": self.many}
        return known | ({"thresholds": list(self.thresholds)} if self.many else {})

    def facts(self) -> dict[str, str]:
        more = " ..." if len(self.labels) > 10 else ""
        known = {"labels": f"{len(self.labels):,}: {', '.join(map(str, self.labels[:10]))}{more}"}
        limits = ", ".join(f"{limit:.2f}" for limit in self.thresholds[:10]) + more
        return known | ({"thresholds": limits} if self.many else {}) | {"at one time": COUNTED[self.many]}

    def settle(self, pairs: Sequence[Pair]) -> Tag:
        """The task with the threshold of each label that suits the validation part, unless one is set."""
        if not self.many or self.settings.threshold:
            return self
        fitted = thresholds(pairs, self.labels, segment=self._segment, median=self.settings.median)
        return Tag(self.settings, self.labels, self.shares, many=True, thresholds=fitted).with_input(self.kind)

    def extend(self, samples: Sequence[Sample]) -> Tag:
        """This task with the new labels of ``samples`` behind the known ones, for fine-tuning."""
        new = type(self).learn(self.settings, samples)
        names = (*self.labels, *(label for label in new.labels if label not in self.number))
        share = dict(zip(new.labels, new.shares, strict=True))
        return Tag(self.settings, names, [share.get(name, 0.0) for name in names], many=self.many)

    def with_input(self, kind: Any) -> Tag:
        task = copy.copy(self)
        task.kind = kind
        return task

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from: no answer, unknown labels, or nothing left of it."""
        if not is_answer(sample.y):
            do = "Write them or drop the sample."
            return DataError("has no labels", expected="events, or a label for each step", do=do, file=sample.id)
        if unknown := {p.value for p in known_events(sample.y, 1.0)} - self.number.keys():
            return DataError(
                f"has the labels {', '.join(map(str, ordered(unknown)))}",
                expected=f"the {len(self.labels)} labels of the training part",
                do="Add samples with them to the training part, or correct the labels.",
                file=sample.id,
            )
        return too_short(sample, steps)

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these events, and figures of them."""
        return doubts.doubts(seen, len(self.labels), many=self.many, rate=self.settings.rate)

    def along(self, y: Any, steps: int, scale: float) -> np.ndarray:
        """Which labels are there at each step: bool ``(steps, labels)``."""
        return activity(y, steps, scale, self.number)

    def encode(self, sample: Sample) -> Sample:
        """``y`` of each step: a float for each label, or the number of the label, 0 for nothing."""
        if not isinstance(sample.y, np.ndarray):
            return replace(sample, y=None)
        if self.many:
            return replace(sample, y=sample.y.astype(np.float32))
        return replace(sample, y=np.where(sample.y.any(1), sample.y.argmax(1) + 1, 0).astype(np.int64))

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        from crnn.tasks._events.head import StepHead

        outputs = len(self.labels) + (not self.many)
        return StepHead(encoder.levels[-1].channels, outputs, dropout=self.settings.dropout)

    def grow_head(self, head: nn.Module, old: Tag, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` in the shape of ``head``, whose new labels keep their fresh weights."""
        rows = [self.number[label] + (not self.many) for label in old.labels]
        rows = rows if self.many else [0, *rows]
        grown = {name: value.clone() for name, value in head.state_dict().items()}
        for name, value in weights.items():
            grown[name][rows] = value
        return grown

    def loss(self, net: Any, batch: Batch) -> Tensor:
        """Mean over true steps of the output; a step's truth is that of the input step at its middle."""
        y, truth = together(net(batch.inputs), batch.targets, net.encoder.levels[-1].stride)
        return F.binary_cross_entropy_with_logits(y, truth) if self.many else F.cross_entropy(y, truth)

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """Events for each sample: parts have label, place in steps of the input, and mean probability; the value is
        their labels in order."""
        y, lengths = arrays(net(batch.inputs))
        stride, shares = net.encoder.levels[-1].stride, sigmoid(y) if self.many else softmax(y)
        rows = zip(batch.ids, shares, lengths.tolist(), first_lengths(batch.inputs).tolist(), strict=True)
        return [self.read(id, row[:count], stride=stride, length=length) for id, row, count, length in rows]

    def evidence(self, net: Any, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """The log odds of what was found, mean over its steps; of the label ``of`` where it was found, or anywhere if
        it was not; of an empty answer those of nothing."""
        parts = list(prediction.parts)
        if of is not None:
            label = find(of, self.labels)
            parts = [part for part in parts if part.value == label] or [Part(label, 0.0, inf, 0.0)]
        y, lengths = net(inputs)
        y = y[:, : int(lengths[0])]
        if not parts:
            return -y.mean((1, 2)) if self.many else log_odds(y)[..., 0].mean(1)
        odds = y if self.many else log_odds(y)[..., 1:]
        places = [(self.number[part.value], part.start, part.stop) for part in parts]
        return mean_of_places(odds, places, stride=net.encoder.levels[-1].stride)

    def read(self, id: str, shares: np.ndarray, *, stride: int, length: int) -> Prediction:
        """The events of one sample's probabilities ``(time, outputs)``; the input has ``length`` steps, ``stride`` for
        each of these."""
        calm = smooth(shares, self.settings.median)
        if self.many:
            there, columns = calm >= np.array(self.thresholds), shares
            sure = np.where(there, shares, 1 - shares)
        else:
            best = calm.argmax(1)
            there, columns = best[:, None] == np.arange(1, shares.shape[1]), shares[:, 1:]
            sure = shares[np.arange(len(shares)), best]
        parts = parts_of(there, columns, self.labels, stride=stride, length=length)
        score = float(np.clip(sure.mean(), 0, 1)) if sure.size else 0.0
        return Prediction(id, tuple(part.value for part in parts), score, tuple(parts), Track(columns.copy(), stride))

    # figures

    def truth(self, sample: Sample) -> Events | None:
        return known_events(sample.y, self.settings.rate) if is_answer(sample.y) else None

    def given(self, id: str, value: Any, truth: Events) -> Prediction:
        parts = events_of(id, value, self.labels, self.settings.rate)
        return Prediction(id, tuple(part.value for part in parts), 1.0, parts)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.events.score``."""
        found = [(truth, p.parts) for truth, p in pairs]
        return metrics.score(found, groups, segment=self._segment, collar=self.settings.collar)

    @property
    def _segment(self) -> float:
        return max(LEAST, self.settings.segment)

    def row(self, truth: Events, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        good = metrics.f1(metrics.time_counts(truth, prediction.parts))
        said = {"id": prediction.id, "truth": self.word(truth), "answer": self.word(prediction.value)}
        return {**said, "time_f1": good, "badness": 1 - good}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        rows = metrics.per_label([(truth, p.parts) for truth, p in pairs], self._segment, self.settings.collar)
        return {"figures": metrics.FIGURES, "note": NOTE, "tables": [("Labels", rows)]}

    def by_label(self, pairs: Sequence[Pair]) -> dict[Any, float]:
        """The segment F1 of each label."""
        return {row["label"]: row["segment_f1"] for row in self.details(pairs)["tables"][0][1]}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: nothing at all, and the most frequent label all the time."""
        usual = self.labels[int(np.argmax(self.shares))]
        return {
            row: {k: v for k, v in self.score(pairs).items() if k in ("segment_f1", "event_f1", "time_f1")}
            for row, pairs in guesses(samples, usual, self.kind, self.settings.rate).items()
        }

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        if any(truth for truth, _ in pairs) and not any(p.parts for _, p in pairs):
            why = "files and events may not belong together, the unit may be another, or the learning rate is too high"
            return f"the network finds no event in any sample: {why}"
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return f"segment F1 {100 * figures['segment_f1']:.2f} %  event F1 {100 * figures['event_f1']:.2f} %"

    def word(self, value: Any) -> str:
        names = [str(part.value if isinstance(part, Part) else part) for part in value]
        return " ".join(names[:12]) + (" ..." if len(names) > 12 else "")

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        events = (f"{p.start:.2f}-{p.stop:.2f} {p.value} {p.score:.2f}" for p in prediction.parts)
        return "\t".join([prediction.id, *events])

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        rows = [{"onset": p.start, "offset": p.stop, "label": p.value, "score": p.score} for p in prediction.parts]
        return {"id": prediction.id, "events": rows}

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A row for each event."""
        return [{"id": prediction.id, **event} for event in self.plain(prediction)["events"]]

    def show(self, prediction: Prediction, truth: Events | None, picture: str = "") -> str:
        """An HTML fragment: picture, tracks of truth and answer."""
        return events_html(truth, prediction, self.labels, picture)
