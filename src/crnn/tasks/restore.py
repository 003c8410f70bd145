"""restore: a clean picture of a spoilt one, where the network may go on improving it step by step.

What spoils pictures is part of the task (``task.spoiling``), or pairs of spoilt and clean pictures are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from crnn.config import Count, Share, Strength, Whole
from crnn.data.inputs._pictures import Mode
from crnn.data.label_maps import size_of_picture
from crnn.data.spoil import Spoiling
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.findings import Doubts, Finding, Seen
from crnn.metrics import pictures as metrics
from crnn.tasks._common import Common
from crnn.tasks._given import numbers_of, strange
from crnn.tasks._maps.head import MapHead, OwnAnswer, grown
from crnn.tasks._pictures.html import NOTE, as_gif, as_picture, pictures_html
from crnn.tasks._pictures.memories import LARGEST, recalled
from crnn.tasks._pictures.pairs import other_size, read, source_of, spoilt
from crnn.tasks._pictures.tiles import after, restored
from crnn.types import Batch, Prediction, Sample

Pair = tuple[np.ndarray, Prediction]


class Restore(Common):
    """A picture for each picture, values from 0 to 1, float32 ``(height, width, channels)``."""

    name = "restore"
    answer = "picture"
    kinds = ("scene",)
    model = "pyramid"
    best = ("mse", min)
    figures = ("mse", "psnr")
    aligned = True
    explains = False

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        spoiling: Spoiling = "none"
        """How clean pictures are made worse, which are then all that is needed: by less contrast, another ground and
        noise, by a square in the way (occlusion), or both; another draw in each epoch, always the same in testing."""
        steps: Whole = 0
        """Steps after which the picture is given, by a network that goes on in steps; 0 for as many as it learns
        with."""
        watched: tuple[Count, ...] = ()
        """Steps after which the picture is kept, too, for figures, reports and films; also more than it learns with."""
        low: Strength = 1e-3
        """Weight of the mean activity of hidden features, which is to be low."""
        memories: Whole = 0
        """Pictures of the training part that associative memories learn, to be compared with; all of one size."""
        overlap: Share = 0.25
        """Share of a tile that the next one covers, too, in pictures that are larger."""

    def __init__(
        self,
        settings: Settings,
        memories: np.ndarray | None = None,
        tile: tuple[int, int] = (64, 64),
        channels: int = 3,
    ) -> None:
        self.settings, self.tile, self.channels = settings, tile, channels
        self.memories = np.zeros((0, 1, 1, 1), np.uint8) if memories is None else memories
        self.mode: Mode = "L" if channels == 1 else "RGB"
        if list(settings.watched) != sorted(set(settings.watched)):
            given = f"task.watched is {list(settings.watched)}"
            raise SettingsError(given, expected="rising numbers of steps", do="Put them in order.")

    # what is learned, and kept in the bundle

    @classmethod
    def asks(cls, settings: Settings) -> dict[str, Any]:
        return {"spoiling": settings.spoiling}

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The pictures to be remembered. Raises ``DataError`` if no sample has a clean picture."""
        known = [s for s in samples if s.y is not None]
        if not known:
            do = "Give pairs of pictures, or clean ones and task.spoiling; see docs/restore.md."
            raise DataError("no sample has a clean picture", expected="at least one", do=do)
        most = settings.memories
        found = [read(s.y, "RGB") for s in known[:: max(1, len(known) // most)][:most]] if most else []
        if len({x.shape for x in found}) > 1 or (found and found[0].size > 3 * LARGEST):
            given, do = f"task.memories is {most}, of pictures that are large or of several sizes", "Set it to 0."
            raise SettingsError(given, expected=f"pictures of one size, of {LARGEST} pixels at most", do=do)
        return cls(settings, np.stack(found) if found else None)

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task for pictures of so many channels, for a network without data."""
        return cls(settings, channels=outputs)

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        return cls(settings, learned.get("memories"))

    def learned(self) -> dict[str, Any]:
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"memories": self.memories} if len(self.memories) else {}

    def with_input(self, kind: Any) -> Restore:
        return Restore(self.settings, self.memories, kind.spec.space, kind.spec.channels)

    def extend(self, samples: Sequence[Sample]) -> Restore:
        """This task, which knows no labels that could be new."""
        return self

    def facts(self) -> dict[str, str]:
        return {"spoiling": self.settings.spoiling, "tiles": f"{self.tile[1]} x {self.tile[0]}"}

    # encode, head, loss, predict

    @property
    def outputs(self) -> int:
        """For networks that go on from their own answers: channels of a picture."""
        return self.channels

    def problem(self, sample: Sample, steps: int | None = None) -> CrnnError | None:
        """Why ``sample`` cannot be learned from: no clean picture, or one of another size."""
        if sample.y is None:
            do = "Give it, or set task.spoiling to make clean pictures worse."
            return DataError("has no clean picture", expected="how it should look", do=do, file=sample.id)
        try:
            size, own = size_of_picture(source_of(sample.x)), size_of_picture(sample.y)
        except CrnnError as error:
            return error
        return None if size in (None, own) or own is None else other_size(own, size, sample.y)

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these pairs."""
        wrong = [s for s in seen if s.problem is not None]
        kind = "clean picture that does not fit"
        found = (Finding.of(s.problem, kind, file=s.sample.id, split=s.split) for s in wrong)  # type: ignore[arg-type]
        return Doubts(tuple(found))

    def along(self, y: Any, steps: tuple[int, int], scale: float) -> np.ndarray:
        """The clean picture uint8 ``(height, width, channels)``. Raises ``DataError``."""
        x = read(y, self.mode)
        if x.shape[:2] != steps:
            raise other_size((x.shape[1], x.shape[0]), (steps[1], steps[0]), y)
        return x

    def encode(self, sample: Sample) -> Sample:
        if not isinstance(sample.y, np.ndarray) or sample.y.dtype != np.uint8:
            return replace(sample, y=None)
        # (height, width, channels) -> (channels, height, width)
        return replace(sample, y=np.ascontiguousarray(sample.y.transpose(2, 0, 1), np.float32) / 255)

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        return OwnAnswer() if getattr(encoder, "answers", ()) else MapHead(encoder, self.channels, dropout=0.0)

    def grow_head(self, head: nn.Module, old: Restore, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(weights)

    def loss(self, net: Any, batch: Batch) -> Tensor:
        """The mean squared error of values, after later steps the more important; and of hidden features of a network
        that answers itself the mean activity after the last."""
        features, own = net.encoder(batch.inputs), getattr(net.encoder, "answers", ())
        answers = net.head(features, "all") if own else [net.head(features)]
        truth, last = batch.targets.x, batch.inputs.lengths - 1
        rows = torch.arange(len(truth), device=truth.device)
        pictures = (grown(seq.x[rows, last].float(), truth).sigmoid() for seq in answers)
        lost = torch.stack([(picture - truth).square().mean() for picture in pictures])
        weights = torch.arange(1, len(lost) + 1, device=lost.device)
        total = (lost * weights).sum() / weights.sum()
        hidden = [a[:, self.channels if not i else 0 :] for i, a in enumerate(features.state or () if own else ())]
        active = [a.mean() for a in hidden if a.numel()]
        return total + self.settings.low * torch.stack(active).mean() if active and self.settings.low else total

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """A picture for each sample; ``maps`` are those after the steps that are watched ``(steps, height, width,
        channels)``."""
        s = self.settings
        steps = (*s.watched, s.steps)
        order = sorted(range(len(steps)), key=steps.__getitem__)

        def pictures(seq: Any) -> Tensor:
            found = after(net, seq, [steps[i] for i in order])
            return torch.cat([found[order.index(i)] for i in range(len(steps))], dim=1)

        x, lengths = batch.inputs
        whole = restored(pictures, x, lengths, tile=self.tile, overlap=s.overlap)
        # (batch, steps * channels, height, width) -> (batch, steps, height, width, channels)
        found = whole.unflatten(1, (len(steps), -1)).movedim(2, -1).float().cpu().numpy()
        return [
            Prediction(id, np.ascontiguousarray(y[-1]), 1.0, maps=y[:-1] if s.watched else None)
            for id, y in zip(batch.ids, found, strict=True)
        ]

    def evidence(self, net: Any, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        do = "Look at the pictures: crnn predict --out FOLDER writes them."
        raise SettingsError("reasons for a picture", expected="answers with moments to point at", do=do)

    # figures

    def truth(self, sample: Sample) -> np.ndarray | None:
        """Raises ``DataError`` for a picture that cannot be read."""
        return None if sample.y is None else read(sample.y, self.mode).astype(np.float32) / 255

    def given(self, id: str, value: Any, truth: np.ndarray) -> Prediction:
        picture = numbers_of(id, value, truth.shape)
        if picture.min() < 0 or picture.max() > 1:
            raise strange(id, value, "values from 0 to 1")
        return Prediction(id, picture.astype(np.float32), 1.0)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs, see ``crnn.metrics.pictures``; where steps are watched, the error
        after each, and how much the picture still changes from one to the next."""
        found = metrics.score([(truth, p.value) for truth, p in pairs], groups)
        watched = self.settings.watched
        if watched and all(p.maps is not None for _, p in pairs):
            for i, step in enumerate(watched):
                found[f"mse_{step}"] = metrics.score([(truth, p.maps[i]) for truth, p in pairs])["mse"]
            for i, (one, other) in enumerate(pairwise(watched)):
                changes = [metrics.squared_error(p.maps[i], p.maps[i + 1]) for _, p in pairs]
                found[f"change_{one}_{other}"] = float(np.mean(changes))
        return found

    def row(self, truth: np.ndarray, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        error = metrics.squared_error(truth, prediction.value)
        return {"id": prediction.id, "mse": error, "psnr": metrics.psnr(error), "badness": error}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        found, watched = self.score(pairs), self.settings.watched
        rows = []
        for before, step in zip((0, *watched), watched, strict=False):
            change = found.get(f"change_{before}_{step}")
            rows.append(
                {
                    "after steps": str(step),
                    "squared error": f"{found[f'mse_{step}']:.5f}",
                    "change since the row above": "\N{EN DASH}" if change is None else f"{change:.6f}",
                }
            )
        tabled = [name for name in found if name[-1].isdigit()]  # after so many steps
        tables = [("Step by step", rows)] if rows else []
        return {"figures": metrics.FIGURES, "note": NOTE, "tables": tables, "tabled": tabled}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network that learned: the spoilt picture itself, and associative memories."""
        truths = [read(s.y, self.mode).astype(np.float32) / 255 for s in samples]
        seen = [spoilt(s, self.mode).astype(np.float32) / 255 for s in samples]
        said = {"as it is": seen}
        memories = self.memories if self.channels == 3 else self.memories[..., :1]
        if len(memories) and all(x.shape == memories.shape[1:] for x in seen):
            said |= recalled(memories.astype(np.float32) / 255, seen)
        found = {name: metrics.score(list(zip(truths, rows, strict=True))) for name, rows in said.items()}
        return {n: {k: v for k, v in f.items() if not k.endswith(("_low", "_high"))} for n, f in found.items()}

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        if len(pairs) > 1 and max(float(np.std(p.value)) for _, p in pairs) < 0.01:
            return "the network says the same of every pixel: the learning rate may be too high"
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return f"squared error {figures['mse']:.5f}  PSNR {figures['psnr']:.2f} dB"

    def word(self, value: Any) -> str:
        return f"{np.shape(value)[1]} x {np.shape(value)[0]} pixels"

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        height, width, _ = prediction.value.shape
        return {"id": prediction.id, "width": width, "height": height, "mean": float(prediction.value.mean())}

    def show(self, prediction: Prediction, truth: np.ndarray | None, picture: str = "") -> str:
        """An HTML fragment: what was given, what was made of it step by step, and how it should look."""
        return pictures_html(prediction.value, truth, prediction.maps, self.settings.watched, picture)

    def write_into(self, prediction: Prediction, x: np.ndarray, folder: Path, name: str) -> None:
        """``NAME.png``, and where steps are watched ``NAME.gif``, in which they follow each other."""
        as_picture(prediction.value).save(folder / f"{name}.png")
        if prediction.maps is not None:
            (folder / f"{name}.gif").write_bytes(as_gif([x[-1] / 255, *prediction.maps]))
