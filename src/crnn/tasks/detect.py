"""detect: boxes around the things in a picture, or in the last of some frames of a film, each with its label.

A heat map of centres for each label, and from each centre the way to the edges of its box. Pictures of any size are
answered in tiles of the size that training saw, which overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.data.boxes import boxes_of
from crnn.data.formats import coco, voc
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.findings import Doubts, Seen
from crnn.metrics.boxes import FIGURES, Finds
from crnn.tasks._boxes import doubts
from crnn.tasks._boxes import loss as box_loss
from crnn.tasks._boxes.find import as_boxes, find, surest
from crnn.tasks._boxes.head import BoxHead
from crnn.tasks._boxes.html import NOTE, boxes_html, drawn
from crnn.tasks._boxes.labels import BoxLabels
from crnn.tasks._common import Common
from crnn.tasks._given import boxes_given
from crnn.types import Batch, Boxes, Prediction, Sample, Seq

Pair = tuple[Boxes, Prediction]


class Detect(Common):
    """Boxes in each picture; knows the labels, how sure a box must be to be said, and the size of tiles."""

    name = "detect"
    answer = "boxes"
    kinds = ("scene",)
    model = "rcnn_scene"
    best = ("map50", max)
    figures = ("map50", "map", "f1", "count_error")
    aligned = True
    explains = False
    columns = ("id", "label", "left", "top", "right", "bottom", "score")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        labels: tuple[str, ...] = ()
        """Labels to look for, what has others is ground; none takes all of the training part."""
        frames: Count = 1
        """Frames of a film that are seen for the boxes in the last of them, where pictures are numbered frames."""
        every: Count = 4
        """Pixels from one place that may be a centre to the next: 4 for small things, 8 for large ones, at a quarter of
        the work."""
        width: Count = 64
        """Maps of the layers that find centres and edges."""
        sure: Share = 0.0
        """How sure a box must be to be said; 0 takes for each label what suits the validation part."""
        least: Share = 0.05
        """How sure a box must be to count for figures that look at all thresholds, and to be kept at all."""
        apart: Share = 0.5
        """Overlap of two boxes of a label, as a share of their union, above which only the surer one is kept."""
        overlap: Share = 0.25
        """Share of a tile that the next one covers, too, in pictures that are larger."""
        flip: bool = False
        """Whether the mirror image is asked, too, and both answers averaged; not while the network learns."""

    def __init__(
        self, settings: Settings, labels: BoxLabels, tile: tuple[int, int] = (64, 64), *, settled: bool = False
    ) -> None:
        self.settings, self.labels, self.tile, self.settled = settings, labels, tile, settled

    # what is learned, and kept in the bundle

    @classmethod
    def asks(cls, settings: Settings) -> dict[str, Any]:
        return {"frames": settings.frames}

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The labels of the training part, and how large and many things are. Raises ``DataError`` if there are
        none."""
        return cls(settings, BoxLabels.learn(settings, samples))

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task with the labels 0, 1 and so on, for a network without data."""
        return cls(settings, BoxLabels.blank(outputs))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        return cls(settings, BoxLabels.restore(learned), settled=True)

    def learned(self) -> dict[str, Any]:
        return self.labels.learned()

    def facts(self) -> dict[str, str]:
        names = self.labels.names
        shown = ", ".join(f"{name} from {self._sure(name):.2f} on" for name in names[:8])
        known = {"labels": f"{len(names)}: {shown}{' ...' if len(names) > 8 else ''}"}
        return known | {
            "things": f"about {2 * self.labels.unit:.0f} pixels",
            "tiles": f"{self.tile[1]} x {self.tile[0]}",
        }

    def with_input(self, kind: Any) -> Detect:
        return Detect(self.settings, self.labels, kind.spec.space, settled=self.settled)

    def extend(self, samples: Sequence[Sample]) -> Detect:
        """This task with the new labels of ``samples``, for fine-tuning."""
        return Detect(self.settings, self.labels.extend(BoxLabels.learn(self.settings, samples)), self.tile)

    def settle(self, pairs: Sequence[Pair]) -> Detect:
        """The task that says boxes of each label from the score on that has the best F1 in the validation part; of
        scores that are as good, and for a label that is rare there, the one nearest to 0.3."""
        return Detect(self.settings, self.labels.settled(self._finds(pairs)), self.tile, settled=True)

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> CrnnError | None:
        """Why ``sample`` cannot be learned from: no boxes, unknown labels, boxes of a picture of another size."""
        if sample.y is None:
            do = "Draw them (an empty list where nothing is to be seen), or drop the sample."
            return DataError("has no boxes", expected="boxes of the things in it", do=do, file=sample.id)
        try:
            self.labels.truth(sample)
        except CrnnError as error:
            return error
        return None

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these boxes, and figures of them."""
        return doubts.doubts(seen, self.labels)

    def along(self, y: Any, steps: tuple[int, int], scale: float) -> np.ndarray:
        """An array of boxes (``crnn.data.boxes``) in a picture of ``steps`` (height, width). Raises ``DataError``."""
        return self.labels.rows(self.labels.fit(y, (steps[1], steps[0]))[0])

    def encode(self, sample: Sample) -> Sample:
        rows = isinstance(sample.y, np.ndarray) and sample.y.dtype == np.float32
        return sample if rows else replace(sample, y=None)

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        s = self.settings
        return BoxHead(encoder, len(self.labels), self.tile, every=s.every, width=s.width)

    def grow_head(self, head: nn.Module, old: Detect, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` in the shape of ``head``, whose new labels keep their fresh weights."""
        grown = {name: value.clone() for name, value in head.state_dict().items()}
        for name, value in weights.items():
            if name.startswith("centre."):
                grown[name][: len(old.labels)] = value
            else:
                grown[name] = value
        return grown

    def loss(self, net: Any, batch: Batch) -> Tensor:
        """Of centres and boxes in the last frame of each sample."""
        maps, stride = net(batch.inputs), net.head.stride
        rows, lengths = batch.targets
        target = box_loss.wanted(rows.float(), lengths, len(self.labels), maps.shape[-2:], stride)
        return box_loss.loss(maps, target, stride=stride, unit=self.labels.unit)

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """The boxes in each sample; the score is the mean of theirs, or how sure it is that there are none."""
        s, stride = self.settings, net.head.stride

        def once(tiles: Tensor, lengths: Tensor) -> Tensor:
            maps = net(Seq(tiles, lengths))
            return torch.cat([maps[:, :-4].sigmoid(), maps[:, -4:]], dim=1)

        def maps(tiles: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            found = once(tiles, lengths)
            if s.flip and self.settled and tiles.shape[-1] % stride == 0:
                back = once(tiles.flip(-1), lengths).flip(-1)
                # what was left of a centre is now right of it
                sides = back[:, [*range(found.shape[1] - 4), *(found.shape[1] - 4 + i for i in (2, 1, 0, 3))]]
                found = (found + sides) / 2
            return found[:, :-4], box_loss.boxes_at(found[:, -4:], stride=stride, unit=self.labels.unit)

        x, lengths = batch.inputs
        size = x.shape[-1], x.shape[-2]
        rows = find(maps, x, lengths, tile=self.tile, overlap=s.overlap, least=s.least)
        return [self._answer(i, surest(r, s.apart), size) for i, r in zip(batch.ids, rows, strict=True)]

    def _answer(self, id: str, rows: np.ndarray, size: tuple[int, int]) -> Prediction:
        value = as_boxes(rows, self.labels.names, list(map(self._sure, self.labels.names)), size)
        scores = [b.score for b in value.boxes] or [1 - max((b.score for b in value.doubtful), default=0.0)]
        return Prediction(id, value, float(np.mean(scores)))

    def _sure(self, label: str) -> float:
        return self.labels.sure_of(label, self.settings.sure)

    def evidence(self, net: Any, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        do = "Look at the boxes: crnn predict --out FOLDER draws them."
        raise SettingsError("reasons for boxes", expected="answers with moments to point at", do=do)

    # figures

    def truth(self, sample: Sample) -> Boxes | None:
        """Raises ``DataError`` for boxes that do not belong to the picture, and for labels that are not known."""
        return None if sample.y is None else self.labels.truth(sample)[0]

    def given(self, id: str, value: Any, truth: Boxes) -> Prediction:
        return Prediction(id, boxes_given(id, value), 1.0)

    def _finds(self, pairs: Iterable[Pair]) -> Finds:
        finds = Finds(self.labels.names)
        for truth, p in pairs:
            finds.add(truth, boxes_of(p.value))
        return finds

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.boxes``."""
        return self._finds(pairs).figures(groups)

    def row(self, truth: Boxes, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        finds = self._finds([(truth, prediction)])
        (right, wrong), things = finds.right[0].sum(1).tolist(), int(finds.truths[0].sum())
        known = {"id": prediction.id, "things": things, "found": right, "wrong": wrong}
        return {**known, "badness": (things - right + wrong) / max(1, things + wrong)}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        rows = [{k: v if v == v else "\N{EN DASH}" for k, v in row.items()} for row in self._finds(pairs).by_label()]
        rows = [row | {"count_error": f"{row['count_error']:.2f}"} for row in rows]  # which is no share
        return {"figures": FIGURES, "note": NOTE, "tables": [("Labels", rows)]}

    def by_label(self, pairs: Sequence[Pair]) -> dict[Any, float]:
        """The average precision at half overlap of each label that is there."""
        rows = self._finds(pairs).by_label()
        return {row["label"]: row["ap50"] for row in rows if row["ap50"] == row["ap50"]}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: no boxes at all, and always those of one usual picture of the training part."""
        truths = [(s.id, self.labels.truth(s)[0]) for s in samples]
        found = {}
        for name, said in (("nothing", lambda size: Boxes(size, ())), ("a usual picture", self.labels.usual_in)):
            figures = self.score([(y, Prediction(i, said(y.size), 1.0)) for i, y in truths])
            found[name] = {k: v for k, v in figures.items() if not k.endswith(("_low", "_high"))}
        return found

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        if not any(p.value.boxes or p.value.doubtful for _, p in pairs):
            return "the network finds nothing: things may be too small for task.every, or the learning rate too high"
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return f"mAP@.5 {100 * figures['map50']:.2f} %  counts off by {figures['count_error']:.2f}"

    def word(self, value: Any) -> str:
        counts = Counter(b.label for b in boxes_of(value).boxes)
        return ", ".join(f"{counts[name]} {name}" for name in self.labels.names if counts[name]) or "nothing"

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        """The counts, and below them a line for each box."""
        rows = (
            f"  {b.label}\t{b.left:g},{b.top:g} to {b.right:g},{b.bottom:g}\t{b.score:.2f}"
            for b in prediction.value.boxes
        )
        return "\n".join([super().line(prediction), *rows])

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        value: Boxes = prediction.value
        counts = Counter(b.label for b in value.boxes)
        said = {"id": prediction.id, "width": value.size[0], "height": value.size[1], "score": prediction.score}
        boxes = [
            {"label": b.label, "left": b.left, "top": b.top, "right": b.right, "bottom": b.bottom, "score": b.score}
            for b in value.boxes
        ]
        return {**said, "counts": {name: counts[name] for name in self.labels.names}, "boxes": boxes}

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A row for each box."""
        return [{"id": prediction.id, **row} for row in self.plain(prediction)["boxes"]]

    def show(self, prediction: Prediction, truth: Boxes | None, picture: str = "") -> str:
        """An HTML fragment: the picture with its boxes, and what is wrong with them."""
        return boxes_html(truth, prediction.value, self.labels.names, picture)

    def write(self, predictions: Iterable[Prediction], path: Path) -> None:
        """``.json`` (COCO), ``.jsonl`` (all there is) or ``.csv`` (a row a box)."""
        if path.suffix.lower() == ".json":
            coco.write([(p.id, p.value) for p in predictions], self.labels.names, path)
        else:
            super().write(predictions, path)

    def write_into(self, prediction: Prediction, x: np.ndarray, folder: Path, name: str) -> None:
        """``NAME.jpg``, the last of the frames ``x`` with its boxes, and ``NAME.xml``, these as Pascal VOC has
        them."""
        drawn(x[-1], prediction.value.boxes, self.labels.names).save(folder / f"{name}.jpg", quality=90)
        voc.write(Path(prediction.id).name, prediction.value, folder / f"{name}.xml")
