"""What is said of answers of caption: figures, rows of a report, what needs no network, and how people see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.metrics import captions as metrics
from crnn.tasks._caption.html import NOTE, caption_html
from crnn.tasks._caption.known import Known, sentences_of
from crnn.tasks._common import Common, write_rows
from crnn.tasks._given import text_of
from crnn.tasks._texts.vocabulary import Vocabulary, plain_words
from crnn.types import Prediction, Sample

Truth = tuple[str, ...]
Pair = tuple[Truth, Prediction]


class Answers(Common):
    """Scores and shows sentences; for a task that has a ``vocabulary`` and the ``known`` sentences."""

    vocabulary: Vocabulary
    known: Known

    # figures

    def truth(self, sample: Sample) -> Truth | None:
        return sentences_of(sample.y) or None

    def given(self, id: str, value: Any, truth: Truth) -> Prediction:
        return Prediction(id, text_of(id, value), 1.0)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.captions.score``."""
        return metrics.score([self._answer(*pair) for pair in pairs], groups)

    def _answer(self, truth: Truth, prediction: Prediction) -> metrics.Answer:
        said, clean = str(prediction.value), self.vocabulary.clean
        exact = clean(said) in {clean(text) for text in truth}
        return metrics.Answer(
            plain_words(said), [plain_words(t) for t in truth], exact, not self.known.has(clean(said))
        )

    def row(self, truth: Truth, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        answer = self._answer(truth, prediction)
        near = metrics.rouge(answer.said, answer.truths)
        said = {"id": prediction.id, "truth": " / ".join(truth), "answer": prediction.value, "rouge": near}
        return {**said, "exact": answer.exact, "new": answer.new, "badness": 1 - near}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        counts = Counter(str(p.value) for _, p in pairs)
        rows = [
            {"sentence": text, "said": count, "in the training part": "yes" if self.known.has(text) else "no"}
            for text, count in counts.most_common(10)
        ]
        return {"figures": metrics.FIGURES, "note": NOTE, "tables": [("What is said most", rows)]}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: the most frequent sentence of the training part, and that of the nearest of its
        pictures."""
        rows = {"most frequent sentence": [self.known.usual] * len(samples)}
        if (near := self.known.nearest([s.x for s in samples])) is not None:
            rows["sentence of the nearest training picture"] = near
        found = {}
        for name, texts in rows.items():
            pairs = [(self.truth(s), Prediction(s.id, t, 1.0)) for s, t in zip(samples, texts, strict=True)]
            found[name] = self.score([(t, p) for t, p in pairs if t is not None], [s.group for s in samples])
        return found

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        said = {p.value for _, p in pairs}
        if len(said) == 1 and len(pairs) > 1 and len({truth for truth, _ in pairs}) > 1:
            return (
                f"the network says {next(iter(said))!r} of every sample: sources and sentences may not belong "
                "together, or the learning rate is too high"
            )
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        exact, bleu = (100 * figures[name] for name in ("exact", "bleu4"))
        return f"exact {exact:.1f} %  BLEU-4 {bleu:.1f} %  CIDEr {figures['cider']:.3f}"

    def word(self, value: Any) -> str:
        return " / ".join(value) if isinstance(value, tuple) else str(value)

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        found = prediction.best[:top] if top > 1 and prediction.best else ((prediction.value, prediction.score),)
        return "\t".join([prediction.id, *(f"{text}\t{share:.2f}" for text, share in found)])

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        """``words`` have their places and probabilities; ``sentences`` are the ``top`` ones where several were asked
        for, with the share of each."""
        words = [{"word": p.value, "start": p.start, "stop": p.stop, "score": p.score} for p in prediction.parts]
        best = [{"sentence": text, "share": share} for text, share in prediction.best]
        found = {"id": prediction.id, "sentence": prediction.value, "score": prediction.score, "words": words}
        return found | ({"sentences": best} if best else {})

    def show(self, prediction: Prediction, truth: Truth | None, picture: str = "") -> str:
        """An HTML fragment: picture, what was said and where the network looked with each word, truth."""
        kind = getattr(getattr(self.known.kind, "spec", None), "kind", "")
        return caption_html(prediction, truth, picture, upwards=kind == "sound")

    def write(self, predictions: Iterable[Prediction], path: Path) -> None:
        """``.jsonl`` (all there is), ``.csv`` or ``.txt`` (the sentences)."""
        write_rows(map(self.plain, predictions), path, text="sentence")
