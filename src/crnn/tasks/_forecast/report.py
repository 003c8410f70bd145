"""Figures of forecasts, beside what needs no network, and what a person sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crnn.metrics import forecasts as metrics
from crnn.tasks._common import Common
from crnn.tasks._forecast import naive
from crnn.tasks._forecast.html import course_svg, step_svg
from crnn.tasks._forecast.values import Course, Future, dates, flat, point_of
from crnn.tasks._given import numbers_of
from crnn.types import Prediction, Sample

Pair = tuple[Course, Prediction]
NOTE = (
    "The line is the truth, the dots are the forecast, the bands its quantiles; each sample is named after the last "
    "step that was seen."
)
"""Explains the marks to the readers of a report."""
SHARED = ("mae", "mse", "rmse", "mae_scaled", "mse_scaled", "mase", "rse", "corr")
"""Figures in which baselines are compared."""
DRAWN = 4  # columns of a window that are drawn


class Reported(Common):
    """A forecaster's figures and pictures; what it has learned is its own to say."""

    settings: Any
    targets: tuple[int, ...]
    names: tuple[str, ...]
    """Of the targets."""
    mean: np.ndarray
    deviation: np.ndarray
    season_error: np.ndarray
    """Mean error of the value of a season before, in the training part, ``(targets,)``."""
    ridge: naive.Ridge | None

    @property
    def best(self) -> tuple[str, Any]:
        """What the loss is, in deviations of each column."""
        return ("mse_scaled" if self.settings.loss == "square" else "mae_scaled"), min

    def vote(self, answers: Sequence[Prediction]) -> Prediction:
        """The mean of each number and of each band."""
        point, bands = (np.mean([getattr(a.value, name) for a in answers], axis=0) for name in ("point", "bands"))
        return Prediction(answers[0].id, Future(point.astype(np.float32), bands.astype(np.float32)), 1.0)

    def truth(self, sample: Sample) -> Course | None:
        return None if sample.y is None else Course(sample.x, self.targets, flat(sample.y))

    def so_far(self, sample: Sample) -> Course:
        """How it went so far, where nobody knows what comes."""
        return self.truth(sample) or Course(sample.x, self.targets, np.zeros((0, len(self.targets))))

    def given(self, id: str, value: Any, truth: Course) -> Prediction:
        return Prediction(id, numbers_of(id, value, truth.ahead.shape), 1.0)

    def score(self, pairs: Sequence[Pair], groups: Sequence[str | None] | None = None) -> dict[str, float]:
        """Figures of ``(truth, prediction)`` pairs; see ``crnn.metrics.forecasts.score``."""
        truths, answers, bands = tables(pairs)
        s, count = self.settings, len(pairs)
        block = max(s.horizon, min(s.window + s.horizon, count // 20), 1)
        found = metrics.score(
            truths,
            answers,
            deviation=self.deviation,
            naive=self.season_error,
            bands=bands,
            quantiles=s.quantiles,
            blocks=[i // block for i in range(count)] if count > 2 * block else None,
        )
        if len(self.names) > 1:
            away = abs(answers - truths).mean((0, 1))
            found |= {f"mae[{name}]": float(value) for name, value in zip(self.names, away, strict=True)}
        return found

    def row(self, truth: Course, prediction: Prediction) -> dict[str, Any]:
        """One line of a report; ``badness`` sorts it, worst first."""
        away = abs(point_of(prediction.value, truth.ahead) - truth.ahead)
        return {"id": prediction.id, "error": float(away.mean()), "badness": float((away / self.deviation).mean())}

    def without_network(self, seen: np.ndarray) -> dict[str, np.ndarray]:
        """What needs no network: answers ``(n, horizon, targets)`` by name."""
        s = self.settings
        found = {"last value": naive.last_value(seen, s.horizon)}
        if 1 < s.season <= seen.shape[1]:
            found["last season"] = naive.last_season(seen, s.horizon, season=s.season, lead=s.lead)
        if self.ridge is not None and self.ridge.weights.shape[1] == seen.shape[1]:
            found["linear map"] = self.ridge(seen)
        return found

    def details(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        truths, answers, _ = tables(pairs)
        own = {f"mae[{n}]": (f"Mean error of {_column(n)}", "In its own unit.", "") for n in self.names}
        found: dict[str, Any] = {"figures": metrics.FIGURES | own, "note": NOTE}
        if self.settings.horizon > 1:
            others = self.without_network(np.stack([truth.seen for truth, _ in pairs]))
            lines = {
                name: (abs(values - truths) / self.deviation).mean((0, 2))
                for name, values in {"this network": answers, **others}.items()
            }
            found["charts"] = [("Mean error by step, in deviations", step_svg(lines, self.settings.lead))]
        if len(self.names) > 1:
            away = abs(answers - truths)
            rows = [
                {
                    "column": name,
                    "mean error": f"{away[..., i].mean():.4g}",
                    "scaled": f"{away[..., i].mean() / self.deviation[i]:.4f}",
                    "square, scaled": f"{(away[..., i] ** 2).mean() / self.deviation[i] ** 2:.4f}",
                }
                for i, name in enumerate(self.names)
            ]
            found["tables"] = [("Columns", rows)]
        return found

    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """The last value, that of a season before, and a linear map of the window (a ridge regression)."""
        courses = [truth for truth in map(self.truth, samples) if truth is not None]
        found = {}
        for name, answers in self.without_network(np.stack([course.seen for course in courses])).items():
            pairs = [(c, Prediction("", a, 1.0)) for c, a in zip(courses, answers, strict=True)]
            figures = self.score(pairs)
            found[name] = {key: figures[key] for key in SHARED if key in figures}
        return found

    def diagnose(self, pairs: Sequence[Pair]) -> str | None:
        """Why these answers of the validation part are no good, if they are not numbers."""
        _, answers, _ = tables(pairs)
        if not np.isfinite(answers).all():
            return "the network says what is no number: the learning rate may be too high"
        return None

    # what a person sees

    def say(self, figures: Mapping[str, float]) -> str:
        more = f"  MASE {figures['mase']:.3f}" if "mase" in figures else ""
        return f"mean error {figures['mae']:.4g}  scaled {figures['mae_scaled']:.4f}{more}"

    def word(self, value: Any) -> str:
        """The first column, by its name if there are others, in a few numbers."""
        some = _few(value.ahead if isinstance(value, Course) else value.point)
        return f"{_column(self.names[0])} {some}" if len(self.names) > 1 else some

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        when = dates(prediction.id, self.settings.lead, self.settings.horizon, self.settings.step)
        return f"{prediction.id}\t{self.names[0]} from {when[0]} to {when[-1]}: {_few(prediction.value.point)}"

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        s, value = self.settings, prediction.value
        columns = {}
        for i, name in enumerate(self.names):
            bands = {f"{share:g}": value.bands[:, i, k].tolist() for k, share in enumerate(s.quantiles)}
            columns[name] = {"forecast": value.point[:, i].tolist(), **bands}
        when = dates(prediction.id, s.lead, s.horizon, s.step)
        return {"id": prediction.id, "date": when, "columns": columns}

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A row for each step: its date, and each column with its quantiles."""
        whole = self.plain(prediction)
        cells = {
            name if key == "forecast" else f"{name} {key}": numbers
            for name, column in whole["columns"].items()
            for key, numbers in column.items()
        }
        return [
            {"id": whole["id"], "date": when, **{name: f"{numbers[i]:.6g}" for name, numbers in cells.items()}}
            for i, when in enumerate(whole["date"])
        ]

    def show(self, prediction: Prediction, truth: Course | None, picture: str = "") -> str:
        """An HTML fragment: what was seen, what came, and what was foretold, of each column that is most off."""
        value = prediction.value
        order = list(range(len(self.names)))
        came = truth is not None and len(truth.ahead) > 0
        if truth is not None and came:
            away = abs(value.point - truth.ahead).mean(0) / self.deviation
            order = np.argsort(-away).tolist()
        when = dates(prediction.id, self.settings.lead, self.settings.horizon, self.settings.step)
        plots = [
            course_svg(
                self.names[i],
                None if truth is None else truth.seen[:, i],
                None if truth is None or not came else truth.ahead[:, i],
                value.point[:, i],
                value.bands[:, i],
                lead=self.settings.lead,
                ends=(when[0], when[-1]),
            )
            for i in order[:DRAWN]
        ]
        return f'<div class="answer">{"".join(plots)}{picture}</div>'


def _column(name: str) -> str:
    """A column for people, also one that has a number for a name."""
    return f"column {name}" if name.isdigit() else name


def _few(table: np.ndarray) -> str:
    """The first column of ``table`` ``(horizon, targets)``, in a few numbers."""
    numbers = [f"{number:.4g}" for number in table[:, 0].tolist()]
    return " ".join(numbers if len(numbers) <= 8 else [*numbers[:6], "...", numbers[-1]])


def tables(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Truths, answers and bands, ``(windows, horizon, targets)`` each, bands with another axis."""
    truths = np.stack([truth.ahead for truth, _ in pairs])
    answers = np.stack([point_of(p.value, truth.ahead) for truth, p in pairs])
    given = all(isinstance(p.value, Future) for _, p in pairs) and pairs[0][1].value.bands.shape[-1]
    return truths, answers, np.stack([p.value.bands for _, p in pairs]) if given else None
