"""segment: a label for each pixel of a picture, or of the last of some frames of a film.

What each level of the network says of a place is brought together at the size of the picture. Pictures of any size are
answered in tiles of the size that training saw, which overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from crnn.config import Count, Share, Strength, Whole
from crnn.data.label_maps import size_of_map, size_of_picture, wrong_size
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.findings import Doubts, Seen
from crnn.late import Tensor, nn, torch
from crnn.metrics import maps as metrics
from crnn.metrics.maps import Counts
from crnn.tasks._arrays import array, arrays
from crnn.tasks._common import Common
from crnn.tasks._maps import doubts
from crnn.tasks._maps import loss as map_loss
from crnn.tasks._maps.html import map_html, overlay, png
from crnn.tasks._maps.labels import MapLabels, check_settings
from crnn.tasks._maps.report import areas, details, guesses
from crnn.tasks._maps.tiles import label, mirrored, seen_again
from crnn.types import Batch, LabelMap, Prediction, Sample

Pair = tuple[LabelMap, Prediction]
NAMED = 6  # labels that a line names


class Segment(Common):
    """A label map for each picture; knows the labels, and the size of tiles."""

    name = "segment"
    answer = "map"
    kinds = ("scene",)
    model = "rcnn_scene"
    best = ("miou", max)
    figures = ("miou", "pixel_accuracy")
    aligned = True
    explains = False

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        loss: Literal["cross_entropy", "dice", "both"] = "cross_entropy"
        """What is made small: cross-entropy of pixels, 1 less the Dice of the labels, or their sum."""
        weights: Literal["none", "median_frequency"] | tuple[Strength, ...] = "none"
        """How much each label counts in the cross-entropy: all alike, the rarer the more (Eigen & Fergus 2015), or a
        number for each."""
        names: tuple[str, ...] = ()
        """Names of the labels 0, 1 and so on; none takes those of a legend in the data, or the numbers."""
        colours: tuple[tuple[int, int, int], ...] = ()
        """Colours of the labels in answers; none takes those of a legend, or such as are far from each other."""
        ignore: tuple[int | str, ...] = (255,)
        """Labels, by number or name, of pixels that do not count. White on black counts, though it is 255."""
        instances: tuple[str, ...] = ()
        """Labels of which each connected piece is a thing, to be counted."""
        smallest: Whole = 0
        """Pixels below which a connected piece is no thing."""
        frames: Count = 1
        """Frames of a film that are seen for the answer to the last of them, where pictures are numbered frames."""
        dropout: Share = 0.1
        """Share of features dropped before the last layer, in training."""
        overlap: Share = 0.25
        """Share of a tile that the next one covers, too, in pictures that are larger."""
        flip: bool = False
        """Whether the mirror image is asked, too, and both answers averaged; not while the network learns."""
        scales: tuple[Strength, ...] = ()
        """Sizes at which a picture is seen, whose answers are averaged, such as 0.75, 1 and 1.25; none for 1, as while
        the network learns."""
        tolerance: Whole = 2
        """How many pixels off a border may be for the boundary F1."""
        reader: tuple[str, ...] = ()
        """Where the labels are those of lines on a page: bundles that read the lines, of which the surest does."""

    def __init__(
        self, settings: Settings, labels: MapLabels, tile: tuple[int, int] = (64, 64), *, settled: bool = False
    ) -> None:
        self.settings, self.labels, self.tile, self.settled = settings, labels, tile, settled
        check_settings(settings, labels)

    # what is learned, and kept in the bundle

    @classmethod
    def asks(cls, settings: Settings) -> dict[str, Any]:
        return {"frames": settings.frames}

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The labels of the training part, how often and where each is. Raises ``DataError`` if there are none."""
        return cls(settings, MapLabels.learn(settings, samples))

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task with the labels 0, 1 and so on, for a network without data."""
        return cls(settings, MapLabels.blank(outputs))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        return cls(settings, MapLabels.restore(learned), settled=True)

    def learned(self) -> dict[str, Any]:
        return self.labels.learned()

    def arrays(self) -> dict[str, np.ndarray]:
        return {"usual": self.labels.usual}

    def facts(self) -> dict[str, str]:
        shown = ", ".join(self.labels.names[:12]) + (" ..." if len(self.labels) > 12 else "")
        return {"labels": f"{len(self.labels)}: {shown}", "tiles": f"{self.tile[1]} x {self.tile[0]}"}

    def with_input(self, kind: Any) -> Segment:
        return Segment(self.settings, self.labels, kind.spec.space, settled=self.settled)

    def extend(self, samples: Sequence[Sample]) -> Segment:
        """This task with the new labels of ``samples``, for fine-tuning."""
        return Segment(self.settings, self.labels.extend(MapLabels.learn(self.settings, samples)), self.tile)

    # encode, head, loss, predict

    @property
    def outputs(self) -> int:
        """For networks that read their own answers."""
        return len(self.labels)

    def problem(self, sample: Sample, steps: int | None = None) -> CrnnError | None:
        """Why ``sample`` cannot be learned from: no label map, or one of another size, as its header says."""
        if sample.y is None:
            do = "Draw it or drop the sample."
            return DataError("has no label map", expected="a label for each pixel", do=do, file=sample.id)
        try:
            size, own = size_of_picture(sample.x), size_of_map(sample.y)
        except CrnnError as error:
            return error
        return wrong_size(sample.y, own, size) if size is not None and size != own else None

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these label maps, and figures of them."""
        return doubts.doubts(seen, self.labels)

    def along(self, y: Any, steps: tuple[int, int], scale: float) -> np.ndarray:
        """Numbers of the labels, uint8 of the shape ``steps`` (height, width). Raises ``DataError``."""
        return self.labels.numbers(y, (steps[1], steps[0]))

    def encode(self, sample: Sample) -> Sample:
        return sample if isinstance(sample.y, np.ndarray) and sample.y.dtype == np.uint8 else replace(sample, y=None)

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        from crnn.tasks._maps.head import MapHead, OwnAnswer

        if getattr(encoder, "answers", ()):
            return OwnAnswer()
        return MapHead(encoder, len(self.labels), dropout=self.settings.dropout)

    def grow_head(self, head: nn.Module, old: Segment, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` in the shape of ``head``, whose new labels keep their fresh weights."""
        grown = {name: value.clone() for name, value in head.state_dict().items()}
        for name, value in weights.items():
            grown[name][: len(old.labels)] = value
        return grown

    def loss(self, net: Any, batch: Batch) -> Tensor:
        """Of the last frame of each sample; where a network answers several times, the sum over its answers."""
        from crnn.tasks._maps.head import grown, last

        truth = batch.targets.x.long()
        answers = net(batch.inputs, "all") if getattr(net.encoder, "answers", ()) else [net(batch.inputs)]
        weights = map_loss.weights(self.settings.weights, self.labels.pixels, self.labels.there, truth.device)
        lost = []
        for seq in answers:
            logits = grown(last(seq.x, batch.inputs.lengths), truth[:, None])
            if self.settings.loss != "dice":
                lost.append(map_loss.cross_entropy(logits, truth, weights))
            if self.settings.loss != "cross_entropy":
                lost.append(map_loss.dice(logits, truth))
        return torch.stack(lost).sum()

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """A label map for each sample; the score is the mean probability of what it says."""
        x, lengths = arrays(batch.inputs)
        rows, sums = [], np.zeros(len(batch))
        shares = self._shares(net, batch.inputs)
        for numbers, sure in label(shares, x, lengths, tile=self.tile, overlap=self.settings.overlap):
            rows.append(numbers.astype(np.uint8))
            sums += sure.sum((1, 2), dtype=np.float64)
        whole = np.concatenate(rows, axis=1)
        scores = (sums / max(1, whole[0].size)).clip(0, 1).tolist()
        return [Prediction(i, LabelMap.of(m), s) for i, m, s in zip(batch.ids, whole, scores, strict=True)]

    def _shares(self, net: Any, inputs: Any) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """What tiles are probably, asked of a net or of its graph, which gives probabilities itself."""
        s = self.settings
        if isinstance(inputs.x, np.ndarray):
            once = lambda tiles, lengths: net(type(inputs)(np.ascontiguousarray(tiles), lengths))  # noqa: E731
            return mirrored(once) if s.flip and self.settled else once
        asked: Any = self.exported(net)
        seen: Any = lambda tiles, lengths: asked(type(inputs)(tiles, lengths))  # noqa: E731
        if self.settled:  # looks while the network learns are to be quick
            seen = seen_again(seen, flip=s.flip, scales=s.scales)
        device = inputs.x.device
        return lambda *tiles: array(seen(*(torch.from_numpy(part).to(device) for part in tiles)))

    def exported(self, net: Any) -> nn.Module:
        from crnn.tasks._maps.head import Shares

        return Shares(net)

    def evidence(self, net: Any, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        do = "Look at the maps: crnn predict --out FOLDER writes them."
        raise SettingsError("reasons for a label map", expected="answers with moments to point at", do=do)

    # figures

    def truth(self, sample: Sample) -> LabelMap | None:
        """Raises ``DataError`` for a map that cannot be read, or is of another size than its picture."""
        return None if sample.y is None else LabelMap.of(self.labels.truth(sample))

    def given(self, id: str, value: Any, truth: LabelMap) -> Prediction:
        return Prediction(id, LabelMap.of(self.labels.given(id, value, truth.shape)), 1.0)

    def _counted(self, pairs: Iterable[Pair]) -> Counts:
        s = self.settings
        things = tuple(self.labels.names.index(name) for name in s.instances)
        counts = Counts(len(self.labels), s.tolerance, things, s.smallest)
        for truth, p in pairs:
            counts.add(truth.numbers, p.value.numbers)
        return counts

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.maps``."""
        return self._counted(pairs).figures(groups)

    def row(self, truth: LabelMap, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        counts = self._counted([(truth, prediction)])
        own = counts.figures() if counts.confusion.sum() else {"pixel_accuracy": 1.0, "miou": 1.0}
        said = {"id": prediction.id, "pixel_accuracy": own["pixel_accuracy"], "miou": own["miou"]}
        return {**said, "badness": 1 - own["pixel_accuracy"]}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        return details(self._counted(pairs), self.labels)

    def by_label(self, pairs: Sequence[Pair]) -> dict[Any, float]:
        """The IoU of each label that is there."""
        rows = self._counted(pairs).by_label()
        return {self.labels.names[row["number"]]: row["iou"] for row in rows if row["iou"] == row["iou"]}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: always the most frequent label, and the most frequent of each place."""
        truths = [(s.id, self.labels.truth(s)) for s in samples]
        found = {}
        for name, said in guesses(self.labels).items():
            pairs = [(LabelMap.of(y), Prediction(i, LabelMap.of(said(y.shape)), 1.0)) for i, y in truths]
            found[name] = {k: v for k, v in self.score(pairs).items() if not k.endswith(("_low", "_high"))}
        return found

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        confusion = self._counted(pairs).confusion
        if (confusion.sum(0) > 0).sum() == 1 and (confusion.sum(1) > 0).sum() > 1:
            name = self.labels.names[int(confusion.sum(0).argmax())]
            return f"the network says {name!r} of every pixel: the learning rate may be too high"
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return f"mean IoU {100 * figures['miou']:.2f} %  pixels {100 * figures['pixel_accuracy']:.2f} %"

    def word(self, value: Any) -> str:
        shares = list(areas(value, self.labels).items())
        return ", ".join(f"{name} {100 * v:.0f} %" for name, v in shares[:NAMED]) + (" ..." if shares[NAMED:] else "")

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        value: LabelMap = prediction.value
        said = {"id": prediction.id, "width": value.shape[1], "height": value.shape[0], "score": prediction.score}
        found: dict[str, Any] = {}
        for name in self.settings.instances:
            rows = metrics.things(value.numbers, self.labels.names.index(name), self.settings.smallest)
            found[name] = [{"area": area, "x": x, "y": y} for area, x, y in rows]
        counts = {f"{name}_count": len(rows) for name, rows in found.items()}
        return {**said, **counts, "areas": areas(value, self.labels), **({"things": found} if found else {})}

    def show(self, prediction: Prediction, truth: LabelMap | None, picture: str = "") -> str:
        """An HTML fragment: picture, truth, answer, errors."""
        known = None if truth is None else truth.numbers
        return map_html(known, prediction.value.numbers, self.labels.names, self.labels.palette(), picture)

    def write_into(self, prediction: Prediction, x: np.ndarray, folder: Path, name: str) -> None:
        """``NAME.png``, an index picture of the labels with their colours, and ``NAME-overlay.jpg``, the last of the
        frames ``x`` under them."""
        numbers, colours = prediction.value.numbers, self.labels.palette()
        (folder / f"{name}.png").write_bytes(png(numbers, colours))
        overlay(x[-1], numbers, colours).save(folder / f"{name}-overlay.jpg", quality=90)
