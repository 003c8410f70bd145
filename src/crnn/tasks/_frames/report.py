"""What is said of frames that were foretold: figures, baselines, charts, pictures, files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from crnn.errors import SettingsError
from crnn.files import write_aside
from crnn.layers import extrapolate, motion
from crnn.metrics.frames import Sums, named
from crnn.tasks._common import Common
from crnn.tasks._forecast.html import step_svg
from crnn.tasks._frames.head import LOOKS
from crnn.tasks._frames.html import BESIDE, coloured, moving_gif, strip_png
from crnn.tasks._frames.html import picture as picture_html
from crnn.tasks._given import numbers_of
from crnn.types import Prediction, Sample

PERSISTENCE, MOVED = "the last frame again", "the last frame moved on"
WRITTEN = (".npz", ".gif", ".png", ".jsonl", ".csv")
NOTE = (
    "Above is what was seen, then what came, below it what was foretold, and once more in motion: left what came, "
    "right what was foretold."
)


class Stretch(NamedTuple):
    """What was seen and what came: the truth of a sample, as sources."""

    past: Any
    future: Any


Pair = tuple[Stretch, Prediction]


class FramesReport(Common):
    """All that a task of frames says to people; it knows its ``kind`` of input, ``thresholds`` and ``figures``."""

    kind: Any
    settings: Any

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Values from which on something is an event."""
        raise NotImplementedError

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that a person looks at first."""
        raise NotImplementedError

    # figures

    def truth(self, sample: Sample) -> Stretch | None:
        return None if sample.y is None else Stretch(sample.x, sample.y)

    def given(self, id: str, value: Any, truth: Stretch) -> Prediction:
        return Prediction(id, numbers_of(id, value, self.kind.decode(truth.future).shape).astype(np.float32), 1.0)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.frames``."""
        return self._figures(self._sums(pairs), self._sums(pairs, PERSISTENCE))

    def _figures(self, own: Sums, persistence: Sums) -> dict[str, float]:
        figures = own.figures()
        if self.thresholds:
            gain = own.at_thresholds("csi") - persistence.at_thresholds("csi")
            figures["csi_gain_min"] = float(np.nanmin(np.nan_to_num(gain)))
        return figures

    def _sums(self, pairs: Sequence[Pair], instead: str = "") -> Sums:
        """What is added up of the predictions, or of what a baseline says ``instead``."""
        sums = Sums(self.thresholds, probabilities=self.kind.scale == "unit")
        if not self.kind.bounded:
            sums.low, sums.span = self._range(pairs)
        for truth, prediction in pairs:
            future = self.kind.measured(truth.future)
            said = np.asarray(prediction.value) if not instead else self._instead(instead, truth, len(future))
            scaled = (self.kind.finish(future), self.kind.finish(said[: len(future)])) if self.kind.bounded else None
            sums.add(future, said[: len(future)], scaled=scaled)
        return sums

    def _range(self, pairs: Sequence[Pair]) -> tuple[float, float]:
        """The lowest of all true values, and how far the highest lies above."""
        measured = (x[~np.isnan(x)] for x in (self.kind.measured(truth.future) for truth, _ in pairs))
        ends = [(float(x.min()), float(x.max())) for x in measured if len(x)] or [(0.0, 1.0)]
        low = min(low for low, _ in ends)
        return low, max(high for _, high in ends) - low or 1.0

    def _instead(self, name: str, truth: Stretch, frames: int) -> np.ndarray:
        past = self.kind.decode(truth.past)
        if name == PERSISTENCE:
            return np.repeat(past[-1:], frames, axis=0)
        flow = motion(torch.from_numpy(self.kind.finish(past[-LOOKS:]))[None])
        return extrapolate(torch.from_numpy(past[-1:]), flow, frames)[0].numpy()

    def row(self, truth: Stretch, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        sums = self._sums([(truth, prediction)])
        figures = sums.figures()
        return {"id": prediction.id, "mse": figures["mse_mean"], "badness": np.nan_to_num(figures["mse_mean"]).item()}

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        rows = {"this network": self._sums(pairs)}
        rows |= {name: self._sums(pairs, name) for name in (PERSISTENCE, MOVED)}
        curves = {
            f"CSI at {t:g}": {k: np.nan_to_num(s.at_thresholds("csi")[:, i]) for k, s in rows.items()}
            for i, t in enumerate(self.thresholds)
        }
        for name in ("cross_entropy" if self.settings.loss == "cross_entropy" else "mse", "correlation"):
            curves[name.replace("_", "-")] = {k: s.mean(name) for k, s in rows.items()}
        charts = [(f"{title} by frame ahead", step_svg(lines, 1)) for title, lines in curves.items()]
        tables = [(f"Frame by frame ahead: {k}", s.by_frame()) for k, s in rows.items()]
        return {"figures": named(self.thresholds), "charts": charts, "tables": tables, "note": NOTE}

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """What needs no network: the last frame that was seen, again and again, or moving on as it moved."""
        truths = [(truth, Prediction("", None, 1.0)) for s in samples if (truth := self.truth(s)) is not None]
        persistence = self._sums(truths, PERSISTENCE)
        return {name: self._figures(self._sums(truths, name), persistence) for name in (PERSISTENCE, MOVED)}

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if the network has plainly learned nothing."""
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        return "  ".join(f"{name.replace('_', ' ')} {figures[name]:.4g}" for name in self.figures)

    def word(self, value: Any) -> str:
        x = self.kind.measured(value.future) if isinstance(value, Stretch) else np.asarray(value)
        known = x[~np.isnan(x)]
        return f"{len(x)} frames, " + (f"mean {known.mean():.4g}, largest {known.max():.4g}" if len(known) else "empty")

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        return f"{prediction.id}\t{self.word(prediction.value)}"

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        x = np.asarray(prediction.value)
        means, largest = x.mean((1, 2, 3)).tolist(), x.max((1, 2, 3)).tolist()
        return {"id": prediction.id, "mean": means, "largest": largest}

    def show(self, prediction: Prediction, truth: Stretch | None, picture: str = "") -> str:
        """An HTML fragment: what was seen, what came, what was foretold."""
        said = self._coloured(np.asarray(prediction.value))
        rows = [] if truth is None else [self._coloured(self.kind.measured(truth.future))]
        words = "what came, and what was foretold" if rows else "what is foretold"
        strip = picture_html(strip_png([*rows, said]), "png", words)
        if rows:
            strip += picture_html(moving_gif([*rows, said], BESIDE), "gif", f"{words}, in motion")
        return f'<div class="answer">{picture}{strip}<p style="margin:0">{self.word(prediction.value)}</p></div>'

    def _coloured(self, x: np.ndarray) -> np.ndarray:
        """Frames in the data's unit in colours, or grey; at half grey what was not measured."""
        lost, y = np.isnan(x), self.kind.finish(x)
        if not self.kind.bounded:
            known = y[~lost] if not lost.all() else np.zeros(1, np.float32)
            y = (y - known.min()) / max(float(np.ptp(known)), 1e-6)
        shown = coloured(np.where(lost, 0, y), grey=self.kind.scale == "unit")
        shown[lost.any(1)] = 128
        return shown

    def write(self, predictions: Iterable[Prediction], path: Path) -> None:
        """``.npz``: arrays ``frames`` ``(samples, future, channels, height, width)``, in the unit of the data, and
        ``ids``; ``.gif``: the samples side by side, in motion; ``.png``: a strip for each; ``.jsonl`` and ``.csv``:
        mean and largest value of each frame. Raises ``SettingsError`` for another ending."""
        ending = path.suffix.lower()
        if ending not in WRITTEN:
            known = f"{', '.join(WRITTEN[:-1])} or {WRITTEN[-1]}"
            raise SettingsError(f"the file {path.name!r}", expected=f"a name in {known}", do="Rename it.")
        if ending in (".jsonl", ".csv"):
            super().write(predictions, path)
            return
        all_of_them = list(predictions)
        with write_aside(path, "wb") as file:
            if ending == ".npz":
                ids = np.array([p.id for p in all_of_them])
                np.savez_compressed(file, frames=np.stack([p.value for p in all_of_them]), ids=ids)
            else:
                make = moving_gif if ending == ".gif" else strip_png
                file.write(make([self._coloured(np.asarray(p.value)) for p in all_of_them]))

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A row for each frame, numbers to seven digits: their unit may be large or small."""
        plain = self.plain(prediction)
        values = zip(plain["mean"], plain["largest"], strict=True)
        return [
            {"id": plain["id"], "frame": i, "mean": f"{mean:.7g}", "largest": f"{largest:.7g}"}
            for i, (mean, largest) in enumerate(values, 1)
        ]
