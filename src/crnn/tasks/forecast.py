"""forecast: what comes next in a series, as numbers and as bands that hold as often as they say."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from crnn.config import Count, Share, Strength, Whole
from crnn.data.formats import Ahead, Asked, open_data
from crnn.data.timelines import Span
from crnn.errors import DataError, SettingsError
from crnn.findings import Doubts, Finding, Seen
from crnn.late import F, Tensor, nn, torch
from crnn.tasks._forecast import naive
from crnn.tasks._forecast.bands import Banded
from crnn.tasks._forecast.report import Reported
from crnn.tasks._forecast.steps import Pool, Relative, Steps
from crnn.tasks._forecast.values import Course, Future, flat
from crnn.types import Batch, Prediction, Sample

LOSSES = {"absolute": "l1_loss", "square": "mse_loss", "smooth": "smooth_l1_loss"}


class Forecast(Banded, Reported):
    """The next steps of a series. It knows its columns and step, how large they are, and what needs no network."""

    name = "forecast"
    answer = "future"
    kinds = ("series",)
    figures = ("mae", "mae_scaled", "mse_scaled")
    votes = True
    varies = False
    of_columns = True

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        horizon: Count = 24
        """Steps to foretell."""
        window: Count = 168
        """Steps that are seen."""
        lead: Count = 1
        """Steps from the last that is seen to the first that is foretold."""
        targets: tuple[str, ...] = ()
        """Columns to foretell; none takes all that are not known beforehand."""
        known: tuple[str, ...] = ()
        """Columns that are known beforehand, such as a price that was agreed on."""
        columns: tuple[str, ...] = ()
        """Columns that are read; none takes all that hold numbers."""
        calendar: bool = True
        """Whether the network is told the hour, the weekday and the day of the year, where there are dates."""
        shares: tuple[Strength, ...] | tuple[str, ...] = (0.6, 0.2, 0.2)
        """Train, valid and test, one after the other: shares, or numbers of rows; or two dates, with which valid and
        test begin."""
        every: Count = 1
        """Steps from one window of train or valid to the next; those of test begin at every step."""
        fill: Whole = 6
        """Longest gap, in steps, that is filled by a straight line; no window crosses a longer one."""
        step: str = ""
        """Step of the dates, such as '1 hour'; without it, the most frequent."""
        season: Whole = 0
        """Steps after which the series repeats, more or less, for comparison; 0 takes a day, a week or a year by the
        step."""
        quantiles: tuple[Share, ...] = (0.1, 0.5, 0.9)
        """Bands: how often the truth is to lie below each; none for the forecast alone."""
        recent: Whole = 0
        """Latest windows, `every` steps apart, whose future is past when a forecast is made: what came true of them
        moves its bands once more. 0 leaves them as the validation part made them; 50 are the least."""
        relative: Relative = "last"
        """What the network answers by difference to: the last value or the mean of what it sees, or nothing."""
        highway: Whole = 24
        """Last values that go through a linear map, the same for all columns, beside the network; it begins as a ridge
        regression and is learned with the rest. 0 for none."""
        recursive: Whole = 0
        """Steps that the network foretells at a time, going on from its own answers until the horizon is full; 0
        foretells all at once."""
        loss: Literal["absolute", "square", "smooth"] = "absolute"
        """What is made small, beside the pinball loss of the bands: it also chooses the best bundle."""
        pool: Pool = "both"
        """How steps become one: the last, their mean, both side by side, their largest values, or attention."""
        dropout: Share = 0.1
        """Share of pooled features dropped before the last layer, in training."""

    def __init__(self, settings: Settings, targets: Sequence[int], *, channels: int, shifted: int = 0) -> None:
        s = settings
        if s.recursive and (s.horizon % s.recursive or s.lead > 1 or len(targets) + shifted != channels):
            given = f"task.recursive is {s.recursive}"
            expected = f"a divisor of the horizon, {s.horizon}, a lead of 1, and no column that is not foretold"
            do = "Change it, take all columns for targets, or leave task.recursive out."
            raise SettingsError(given, expected=expected, do=do)
        if list(s.quantiles) != sorted(set(s.quantiles)) or {0.0, 1.0} & set(s.quantiles):
            given, expected = f"task.quantiles is {list(s.quantiles)}", "rising shares above 0 and below 1"
            raise SettingsError(given, expected=expected, do="Write: quantiles = [0.1, 0.5, 0.9]")
        self.settings, self.targets, self.channels, self.shifted = s, tuple(targets), channels, shifted
        self.names = s.targets or tuple(str(i + 1) for i in range(len(targets)))
        self.mean = np.zeros(len(targets))
        self.deviation = np.ones(len(targets))
        self.season_error = np.zeros(len(targets))
        self.ridge: naive.Ridge | None = None
        self.correction: np.ndarray | None = None
        self.start: np.ndarray | None = None  # of the highway, in training

    @classmethod
    def asks(cls, settings: Settings) -> dict[str, Any]:
        s = settings
        names = ("window", "lead", "horizon", "every", "shares", "targets", "known", "columns", "calendar", "fill")
        return {"ahead": Ahead(**{name: getattr(s, name) for name in names}, step=s.step)}

    # what is learned, and kept in the bundle

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """Columns and step, the mean error of the value of a season before, and a linear map, all from the training
        part. Raises ``DataError`` if no sample has a future."""
        known = [s for s in samples if s.y is not None and np.ndim(s.y) in (1, 2)]
        if not known:
            do = "Give a table with a row for each step: crnn train forecast --data prices.csv"
            raise DataError("no sample has a future", expected="windows of a series", do=do)
        first = known[0].x
        if isinstance(first, Span):
            line = first.timeline
            settings = replace(
                settings,
                targets=tuple(line.names[i] for i in line.targets),
                columns=line.columns,
                step=line.clock.name if line.clock else "",
                season=settings.season or (line.clock.season if line.clock else 1),
            )
            task = cls(settings, line.targets, channels=len(line.names), shifted=line.shifted)
        else:
            x, y = flat(first), flat(known[0].y)
            settings = replace(settings, window=len(x), horizon=len(y), season=settings.season or 1)
            task = cls(settings, range(y.shape[1]), channels=x.shape[1])
        courses = [Course(s.x, task.targets, flat(s.y)) for s in known]
        some = [courses[i] for i in naive.some(len(courses), settings.window * len(task.targets))]
        seen, ahead = np.stack([c.seen for c in some]), np.stack([c.ahead for c in some])
        before = task.without_network(seen).get("last season", naive.last_value(seen, settings.horizon))
        task.season_error = abs(before - ahead).mean((0, 1)).astype(np.float64)
        task.ridge = naive.Ridge.fit(seen, ahead)
        if settings.highway:
            task.start = naive.shared_map(seen, ahead[:, : task.steps], task.highway, settings.relative)
        return task

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task of so many columns, for a network without data."""
        return cls(settings, range(outputs), channels=outputs)

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        if not all(0 <= target < learned["channels"] for target in learned["targets"]):
            raise ValueError(f"the columns {learned['targets']} of {learned['channels']} are foretold")
        task = cls(settings, learned["targets"], channels=learned["channels"], shifted=learned["shifted"])
        task.season_error = np.array(learned["season_error"], np.float64)
        if "ridge" in learned:
            task.ridge = naive.Ridge(learned["ridge"], np.array(learned["ridge_deviation"], np.float64))
        task.correction = learned.get("correction")
        return task

    def learned(self) -> dict[str, Any]:
        plain = {"targets": list(self.targets), "channels": self.channels, "shifted": self.shifted}
        plain["season_error"] = self.season_error.tolist()
        return plain | ({"ridge_deviation": self.ridge.deviation.tolist()} if self.ridge else {})

    def arrays(self) -> dict[str, np.ndarray]:
        found = {"ridge": self.ridge.weights} if self.ridge else {}
        return found | ({"correction": self.correction} if self.correction is not None else {})

    def facts(self) -> dict[str, str]:
        s = self.settings
        step = s.step or "row"
        ahead = f"{s.horizon} steps of {step}" + (f", the first {s.lead} ahead" if s.lead > 1 else "")
        return {"columns": ", ".join(self.names), "sees": f"{s.window} steps", "foretells": ahead}

    def extend(self, samples: Sequence[Sample]) -> Forecast:
        """The same task, for fine-tuning: what its outputs mean must not change. Its bands are set anew."""
        task = copy.copy(self)
        task.correction = None
        return task

    def with_input(self, kind: Any) -> Forecast:
        """The task in the scale of ``kind``, which has learned mean and deviation of each channel. Raises
        ``SettingsError`` for an input that takes several steps for one."""
        if getattr(kind.settings, "every", 1) != 1:
            given = f"input.every is {kind.settings.every}"
            raise SettingsError(given, expected="1, for a forecast", do="Give a table with longer steps.")
        task = copy.copy(self)
        if len(kind.mean) > max(self.targets):
            task.mean, task.deviation = (v[list(self.targets)].astype(np.float64) for v in (kind.mean, kind.deviation))
        return task

    def opened(self, file: Path) -> Sample | None:
        """The last window of a table, whose future nobody knows yet. Raises ``DataError``."""
        asked = Asked(answer=self.answer, truths=False, **self.asks(self.settings))
        return open_data(file, "timeline", asked=asked)[0]

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from: no future, or one of another shape."""
        shape = (self.settings.horizon, len(self.targets))
        given = None if sample.y is None else flat(sample.y)
        if given is None or given.shape != shape or not np.isfinite(given).all():
            said = "has no future" if given is None else f"has a future of the shape {given.shape}, or with gaps"
            expected = f"finite numbers, {shape[0]} steps of {shape[1]} columns"
            return DataError(said, expected=expected, do="Correct the data.", file=sample.id)
        return None

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What was odd about each timeline, said once, and figures of each split."""
        findings = [Finding.of(s.problem, "no future", file=s.sample.id, split=s.split) for s in seen if s.problem]
        lines = {id(s.sample.x.timeline): s.sample.x.timeline for s in seen if isinstance(s.sample.x, Span)}
        findings += [finding for line in lines.values() for finding in line.findings]
        return Doubts(tuple(findings), {}, {"columns": len(self.targets)})

    def encode(self, sample: Sample) -> Sample:
        """``y`` float32 ``(horizon, targets)`` in deviations from the mean of the training part."""
        if sample.y is None:
            return sample
        return replace(sample, y=((flat(sample.y) - self.mean) / self.deviation).astype(np.float32))

    @property
    def steps(self) -> int:
        """Steps that the network foretells at a time."""
        return self.settings.recursive or self.settings.horizon

    @property
    def _steps(self) -> Steps:
        return Steps(self.settings.horizon, self.steps, self.channels, self.shifted, self.targets)

    @property
    def highway(self) -> int:
        """Last values that go through it: no more than are seen."""
        return min(self.settings.highway, self.settings.window)

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        from crnn.tasks._forecast.head import ForecastHead, Pools, highway

        s = self.settings
        return ForecastHead(
            Pools(encoder.levels[-1], s.pool),
            self.targets,
            steps=self.steps,
            answers=1 + len(s.quantiles),
            relative=s.relative,
            highway=highway(self.highway, self.steps, self.start),
            dropout=s.dropout,
        )

    def grow_head(self, head: nn.Module, old: Forecast, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` as they are. Raises ``SettingsError`` for another horizon or other columns."""
        if any(head.state_dict()[name].shape != value.shape for name, value in weights.items()):
            given = f"the bundle foretells {old.steps} steps of {', '.join(old.names)}"
            raise SettingsError(given, expected="the same in the recipe", do="Train anew without --start.")
        return dict(weights)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Of the forecast, and the mean pinball loss of the bands, in deviations of the training part."""
        inputs = self._steps.seen(batch.inputs)
        answers, truth = net(inputs), batch.targets.x[:, : self.steps]
        loss = getattr(F, LOSSES[self.settings.loss])(answers[..., 0], truth)
        if self.settings.quantiles:
            share = torch.tensor(self.settings.quantiles, device=truth.device)
            over = truth[..., None] - answers[..., 1:]
            loss = loss + torch.maximum(share * over, (share - 1) * over).mean()
        return loss

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """A ``Future`` for each sample, in the units of the data; its score is 1, for the bands say how sure it is."""
        answers = self._steps.answers(net, batch.inputs)
        band = np.sort(answers[..., 1:], axis=-1)
        if self.correction is not None:
            band = np.sort(band + self.correction, axis=-1)
        point = answers[..., 0] * self.deviation + self.mean
        band = band * self.deviation[:, None] + self.mean[:, None]
        futures = map(Future, point.astype(np.float32), band.astype(np.float32))
        return [Prediction(id, future, 1.0) for id, future in zip(batch.ids, futures, strict=True)]

    def evidence(self, net: nn.Module, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """The mean of what is foretold of the first column, or of that which ``of`` names, in its unit."""
        if of is not None and str(of) not in self.names:
            expected = f"one of {', '.join(self.names)}"
            raise SettingsError(f"the column {of!r}", expected=expected, do="Name it so.")
        i = 0 if of is None else self.names.index(str(of))
        seen = self._steps.seen(inputs)
        return net(seen)[:, :, i, 0].mean(1) * float(self.deviation[i]) + float(self.mean[i])
