"""What is said of answers of match: figures, rows of a report, what needs no network, and how people see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn.data.described import Described, Rectangle, box_of
from crnn.decode.snippets import snippets
from crnn.errors import DataError
from crnn.metrics import ranking
from crnn.tasks._caption.known import sentences_of
from crnn.tasks._common import Common
from crnn.tasks._match.html import NOTE, Shown, match_html
from crnn.tasks._texts.vocabulary import JOINER, Vocabulary
from crnn.types import Prediction, Sample

Pair = tuple[Described, Prediction]
INSIDE = 0.25  # share of a region that lies in a box that it hits
FIGURES: dict[str, tuple[str, str, str]] = {
    **ranking.FIGURES,
    "region_hit": (
        "Region hit",
        "Words whose region lies in the box that they speak of: its middle, and a quarter of it at least.",
        "%",
    ),
    "phrase_hit": ("Phrase hit", "Boxes that a phrase was said of with all the words that speak of them.", "%"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A phrase, the number of its region, and the mean probability of its words."""

    text: str
    region: int
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """``regions`` ``(regions, size)`` in the common space, the whole first, and their ``spans`` ``(regions, axes, 2)``;
    those from ``first`` on are compared. Of each sentence that came with the sample its ``vectors`` ``(words, size)``,
    its ``words``, and the region of each, ``chosen``; and what was ``said`` of regions."""

    regions: np.ndarray
    spans: np.ndarray
    first: int = 0
    vectors: tuple[np.ndarray, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()
    chosen: tuple[np.ndarray, ...] = ()
    said: tuple[Said, ...] = ()


class Answers(Common):
    """Scores and shows what was matched; for a task that has a ``vocabulary``."""

    vocabulary: Vocabulary
    columns = ("id", "phrase", "left", "top", "right", "bottom", "score")

    # figures

    def truth(self, sample: Sample) -> Described | None:
        texts = sentences_of(sample.y)
        if not texts:
            return None
        return sample.y if isinstance(sample.y, Described) else Described(texts)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.ranking.score``. Where boxes are known, also how
        often words and phrases hit them."""
        if not pairs:
            return {name: float("nan") for name in ranking.FIGURES}
        matched = [_matched(p) for _, p in pairs]
        parts = [fits_of([matched[i] for i in part]) for part in ranking.parts_of(len(matched))]
        figures = ranking.score(parts, groups)
        hits = [hit for truth, p in pairs for hit, _ in self._hits(truth, _matched(p))]
        if hits:
            figures["region_hit"] = float(np.mean(hits))
        said = [hit for truth, p in pairs for hit in self._phrase_hits(truth, _matched(p))]
        if said:
            figures["phrase_hit"] = float(np.mean(said))
        return figures

    def _hits(self, truth: Described, matched: Matched) -> Iterator[tuple[bool, Rectangle]]:
        """Of each word that speaks of a box whether its region hits, and the box."""
        for text, phrases, chosen in zip(truth.sentences, truth.phrases, matched.chosen, strict=False):
            for word, box in self._placed(text, phrases):
                if word < len(chosen):
                    region = box_of(matched.spans[chosen[word]])
                    yield hits(region, truth.boxes[box]), truth.boxes[box]

    def _placed(self, text: str, phrases: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int]]:
        """The numbers of the words of ``text`` that speak of a box, and of the box. Phrases stand in their order; one
        that is not found is passed over."""
        words, start = self._plain(text), 0
        for phrase, box in phrases:
            own = self._plain(phrase)
            for at in range(start, len(words) - len(own) + 1):
                if own and words[at : at + len(own)] == own:
                    yield from ((at + i, box) for i in range(len(own)))
                    start = at + len(own)
                    break

    def _plain(self, text: str) -> list[str]:
        return [word.strip(JOINER) for word in self.vocabulary.split(text)]

    def _phrase_hits(self, truth: Described, matched: Matched) -> Iterator[bool]:
        """Of each phrase of a box whether one with its words was said there."""
        said = [(set(self._plain(s.text)), box_of(matched.spans[s.region])) for s in matched.said]
        for phrase, box in dict.fromkeys(pair for phrases in truth.phrases for pair in phrases):
            own = set(self._plain(phrase))
            yield any(own <= words and hits(region, truth.boxes[box]) for words, region in said)

    def row(self, truth: Described, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first: words that miss their boxes, else a poor fit."""
        matched = _matched(prediction)
        fits, _ = fits_of([matched])
        fit = float(fits.sum() / max(1, sum(map(len, matched.vectors))))
        found = [hit for hit, _ in self._hits(truth, matched)]
        row = {"id": prediction.id, "truth": str(truth), "answer": prediction.value, "fit": fit}
        missed = 1 - float(np.mean(found)) if found else 0.0
        return row | ({"region_hit": 1 - missed} if found else {}) | {"badness": missed - 1e-3 * fit}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for part in ranking.parts_of(len(pairs)):
            own = [pairs[i] for i in part]
            fits, owner = fits_of([_matched(p) for _, p in own])
            search, _ = ranking.ranks(fits, owner)
            texts = [text for truth, p in own for text in truth.sentences[: len(_matched(p).vectors)]]
            for j in np.argsort(-search, kind="stable")[:10]:
                first = own[int(fits[:, j].argmax())][1].id
                rows.append({"sentence": texts[j], "its picture": own[owner[j]][1].id, "rank": int(search[j])})
                rows[-1]["picture that fits best"] = first
        rows = sorted(rows, key=lambda row: -row["rank"])[:10]
        return {"figures": FIGURES, "note": NOTE, "tables": [("Sentences whose picture stands last", rows)]}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What a guess comes to: any order of pictures and sentences, any place of the picture for a word."""
        truths = [truth for sample in samples if (truth := self.truth(sample)) is not None]
        counts = np.array([len(truth.sentences) for truth in truths])
        parts = [(len(part), counts[part.start : part.stop]) for part in ranking.parts_of(len(truths))]
        row = ranking.guessed(parts)
        areas = [
            area(truth.boxes[box])
            for truth in truths
            for text, phrases in zip(truth.sentences, truth.phrases, strict=False)
            for _, box in self._placed(text, phrases)
        ]
        return {"chance": row | ({"region_hit": float(np.mean(areas))} if areas else {})}

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        found, guess = self.score(pairs), self.baselines([Sample(p.id, None, truth) for truth, p in pairs])["chance"]
        if guess["recall"] < 0.5 and found["recall"] <= 1.1 * guess["recall"]:
            return (
                f"pictures and sentences are ranked as by chance (recall {100 * found['recall']:.1f} %): they may not "
                "belong together, or the learning rate is too high"
            )
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        names = ("r1", "r10", "annotation_r10")
        search, ten, annotation = (100 * figures[name] for name in names)
        hit = f"  region hit {100 * figures['region_hit']:.1f} %" if "region_hit" in figures else ""
        return f"search R@1 {search:.1f} %  R@10 {ten:.1f} %  annotation R@10 {annotation:.1f} %{hit}"

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        """``phrases`` have the box of their region (left, top, right, bottom as shares of the picture); ``matched``
        sentences came with the sample and have the box of each snippet."""
        matched = _matched(prediction)
        phrases = [{"phrase": s.text, "box": _listed(matched, s.region), "score": s.score} for s in matched.said]
        found: dict[str, Any] = {"id": prediction.id, "sentence": prediction.value, "score": prediction.score}
        found["phrases"] = phrases
        sentences = []
        for words, chosen in zip(matched.words, matched.chosen, strict=True):
            own = [
                {"words": list(words[s.start : s.stop]), "box": _listed(matched, s.region)} for s in snippets(chosen)
            ]
            sentences.append({"snippets": own})
        return found | ({"matched": sentences} if sentences else {})

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A row for what was said of the whole, and for each phrase."""
        matched = _matched(prediction)
        said = [Said(prediction.value, 0, prediction.score), *matched.said]
        boxes = [dict(zip(self.columns[2:6], _listed(matched, s.region), strict=True)) for s in said]
        return [
            {"id": prediction.id, "phrase": s.text, **box, "score": s.score} for s, box in zip(said, boxes, strict=True)
        ]

    def show(self, prediction: Prediction, truth: Described | None, picture: str = "") -> str:
        """An HTML fragment: the picture with the regions of each sentence's snippets, and with what was said of it."""
        matched = _matched(prediction)
        texts = truth.sentences if truth is not None else ()
        shown = []
        for i, (words, chosen) in enumerate(zip(matched.words, matched.chosen, strict=True)):
            own = self._plain(texts[i])[: len(words)] if i < len(texts) else words
            parts = [(" ".join(own[s.start : s.stop]), box_of(matched.spans[s.region])) for s in snippets(chosen)]
            shown.append(Shown("sentence", parts))
        if prediction.value or matched.said:
            phrases = [(s.text, box_of(matched.spans[s.region])) for s in matched.said]
            shown.append(Shown("said", phrases, str(prediction.value)))
        return match_html(shown, picture, truth.boxes if truth is not None else ())

    def show_found(self, places: Sequence[tuple[str, Rectangle]], picture: str = "") -> str:
        """The same for words and the box of each, without anything that was said."""
        return match_html([Shown("sentence", places)], picture)


def fits_of(matched: Sequence[Matched]) -> tuple[np.ndarray, np.ndarray]:
    """How well each sentence fits each sample, ``(samples, sentences)``, as ``crnn.layers.alignment.fit_of``, and
    whose each sentence is ``(sentences,)``."""
    vectors = [rows for m in matched for rows in m.vectors]
    owner = np.repeat(np.arange(len(matched)), [len(m.vectors) for m in matched])
    if not vectors:
        return np.zeros((len(matched), 0), np.float32), owner
    words = np.concatenate(vectors).T
    starts = np.cumsum([0, *(len(rows) for rows in vectors[:-1])])
    none = np.zeros((1, len(words)), np.float32)  # a sample without a region fits with 0
    own = [m.regions[m.first :] if len(m.regions) > m.first else none for m in matched]
    fits = [np.add.reduceat((regions @ words).max(0), starts) for regions in own]
    return np.stack(fits), owner


def area(box: Rectangle) -> float:
    """Share of the picture."""
    return (box[2] - box[0]) * (box[3] - box[1])


def hits(region: Rectangle, box: Rectangle) -> bool:
    """Whether the middle of ``region`` lies in ``box``, and a quarter of it."""
    x, y = (region[0] + region[2]) / 2, (region[1] + region[3]) / 2
    width = min(region[2], box[2]) - max(region[0], box[0])
    height = min(region[3], box[3]) - max(region[1], box[1])
    middle = box[0] <= x <= box[2] and box[1] <= y <= box[3]
    return middle and width * height >= INSIDE * area(region) * (1 - 1e-6)


def _matched(prediction: Prediction) -> Matched:
    if not isinstance(prediction.vectors, Matched):
        given = f"the answer {str(prediction.value)[:60]!r} is a text"
        do = "Compare with other networks of this task by crnn compare."
        raise DataError(given, expected="regions and words that can be ranked", do=do, file=prediction.id)
    return prediction.vectors


def _listed(matched: Matched, region: int) -> list[float]:
    return [round(float(value), 4) for value in box_of(matched.spans[region])]
