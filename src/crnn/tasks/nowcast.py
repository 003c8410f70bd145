"""nowcast: the next frames of a film or of a quantity that was measured, such as rain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from torch import Tensor, nn

from crnn.config import Count, Strength, Whole
from crnn.data.formats import Cutting
from crnn.errors import DataError, SettingsError
from crnn.findings import Doubts, Finding, Seen
from crnn.tasks._frames.head import Forecaster, Relative, Sees, Told
from crnn.tasks._frames.loss import Loss, frames_loss, share_of_truth
from crnn.tasks._frames.report import FramesReport
from crnn.types import Batch, Prediction, Sample

RAIN = (0.5, 1.0, 2.0, 5.0)  # mm/h
FIRST: Mapping[str, tuple[str, Any]] = {
    "cross_entropy": ("cross_entropy_per_sequence", min),
    "mse": ("mse_mean", min),
    "mae": ("mae_mean", min),
    "ssim": ("ssim", max),
    "balanced": ("csi", max),
    "csi": ("csi", max),
}
"""The figure that chooses the bundle, by loss."""


class Nowcast(FramesReport):
    """Frames in, frames out: a prediction's value is float32 ``(future, channels, height, width)`` in the unit of the
    data."""

    name = "nowcast"
    answer = "frames"
    kinds = ("frames",)
    model = "convlstm"
    aligned = True
    explains = False

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        past: Count = 10
        """Frames that are seen."""
        future: Count = 10
        """Frames that are foretold; a trained network can be asked for more."""
        every: Count = 1
        """Frames of a film from the beginning of one sample of training to that of the next."""
        shares: tuple[Strength, ...] = (0.7, 0.15, 0.15)
        """Of one film: shares of train, valid and test, one after the other, or their numbers of frames."""
        valid_from: str = ""
        """Time at which valid begins, where frames have times: 07:30 of the first day, or 2020-10-31 07:30."""
        test_from: str = ""
        """Time at which test begins."""
        until: str = ""
        """Time from which on frames are not used."""
        loss: Loss = "mse"
        """What is made small: the cross-entropy of pixels as probabilities, the squared or absolute error, both with
        weights by classes of rain (balanced), 1 less SSIM, or 1 less CSI at the thresholds."""
        forecaster: Sees = "empty"
        """Whether the forecaster's first layer has no input (empty), sees the frame before, which it said itself (fed),
        or the last frame as it would have moved on by then (moved)."""
        sampling: Whole = 0
        """Steps of training over which a forecaster that is fed sees true frames less and less."""
        readout: Literal["all", "top"] = "all"
        """Whether frames are made of the hidden states of all layers, or of the top one's."""
        relative: Relative = "none"
        """Whether frames are said as change against the last frame that was seen (last), or against that frame as it
        would have moved on by then (moved)."""
        thresholds: tuple[float, ...] = ()
        """Values from which on something counts as an event, for CSI, POD, FAR and HSS; for rain, unless they are
        given, 0.5, 1, 2 and 5 mm/h."""
        match: bool = False
        """Whether each frame is given the values of the last frame that was seen, in the order of its own (probability
        matching, Ebert 2001): what was smoothed because it is uncertain is as strong again as what was measured."""
        classes: tuple[float, ...] = (2.0, 5.0, 10.0, 30.0)
        """Where classes of rain begin, for balanced."""
        weights: tuple[Strength, ...] = (1.0, 2.0, 5.0, 10.0, 30.0)
        """Of a pixel by its class, one more than there are classes."""

    def __init__(self, settings: Settings, kind: Any = None, ahead: int = 0) -> None:
        self.settings, self.kind = settings, kind
        self.ahead = ahead or settings.future
        if len(settings.weights) != len(settings.classes) + 1:
            raise SettingsError(
                f"task.weights has {len(settings.weights)} entries and task.classes {len(settings.classes)}",
                expected="one weight more than classes begin",
                do="Change one of them.",
            )

    # what is learned, and kept in the bundle

    @classmethod
    def asks(cls, settings: Settings) -> dict[str, Any]:
        s = settings
        times = {"valid_from": s.valid_from, "test_from": s.test_from, "until": s.until}
        return {"cutting": Cutting(past=s.past, future=s.future, every=s.every, shares=s.shares, **times)}

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        return cls(settings)

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task for a network without data; there are no outputs to count."""
        return cls(settings)

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        return cls(settings)

    def learned(self) -> dict[str, Any]:
        return {}

    def extend(self, samples: Sequence[Sample]) -> Nowcast:
        return self

    def with_input(self, kind: Any) -> Nowcast:
        """Raises ``SettingsError`` for a loss that the scale of ``kind`` does not allow."""
        if self.settings.loss in ("cross_entropy", "ssim") and not kind.bounded:
            raise SettingsError(
                f"task.loss is {self.settings.loss} on the scale {kind.scale!r}",
                expected="a scale from 0 to 1",
                do="Set input.scale to unit or rain, or task.loss to mse.",
            )
        return type(self)(self.settings, kind, self.ahead)

    def with_future(self, frames: int) -> Nowcast:
        """The task that foretells so many frames."""
        return type(self)(self.settings, self.kind, frames)

    @property
    def thresholds(self) -> tuple[float, ...]:
        return self.settings.thresholds or (RAIN if self.kind is not None and self.kind.scale == "rain" else ())

    @property
    def best(self) -> tuple[str, Any]:
        name, better = FIRST[self.settings.loss]
        return (name, better) if name != "csi" or self.thresholds else FIRST["mse"]

    @property
    def figures(self) -> tuple[str, ...]:
        more = ("csi", "csi_gain_min") if self.thresholds else ("ssim",)
        return tuple(dict.fromkeys((self.best[0], *more, "mae_mean")))

    @property
    def odds(self) -> bool:
        """Whether the network says log odds; under other losses than the cross-entropy a sigmoid would keep it at 0,
        where most pixels are."""
        return self.settings.loss == "cross_entropy"

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from: no frames follow, or they cannot be read."""
        if sample.y is None:
            do = "Give a longer film."
            return DataError("has no frames after those that are seen", expected="some", do=do, file=sample.id)
        return None

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """Nothing but what the kind of input says of frames."""
        findings = [Finding.of(s.problem, "no future", file=s.sample.id, split=s.split) for s in seen if s.problem]
        return Doubts(tuple(findings))

    def along(self, y: Any, steps: int, scale: float) -> np.ndarray:
        """The frames to foretell, NaN where nothing was measured, which are varied as those that are seen."""
        return self.kind.measured(y)

    def encode(self, sample: Sample) -> Sample:
        return sample if sample.y is None else replace(sample, y=self.kind.finish(sample.y))

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        s = self.settings
        return Forecaster(
            encoder,
            steps=s.future,
            sees=s.forecaster,
            top=s.readout == "top",
            odds=self.odds,
            relative=s.relative,
        )

    def grow_head(self, head: nn.Module, old: Nowcast, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` as they are. Raises ``SettingsError`` if the head is another."""
        if any(head.state_dict()[name].shape != value.shape for name, value in weights.items() if name):
            raise SettingsError("the forecaster is another", expected="that of the bundle", do="Train anew.")
        return dict(weights)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Mean over the pixels that were measured; see ``_frames.loss``."""
        s, truth = self.settings, batch.targets.x
        share = 0.0
        head = getattr(net, "head", None)
        if net.training and head is not None and head.sees == "fed":
            share = share_of_truth(int(head.trained), s.sampling)
            head.trained += 1
        y, _ = net(batch.inputs, Told(truth.shape[1], truth, share))
        levels = s.classes if s.loss == "balanced" else self.thresholds
        scaled = self.kind.finish(np.array(levels, np.float32)).tolist() if s.loss in ("balanced", "csi") else ()
        return frames_loss(s.loss, y, truth, odds=self.odds, levels=scaled, weights=s.weights)

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """Frames in their own unit; the score is 1, for the network does not say how sure it is."""
        y, _ = net(batch.inputs, Told(self.ahead))
        frames = self.kind.physical((y.sigmoid() if self.odds else y).cpu().numpy())
        if self.settings.match:
            x, lengths = batch.inputs
            for film, steps, seen in zip(frames, lengths.tolist(), x.cpu().numpy(), strict=True):
                _match(film, self.kind.physical(seen[steps - 1]))
        return [Prediction(id, x, 1.0) for id, x in zip(batch.ids, frames, strict=True)]

    def evidence(self, net: nn.Module, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """How much there is in all frames ahead, or in the one of number ``of`` (from 1): their mean on the network's
        scale."""
        y, _ = net(inputs, Told(self.ahead))
        if of is None:
            return y.mean((1, 2, 3, 4))
        if not str(of).isdigit() or not 1 <= int(of) <= self.ahead:
            raise SettingsError(f"the frame {of!r}", expected=f"a number from 1 to {self.ahead}", do="Name one.")
        return y[:, int(of) - 1].mean((1, 2, 3))


def _match(film: np.ndarray, last: np.ndarray) -> None:
    """Give each frame of ``film`` ``(time, channels, height, width)`` the values of ``last``, in its own order."""
    values = np.sort(last.reshape(len(last), -1))
    for frame in film:
        for channel, known in zip(frame, values, strict=True):
            channel.flat[np.argsort(channel, axis=None, kind="stable")] = known
