"""transcribe: text from a line, by connectionist temporal classification (Graves et al. 2006).

The network gives at each time step a probability for every letter and for "no letter" (the blank); the loss sums over
all ways to write the text in that many steps, so no one has to say where a letter stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from crnn.decode.ctc_greedy import Decoded
from crnn.errors import DataError, SettingsError
from crnn.findings import Doubts, Seen
from crnn.late import F, Tensor, nn, torch
from crnn.metrics import text as text_metrics
from crnn.tasks._arrays import arrays, first_lengths, log_mean_exp
from crnn.tasks._common import Common, write_rows
from crnn.tasks._given import text_of
from crnn.tasks._lines.html import NOTE, line_html
from crnn.tasks._lines.joined import joined
from crnn.tasks._lines.reading import BEST_PATH, Reader, Reading
from crnn.tasks._lines.rover import rover
from crnn.tasks._lines.sureness import FIGURES, PLAIN, Sureness, charts, sureness_figures
from crnn.tasks._texts import doubts
from crnn.text import BLANK, Alphabet, Direction, Unicode, display_order, steps_needed
from crnn.types import Batch, Part, Prediction, Sample, Seq

Pair = tuple[str, Prediction]


def _alphabet(settings: Transcribe.Settings, letters: Iterable[str]) -> Alphabet:
    return Alphabet(tuple(letters), settings.unicode, settings.direction, settings.alike, settings.lower)


class Transcribe(Common):
    """Text for each sample; knows the alphabet, by which ``reading`` texts are found, and how sure it may be."""

    name = "transcribe"
    answer = "text"
    kinds = ("line", "sound")
    model = "crnn"
    models: ClassVar[Mapping[str, str]] = {"sound": "deepspeech2"}
    best = ("cer", min)
    figures = ("cer", "wer")
    averages = True
    votes = True

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        unicode: Unicode = "NFC"
        """Normal form in which letters are counted, learned and written."""
        direction: Direction = "ltr"
        """Direction of writing: ltr, or rtl for Arabic, Hebrew and others."""
        alike: Mapping[str, str] = field(default_factory=dict)
        """Letters to be written as others that look the same, where transcribers mixed them; "" leaves one out."""
        lower: bool = False
        """Whether all letters are written small: capitals are not heard."""

    def __init__(
        self, settings: Settings, alphabet: Alphabet, reading: Reading = BEST_PATH, sureness: Sureness = PLAIN
    ) -> None:
        self.settings, self.alphabet, self.reading, self.sureness = settings, alphabet, reading, sureness
        self._reader = Reader(reading, alphabet.letters)

    # what is learned from the training part, and kept in the bundle

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Transcribe:
        """The alphabet of the training part."""
        texts = [s.y for s in samples if s.y]
        if not texts:
            raise DataError("no sample has a text", expected="transcribed lines", do="Add the texts, see docs/data.md.")
        return cls(settings, _alphabet(settings, "").learn(texts))

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Transcribe:
        """A task with letters that mean nothing, for a network of ``outputs`` outputs without data."""
        return cls(settings, _alphabet(settings, (chr(0x10000 + i) for i in range(outputs - 1))))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Transcribe:
        reading = Reading.restore(learned.get("reading", {}), learned)
        sureness = Sureness.restore(learned.get("sureness", {}))
        return cls(settings, _alphabet(settings, learned["letters"]), reading, sureness)

    def learned(self) -> dict[str, Any]:
        rest = {"reading": self.reading.learned(), "sureness": self.sureness.learned()}
        return {"letters": "".join(self.alphabet.letters), **{name: values for name, values in rest.items() if values}}

    def arrays(self) -> dict[str, np.ndarray]:
        return self.reading.arrays()

    def with_reading(self, reading: Reading) -> Transcribe:
        """This task with another way to find texts. Raises ``SettingsError`` for a language model or words
        beside texts from right to left, ``DataError`` for those that do not fit the letters."""
        if reading.told and self.alphabet.direction == "rtl":
            given = "a language model or a list of words is given for texts that are read from right to left"
            raise SettingsError(given, expected="a reader from left to right", do="Read without it: --beam 0")
        task = Transcribe(self.settings, self.alphabet, reading, self.sureness)
        if reading.beam:
            _ = task._reader.search  # which says whether the model fits
        return task

    def settle(self, pairs: Sequence[Pair]) -> Transcribe:
        """The task with scores that are as often right on the validation part as they say."""
        return Transcribe(self.settings, self.alphabet, self.reading, self.sureness.fit(pairs))

    def facts(self) -> dict[str, str]:
        a = self.alphabet
        return {"alphabet": f"{len(a):,} letters, {a.unicode}, {a.direction}", "decoding": str(self.reading)}

    def extend(self, samples: Sequence[Sample]) -> Transcribe:
        """This task with the new letters of ``samples``, for fine-tuning; its language model stays if it knows them."""
        letters = self.alphabet.learn([s.y for s in samples if s.y])
        unheard = self.reading.unheard(letters.letters[len(self.alphabet) :])
        return Transcribe(self.settings, letters, BEST_PATH if unheard else self.reading)

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from: no text, unknown letters, or more letters than ``steps`` can write."""
        if not isinstance(sample.y, str) or not self.alphabet.clean(sample.y):
            return DataError("has no text", expected="a transcription", do="Write it or drop the line.", file=sample.id)
        if missing := self.alphabet.missing(sample.y):
            return DataError(
                f"has the letters {' '.join(map(repr, missing))}",
                expected=f"the {len(self.alphabet)} letters of the training part",
                do="Add lines with them to the training part, or correct the text.",
                file=sample.id,
            )
        needed = steps_needed(self.alphabet.encode(sample.y))
        if steps is not None and steps < needed:
            return DataError(
                f"gives {steps} time steps for a text that needs {needed} ({sample.y!r})",
                expected="at least one step a letter and one between equal neighbours",
                do="Check that text and picture belong together; else set a larger input.height or a smaller stride.",
                file=sample.id,
            )
        return None

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these texts, and about texts and inputs together, and figures of them."""
        return doubts.doubts(seen, self.alphabet)

    def encode(self, sample: Sample) -> Sample:
        """``y`` as letter numbers; letters that are not known are left out (a truth with them counts as an error)."""
        if sample.y is None:
            return sample
        known = set(self.alphabet.letters)
        text = "".join(letter for letter in self.alphabet.clean(sample.y) if letter in known)
        return replace(sample, y=self.alphabet.encode(text))

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        from crnn.tasks._lines.head import CTCHead

        level = encoder.levels[-1]
        if level.space:
            given = f"{type(encoder).__name__} gives maps of size {level.space} at each step"
            expected = "an encoder that gives one vector for each step of the line"
            raise SettingsError(given, expected=expected, do="Choose another --model: crnn models.")
        return CTCHead(level.channels, self.alphabet.outputs)

    def grow_head(self, head: nn.Module, old: Transcribe, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` in the shape of ``head``, whose new letters keep their fresh weights."""
        rows = [BLANK] + [self.alphabet.letters.index(letter) + 1 for letter in old.alphabet.letters]
        grown = {name: value.clone() for name, value in head.state_dict().items()}
        for name, value in weights.items():
            grown[name][rows] = value
        return grown

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Mean of the negative log-likelihood for each letter."""
        y, lengths = net(batch.inputs)
        targets: Seq = batch.targets
        loss = F.ctc_loss(y.transpose(0, 1), targets.x, lengths, targets.lengths, reduction="sum", zero_infinity=True)
        return loss / targets.lengths.sum().clamp(min=1)

    def weight(self, batch: Batch) -> float:
        """Letters, of which the loss is the mean."""
        return float(batch.targets.lengths.sum())

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """One reading for each sample; parts are letters, their places in columns of the input."""
        return [self.read(id, *said) for id, said in zip(batch.ids, self.said(net, batch), strict=True)]

    def said(self, net: Any, batch: Batch) -> list[tuple[np.ndarray, float, float]]:
        """What the network says of each sample, the mean over its views: log-probabilities ``(time, outputs)``, and
        columns of the input, for each step and in all."""
        y, lengths = arrays(net(batch.inputs))
        if batch.views > 1:  # which are equally long
            y = log_mean_exp(y.reshape(len(batch), batch.views, *y.shape[1:]), 1)
        stride = float(net.encoder.levels[-1].stride)
        steps, widths = (sizes[:: batch.views].tolist() for sizes in (lengths, first_lengths(batch.inputs)))
        return [(row[:t], stride, float(w)) for row, t, w in zip(y, steps, widths, strict=True)]

    def read(self, id: str, log_probs: np.ndarray, stride: float, width: float) -> Prediction:
        """The reading of what the network said of one sample."""
        return self.written(id, self._reader(log_probs, stride=stride, width=width))

    def written(self, id: str, decoded: Decoded) -> Prediction:
        """What was decoded, as an answer."""
        scores = self.sureness.letters(np.array(decoded.scores)).tolist()
        parts = tuple(
            Part(self.alphabet.letters[n - 1], start, stop, score)
            for n, (start, stop), score in zip(decoded.numbers, decoded.spans, scores, strict=True)
        )
        score = float(self.sureness.lines(np.array(decoded.score)))
        best = tuple((self.alphabet.decode(numbers), share) for numbers, share in decoded.best)
        return Prediction(id, self.alphabet.decode(decoded.numbers), score, parts, best=best)

    def joined(self, id: str, readings: Sequence[tuple[float, Prediction]]) -> Prediction:
        """The reading of a source of the readings of its pieces, see ``_joined``."""
        return joined(id, readings)

    def vote(self, answers: Sequence[Prediction]) -> Prediction:
        """The letters that most readings agree on, see ``_lines.rover``; the score is the mean of the readers'."""
        parts = rover([answer.parts for answer in answers])
        text = "".join(part.value for part in parts)
        if self.alphabet.direction == "rtl":
            text = display_order(text)
        return Prediction(answers[0].id, text, float(np.mean([a.score for a in answers])), parts)

    def evidence(self, net: nn.Module, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """The log-probability of the reading, or of the text ``of``."""
        if of is not None and (missing := self.alphabet.missing(str(of))):
            given = f"the text {of!r} has the letters {' '.join(map(repr, missing))}"
            raise SettingsError(given, expected="letters of the training part", do="Ask for another text.")
        place = {letter: i for i, letter in enumerate(self.alphabet.letters, 1)}
        numbers = [place[p.value] for p in prediction.parts] if of is None else self.alphabet.encode(str(of))
        y, lengths = net(inputs)
        if (steps := int(lengths.min())) < steps_needed(numbers):
            given = f"the text {of!r} needs {steps_needed(numbers)} time steps"
            raise SettingsError(given, expected=f"at most {steps}, as the source gives", do="Ask for a shorter text.")
        targets = torch.tensor([list(numbers)] * len(y), dtype=torch.long, device=y.device)
        sizes = torch.full((len(y),), len(numbers), device=y.device)
        return -F.ctc_loss(y.transpose(0, 1), targets, lengths, sizes, reduction="none")

    # figures

    def truth(self, sample: Sample) -> str | None:
        return (self.alphabet.clean(sample.y) or None) if isinstance(sample.y, str) else None

    def given(self, id: str, value: Any, truth: str) -> Prediction:
        return Prediction(id, self.alphabet.clean(text_of(id, value)), 1.0)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.text.score``. Where letters have scores, how
        honest these are, and the letter errors of the nine tenths of the lines that are the surest."""
        return {**text_metrics.score(_texts(pairs), groups), **sureness_figures(pairs)}

    def row(self, truth: str, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        e = text_metrics.compare(truth, prediction.value)
        wrong = e.insertions + e.deletions + e.substitutions
        return {
            **{"id": prediction.id, "truth": truth, "read": prediction.value, "score": prediction.score},
            **{"errors": wrong, "cer": wrong / max(1, e.letters), "badness": wrong / max(1, e.letters)},
        }

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        confusions = text_metrics.confusions(_texts(pairs))
        figures = {**text_metrics.FIGURES, **FIGURES}
        return {"confusions": confusions, "figures": figures, "note": NOTE, "charts": charts(pairs)}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: saying nothing."""
        pairs = [(self.truth(s) or "", Prediction(s.id, "", 1.0)) for s in samples]
        return {"says nothing": {k: v for k, v in self.score(pairs).items() if k in self.figures}}

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these readings of the validation part are no good, if the network has plainly learned nothing."""
        return doubts.diagnosis(_texts(pairs))

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return f"CER {100 * figures['cer']:.2f} %  WER {100 * figures['wer']:.2f} %"

    def show(self, prediction: Prediction, truth: str | None, picture: str = "") -> str:
        """An HTML fragment: picture, truth, reading."""
        return line_html(truth, prediction.value, prediction.score, picture, prediction.parts)

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        letters = [asdict(part) for part in prediction.parts]
        plain = {"id": prediction.id, "text": prediction.value, "score": prediction.score, "letters": letters}
        best = [{"text": text, "share": share} for text, share in prediction.best[:top]]
        return plain | ({"best": best} if best else {})

    def write(self, predictions: Iterable[Prediction], path: Path) -> None:
        """``.txt`` (one line each), ``.jsonl`` (with score and letters' places) or ``.csv``."""
        write_rows((self.plain(p) for p in predictions), path, text="text")


def _texts(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    return [(truth, p.value) for truth, p in pairs]
